package main

import (
	"fmt"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// dropPrivileges gives up every capability in every thread (effective,
// permitted, inheritable and ambient, capabilities(7)) and the means to gain
// any by execve. Descriptors that are open stay as able as they are.
//
// Root stays uid 0: without capabilities that is one more user, who happens to
// own the system's files.
func dropPrivileges() error {
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot give up new privileges: %w", err)
	}
	// The kernel takes a capability out of the ambient set when it leaves the
	// permitted or the inheritable one.
	if err := cap.NewSet().SetProc(); err != nil {
		return fmt.Errorf("cannot drop capabilities: %w", err)
	}
	return nil
}

// privileged reports whether the one who started us may send as fast as the
// host can: root, or whoever was handed CAP_NET_RAW (the ambient set, as
// systemd does). Capabilities of the file do not count: they are there so that
// everybody may ping, not so that everybody may flood.
func privileged() bool {
	if unix.Getuid() == 0 {
		return true
	}
	ambient, err := cap.GetAmbient(cap.NET_RAW)
	return err == nil && ambient
}

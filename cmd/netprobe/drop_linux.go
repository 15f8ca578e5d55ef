package main

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"netprobe/rawsock"
)

// dropPrivileges gives up every capability in every thread (effective,
// permitted, inheritable and ambient, capabilities(7)) and the means to gain
// any by execve. Descriptors that are open stay as able as they are.
//
// Root stays uid 0: without capabilities that is one more user, who happens to
// own the system's files.
//
// With marks it keeps the one capability that marking sockets takes, as far as
// it has it: CAP_NET_RAW, before Linux 5.17 CAP_NET_ADMIN (socket(7)).
func dropPrivileges(marks bool) error {
	if _, err := cap.Prctlw(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot give up new privileges: %w", err)
	}
	// The kernel takes a capability out of the ambient set when it leaves the
	// permitted or the inheritable one.
	kept, err := cap.NewSet(), error(nil)
	if marks {
		kept, err = marking()
	}
	if err == nil {
		err = kept.SetProc()
	}
	if err != nil {
		return fmt.Errorf("cannot drop capabilities: %w", err)
	}
	return nil
}

// marking returns the least set of the capabilities we have with which a socket
// can be marked, empty if there is none. All others are gone by then.
func marking() (*cap.Set, error) {
	have, able := cap.GetProc(), []cap.Value{cap.NET_RAW, cap.NET_ADMIN}
	able = slices.DeleteFunc(able, func(c cap.Value) bool {
		ok, err := have.GetFlag(cap.Permitted, c)
		return err != nil || !ok
	})
	for _, c := range able {
		if err := capabilities(able, c).SetProc(); err != nil {
			return nil, err
		}
		if rawsock.CheckDial(rawsock.Config{Mark: 1}) == nil {
			return capabilities([]cap.Value{c}, c), nil
		}
	}
	return cap.NewSet(), nil
}

// capabilities is the set that permits those of permitted, of which one is effective.
func capabilities(permitted []cap.Value, effective cap.Value) *cap.Set {
	set := cap.NewSet()
	_ = set.SetFlag(cap.Permitted, true, permitted...) // fails only for values there are none of
	_ = set.SetFlag(cap.Effective, true, effective)
	return set
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

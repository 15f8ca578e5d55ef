package main

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"netprobe/internal/lab"
)

// labHints are the commands that let a network be built where the system
// refused.
func labHints(e *lab.BuildError) []string {
	var hints []string
	switch {
	case e.Obstacle == lab.NoNamespaces && e.User:
		hints = userNamespaceHints()
	case e.Obstacle == lab.NoTUN && errors.Is(e.Err, unix.EACCES):
		hints = []string{"sudo chmod a+rw /dev/net/tun"}
	case e.Obstacle == lab.NoTUN && (errors.Is(e.Err, unix.ENOENT) || errors.Is(e.Err, unix.ENODEV)):
		hints = []string{"sudo modprobe tun"}
	}
	if os.Geteuid() != 0 {
		hints = append(hints, "or as root: sudo "+binary()+" lab ...")
	}
	return append(hints, "in a container: --cap-add=SYS_ADMIN --cap-add=NET_ADMIN --device=/dev/net/tun")
}

// userNamespaceHints are the settings that keep ordinary users from having
// user namespaces.
func userNamespaceHints() []string {
	var hints []string
	for _, s := range []struct{ name, refuses, allows string }{
		{"kernel.unprivileged_userns_clone", "0", "1"}, // Debian
		{"user.max_user_namespaces", "0", "15000"},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"}, // Ubuntu
	} {
		b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.name, ".", "/"))
		if err == nil && strings.TrimSpace(string(b)) == s.refuses {
			hints = append(hints, "sudo sysctl -w "+s.name+"="+s.allows)
		}
	}
	return hints
}

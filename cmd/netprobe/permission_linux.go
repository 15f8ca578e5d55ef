package main

import (
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// datagramHint lets every group open ICMP datagram sockets (icmp(7)).
const datagramHint = "sudo sysctl -w net.ipv4.ping_group_range='0 2147483647'"

// rawHints are the ways to a raw socket that are open to this process.
func rawHints() []string {
	bounded := false // CAP_NET_RAW is beyond what any file could give
	if bound, err := cap.GetBound(cap.NET_RAW); err == nil {
		bounded = !bound
	}
	noNew, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return rawWays(unix.Geteuid() == 0 || bounded, err == nil && noNew == 1)
}

// rawWays leaves out setcap where it is in vain: confined says that root itself
// lacks the capability or that none can be gained, noNew that this process was
// started so that files give it nothing.
func rawWays(confined, noNew bool) []string {
	const container = "in a container: start it with --cap-add=NET_RAW"
	if confined {
		return []string{container}
	}
	setcap := "sudo setcap cap_net_raw+ep " + binary()
	if noNew {
		setcap += "   # and start it without no_new_privs"
	}
	return []string{setcap, container}
}

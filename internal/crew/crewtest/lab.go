package crewtest

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"netprobe/internal/lab"
	"netprobe/probe"
)

// ICMP is an ICMP error and what it means, sent by a router or by the host itself.
type ICMP struct {
	Name   string
	Error  lab.ICMPError
	V4, V6 probe.Reason
	Status probe.Status // if a router says it
	Own    probe.Status // if the host itself says it
}

// Rejections are the ICMP errors that a socket hears of, whatever it asked.
var Rejections = []ICMP{
	{"net unreachable", lab.NetUnreachable, probe.NetUnreachable, probe.NetUnreachable, probe.Unreachable, probe.Unreachable},
	{"host unreachable", lab.HostUnreachable, probe.HostUnreachable, probe.HostUnreachable, probe.Unreachable, probe.Unreachable},
	{"port unreachable", lab.PortUnreachable, probe.PortUnreachable, probe.PortUnreachable, probe.Unreachable, probe.Refused},
	{"protocol unreachable", lab.ProtoUnreachable, probe.ProtoUnreachable, probe.ParameterProblem, probe.Unreachable, probe.Unreachable},
	{"net prohibited", lab.NetProhibited, probe.NetProhibited, probe.AdminProhibited, probe.Unreachable, probe.Unreachable},
	{"host prohibited", lab.HostProhibited, probe.HostProhibited, probe.NetProhibited, probe.Unreachable, probe.Unreachable},
	{"admin prohibited", lab.AdminProhibited, probe.AdminProhibited, probe.AdminProhibited, probe.Unreachable, probe.Unreachable},
	{"time exceeded", lab.TimeExceeded, probe.TTLExceeded, probe.TTLExceeded, probe.Expired, probe.Expired},
}

// Routers are the addresses of the router before Topology's hosts.
var Routers = lab.Addrs("198.51.100.1", "2001:db8:100::1")

// At returns the prefixes of address n of each family behind the router.
func At(n int) []netip.Prefix { return lab.At(Hosts(n)...) }

// Hosts returns address n of each family behind the router.
func Hosts(n int) []string {
	return []string{fmt.Sprintf("203.0.113.%d", n), fmt.Sprintf("2001:db8:7::%x", n)}
}

// Rejecting returns a network whose router sends e.Error for host 1 of each
// family, and whose hosts 2 send it themselves.
func Rejecting(e ICMP) lab.Topology {
	return lab.Topology{
		Hops:  []lab.Hop{{Addrs: Routers, Error: e.Error, ErrorFor: At(1)}},
		Hosts: []lab.Host{{At: At(2), Error: e.Error}},
	}
}

// CheckRejected checks the outcomes of hosts 1 and 2 of such a network, in the
// order of Hosts(1) and Hosts(2).
func CheckRejected(t *testing.T, e ICMP, got map[int]Outcome) {
	t.Helper()
	for i, o := range got {
		status, from, why, code := e.Status, Routers[i%2], e.V4, e.Error.V4
		if i >= 2 {
			status, from = e.Own, o.Addr.Addr()
		}
		if i%2 == 1 {
			why, code = e.V6, e.Error.V6
		}
		if o.Status != status || o.Reason != why || o.From != from || o.Type != code.Type || o.Code != code.Code || o.RTT <= 0 || o.Seq != 1 {
			t.Errorf("%v: %v %v from %v (type %d code %d), want %v %v from %v (%+v); rtt %v, try %d, %v",
				o.Addr, o.Status, o.Reason, o.From, o.Type, o.Code, status, why, from, code, o.RTT, o.Seq, errors.Unwrap(o.Err))
		}
	}
}

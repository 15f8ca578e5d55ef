package engine

import (
	"net/netip"

	"netprobe/probe"
	"netprobe/rawsock"
)

// SameHost compares addresses as the wire has them: without zone.
func SameHost(a, b netip.Addr) bool { return a.WithZone("") == b.WithZone("") }

// Verdict says what an ICMP error means (RFC 792, RFC 1122 section 3.2.2.1, RFC
// 1812 section 5.2.7.1; RFC 4443). It is not ok for a type that is no verdict.
func Verdict(f rawsock.Family, typ, code uint8) (probe.Status, probe.Reason, bool) {
	table := errors4
	if f == rawsock.IPv6 {
		table = errors6
	}
	v, ok := table[typ]
	if !ok {
		return 0, 0, false
	}
	if int(code) < len(v.reasons) {
		return v.status, v.reasons[code], true
	}
	return v.status, probe.ReasonOther, true
}

// errorType is the meaning of one ICMP error type, with its codes' reasons.
type errorType struct {
	status  probe.Status
	reasons []probe.Reason
}

var errors4 = map[uint8]errorType{
	3: {probe.Unreachable, []probe.Reason{
		0:  probe.NetUnreachable,
		1:  probe.HostUnreachable,
		2:  probe.ProtoUnreachable,
		3:  probe.PortUnreachable,
		4:  probe.FragNeeded,
		5:  probe.ReasonOther,     // source route failed
		6:  probe.NetUnreachable,  // destination network unknown
		7:  probe.HostUnreachable, // destination host unknown
		8:  probe.ReasonOther,     // source host isolated
		9:  probe.NetProhibited,
		10: probe.HostProhibited,
		11: probe.NetUnreachable,  // for this type of service
		12: probe.HostUnreachable, // for this type of service
		13: probe.AdminProhibited,
		14: probe.HostProhibited,  // host precedence violation
		15: probe.AdminProhibited, // precedence cutoff
	}},
	11: {probe.Expired, []probe.Reason{probe.TTLExceeded, probe.ReassemblyExceeded}},
	12: {probe.Unreachable, []probe.Reason{probe.ParameterProblem, probe.ParameterProblem, probe.ParameterProblem}},
}

var errors6 = map[uint8]errorType{
	1: {probe.Unreachable, []probe.Reason{
		0: probe.NetUnreachable, // no route to destination
		1: probe.AdminProhibited,
		2: probe.NetUnreachable,  // beyond scope of source address
		3: probe.HostUnreachable, // address unreachable
		4: probe.PortUnreachable,
		5: probe.AdminProhibited, // source address failed ingress/egress policy
		6: probe.NetProhibited,   // reject route to destination
		7: probe.ReasonOther,     // error in source routing header
	}},
	2: {probe.Unreachable, []probe.Reason{probe.PacketTooBig}},
	3: {probe.Expired, []probe.Reason{probe.TTLExceeded, probe.ReassemblyExceeded}},
	4: {probe.Unreachable, []probe.Reason{probe.ParameterProblem, probe.ParameterProblem, probe.ParameterProblem}},
}

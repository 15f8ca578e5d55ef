package output

import (
	"net/netip"
	"strconv"

	"netprobe/probe"
	"netprobe/stats"
)

const (
	// maxRanges bounds how many ranges of ports a line names.
	maxRanges = 20
	// wrapWidth is where lines of groups are wrapped that go to no terminal.
	wrapWidth = 100
)

// portSigns are how the states look, by state.
var portSigns = [...]cell{
	probe.PortUnknown:      {"○ not tested", yellow},
	probe.PortOpen:         {"● open", green},
	probe.PortClosed:       {"○ closed", dim},
	probe.PortFiltered:     {"○ filtered", yellow},
	probe.PortOpenFiltered: {"○ open|filtered", ""},
}

// stateWord returns a state in a sentence.
func stateWord(s probe.PortState) string {
	if s == probe.PortUnknown {
		return "not tested"
	}
	return s.String()
}

// appendReasonFrom appends why something has its state, and who said so if that
// was not the host itself: "admin-prohibited from 198.51.100.1".
func appendReasonFrom(b []byte, reason probe.Reason, from netip.Addr) []byte {
	b = append(b, reason.String()...)
	if !from.IsValid() {
		return b
	}
	b = append(b, " from "...)
	return appendAddrEscaped(b, from)
}

// appendAddrEscaped appends a. A zone is a name that somebody chose.
func appendAddrEscaped(b []byte, a netip.Addr) []byte {
	if a.Zone() != "" {
		return appendEscaped(b, a.String())
	}
	return a.AppendTo(b)
}

// appendWhy appends why the ports of g have their state, escaped.
func appendWhy(b []byte, g *stats.PortGroup) []byte {
	switch {
	case g.Several:
		return append(b, "for other reasons"...)
	case g.Err != nil:
		b = append(append(b, g.Reason.String()...), ": "...)
		return appendFailureText(b, g.Reason, g.Err)
	}
	return appendReasonFrom(b, g.Reason, g.From)
}

// appendFold appends a group as a whole: "997 closed (rst)". Of ports that are
// open or could not be tested it names the numbers, too.
func appendFold(b []byte, g *stats.PortGroup) []byte {
	b = appendGrouped(b, uint64(g.Count))
	b = append(append(b, ' '), stateWord(g.State)...)
	b = append(b, " ("...)
	b = append(appendWhy(b, g), ')')
	if g.State == probe.PortOpen || g.State == probe.PortUnknown {
		b = append(b, ": "...)
		b = stats.AppendPorts(b, g.Ports(), maxRanges)
	}
	return b
}

// appendPortProto appends "22/tcp".
func appendPortProto(b []byte, port uint16, udp bool) []byte {
	b = strconv.AppendUint(b, uint64(port), 10)
	return append(append(b, '/'), proto(udp)...)
}

// appendScanHost appends the address of a host, with names what the user wrote.
func appendScanHost(b []byte, h *stats.ScanHost, names bool) []byte {
	switch {
	case !h.Addr.IsValid():
		return appendEscaped(b, bounded(h.Name))
	case h.Name == "" || !names:
		return appendAddrEscaped(b, h.Addr)
	}
	b = appendEscaped(b, bounded(h.Name))
	b = append(b, " ("...)
	return append(appendAddrEscaped(b, h.Addr), ')')
}

// portsOf returns "120 ports", "1 port".
func portsOf(n uint64) string { return counted(n, "port") }

// scannedPort returns "192.0.2.7:443", "[2001:db8::1]:53/udp".
func scannedPort(p stats.ScannedPort) string { return string(appendAddrPort(nil, p.Addr, p.UDP)) }

// appendAddrPort appends where a port is; tcp goes without saying.
func appendAddrPort(b []byte, a netip.AddrPort, udp bool) []byte {
	six := a.Addr().Is6()
	if six {
		b = append(b, '[')
	}
	b = appendAddrEscaped(b, a.Addr())
	if six {
		b = append(b, ']')
	}
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(a.Port()), 10)
	if udp {
		b = append(b, "/udp"...)
	}
	return b
}

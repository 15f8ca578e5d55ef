package output

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// The two formats of nmap that tools read. They say what we found in nmap's
// words, and nothing we do not know: a host of which nobody answered is
// "unknown", not up, and so is a port that could not be tested.

// nmapReasons are nmap's words for reasons, where they are not ours.
var nmapReasons = map[probe.Reason]string{
	probe.Connected:          "syn-ack",
	probe.RST:                "reset",
	probe.UDPReply:           "udp-response",
	probe.DNSReply:           "udp-response",
	probe.BadReply:           "udp-response",
	probe.PortUnreachable:    "port-unreach",
	probe.HostUnreachable:    "host-unreach",
	probe.NetUnreachable:     "net-unreach",
	probe.ProtoUnreachable:   "proto-unreach",
	probe.TTLExceeded:        "time-exceeded",
	probe.ReassemblyExceeded: "time-exceeded",
}

// nmapReason returns nmap's word for a reason: a scan that connects is told of a
// RST by the kernel, as ECONNREFUSED.
func (h *ScanHeader) nmapReason(r probe.Reason) string {
	if r == probe.RST && h.Technique == "connect" {
		return "conn-refused"
	}
	if word, ok := nmapReasons[r]; ok {
		return word
	}
	return r.String()
}

// nmapState says what is known of a host: whether it answered, and how.
func (h *ScanHeader) nmapState(host *stats.ScanHost) (state, reason string, ttl uint8) {
	if !host.Up() {
		return "unknown", "no-response", 0
	}
	r, ttl := host.First()
	return "up", h.nmapReason(r), ttl
}

// nmapPorts returns the ports that are shown one by one, in the order of their
// numbers, and the groups that are counted.
func (h *ScanHeader) nmapPorts(host *stats.ScanHost) (rows []portRow, rest []*stats.PortGroup) {
	for _, g := range host.Groups() {
		if h.OpenOnly && g.State != probe.PortOpen {
			continue
		}
		if g.Rows() == nil && g.State == probe.PortOpen {
			for _, p := range g.Ports() {
				rows = append(rows, portRow{g, stats.PortRow{Port: p}})
			}
			continue
		}
		if g.Rows() == nil {
			rest = append(rest, g)
			continue
		}
		rows = append(rows, portRows([]*stats.PortGroup{g})...)
	}
	slices.SortStableFunc(rows, func(a, b portRow) int { return cmp.Compare(a.row.Port, b.row.Port) })
	return rows, rest
}

// ctime is how nmap writes a time for people.
func ctime(t time.Time) string { return t.Local().Format(time.ANSIC) }

// commandLine returns how the program was called.
func commandLine(h *Header) string {
	return bounded(strings.Join(append([]string{"netprobe"}, h.Args...), " "))
}

package output

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// The two formats of nmap that tools read. They say what we found in nmap's
// words, and nothing we do not know: a host of which nobody answered is
// "unknown", not up, and so is a port that could not be tested.

// nmapView is what their views have in common: a host is written when its last
// port is decided.
type nmapView struct {
	w    io.Writer
	o    Options
	h    *Header
	buf  []byte
	tell func(*stats.ScanHost) error // writes a host
}

func (v *nmapView) write(b []byte) error {
	v.buf = b[:0]
	_, err := v.w.Write(b)
	return err
}

func (v *nmapView) Result(*probe.Result, *stats.Target) error {
	if h := v.h.Scan.Stats.Done(); h != nil && !v.o.Quiet {
		return v.tell(h)
	}
	return nil
}

// cutOff writes the hosts that were cut off.
func (v *nmapView) cutOff() error {
	for _, h := range v.h.Scan.Stats.CutOff() {
		if v.o.Quiet {
			break
		}
		if err := v.tell(h); err != nil {
			return err
		}
	}
	return nil
}

// Refresh does nothing: what is written stays.
func (v *nmapView) Refresh(time.Time) error { return nil }

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

// nmapShows reports whether there is anything to say of a host: with open ports
// only, nothing of one that has none. In these formats a host has an address.
func (h *ScanHeader) nmapShows(host *stats.ScanHost) bool {
	return host.Addr.IsValid() && (!h.OpenOnly || host.Kind() == stats.ScanOpen)
}

// nmapState says what is known of a host: whether it answered, and how.
func (h *ScanHeader) nmapState(host *stats.ScanHost) (state, reason string, ttl uint8) {
	if !host.Up() {
		return "unknown", "no-response", 0
	}
	r, ttl := host.First()
	return "up", h.nmapReason(r), ttl
}

// extraStates are the states whose ports may be counted only.
var extraStates = [...]probe.PortState{probe.PortClosed, probe.PortFiltered, probe.PortOpenFiltered, probe.PortUnknown}

// nmapExtra is how many ports have a state for one reason.
type nmapExtra struct {
	state  probe.PortState
	reason probe.Reason
	udp    bool
	count  int
}

// nmapPorts returns the ports that are shown one by one, in the order of their
// numbers, and those that are counted only.
func (h *ScanHeader) nmapPorts(host *stats.ScanHost) (rows []portRow, rest []nmapExtra) {
	for _, g := range host.Groups() {
		switch one := g.Rows(); {
		case h.OpenOnly && g.State != probe.PortOpen, g.Pending:
		case one == nil && g.State == probe.PortOpen:
			for _, p := range g.Ports() {
				rows = append(rows, portRow{g, stats.PortRow{Port: p}})
			}
		case one == nil:
			rest = append(rest, nmapExtra{g.State, g.Reason, g.UDP, g.Count})
		default:
			for _, r := range one {
				rows = append(rows, portRow{g, r})
			}
		}
	}
	if n := host.Pending(); n > 0 && !h.OpenOnly {
		rest = append(rest, nmapExtra{probe.PortUnknown, probe.Canceled, h.UDP, n})
	}
	slices.SortStableFunc(rows, func(a, b portRow) int { return cmp.Compare(a.row.Port, b.row.Port) })
	return rows, rest
}

// countExtra returns how many of the ports that are counted only have that state.
func countExtra(rest []nmapExtra, state probe.PortState) (n int) {
	for _, e := range rest {
		if e.state == state {
			n += e.count
		}
	}
	return n
}

// ctime is how nmap writes a time for people.
func ctime(t time.Time) string { return t.Local().Format(time.ANSIC) }

// commandLine returns how the program was called.
func commandLine(h *Header) string {
	return bounded(strings.Join(append([]string{"netprobe"}, h.Args...), " "))
}

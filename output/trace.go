package output

import (
	"io"
	"net/netip"
)

// TraceHeader is what a trace is about to do.
type TraceHeader struct {
	Proto      string // icmp, udp or tcp
	Port       uint16 // destination port; 0 for icmp
	Flow       uint16 // see probe.Path
	TOS        uint8  // octet with which the probes leave
	First, Max uint8  // TTLs to try; 0 means 1 and 30
	Count      int    // probes per hop, 0 means 3; with Monitor rounds, 0 for endless
	PacketSize int    // IP packet, bytes; 0 means 60 for IPv4 and 80 for IPv6

	Monitor bool // goes on: statistics of each hop instead of its probes
	Paths   bool // every equal-cost path is looked for
	Verdict bool // hops that lose are asked again
	MTU     bool // the path MTU is looked for

	Blind []string // what this kind of socket cannot see, in words for people

	// Name, if not nil, returns the reverse name of an address as far as it is
	// known by now; known is also true if there turned out to be none. It must
	// not block. A finished Path has its own names.
	Name func(netip.Addr) (name string, known bool)
}

var traceFormats = []format{
	{"plain", newTracePlain},
	{"table", newTraceTable},
	{"json", newTraceJSON},
	{"dot", newTraceDot},
	{"csv", newTraceCSV},
}

// TraceFormats returns the names that NewTraceView knows.
func TraceFormats() []string { return formatNames(traceFormats) }

// NewTraceView returns a View of a trace in the given format that writes whole
// lines to w. It is told the outcomes of probes, whose Detail is a *probe.Hop,
// and for each target one conclusion, whose Detail is a *probe.Path.
func NewTraceView(format string, w io.Writer, o Options) (View, error) {
	return newView(traceFormats, format, w, o)
}

// first returns the lowest TTL of the trace.
func (t *TraceHeader) first() uint8 { return max(t.First, 1) }

// max returns the highest TTL of the trace.
func (t *TraceHeader) max() uint8 {
	if t.Max == 0 {
		return 30
	}
	return t.Max
}

// count returns the number of probes that the first look gives each hop.
func (t *TraceHeader) count() int {
	if t.Count == 0 || t.Monitor {
		return 3
	}
	return t.Count
}

// size returns the size of a probe to addr as an IP packet, in bytes.
func (t *TraceHeader) size(addr netip.Addr) int {
	switch {
	case t.PacketSize > 0:
		return t.PacketSize
	case addr.Is4():
		return 60
	}
	return 80
}

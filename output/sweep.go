package output

import (
	"io"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// SweepHeader is what the verb sweep adds to a Header. Header.Targets is empty
// then: nobody knows all hosts of a sweep.
type SweepHeader struct {
	Stats   *stats.Sweep // where Report counts the hosts
	Targets string       // as the user wrote them
	All     bool         // show every host, not only those that answered
	List    string       // fping's lists: "alive" or "unreachable"; empty for a line for each host

	By4, By6 int // bits of the subnets whose totals are shown; 0 for none

	// What is to come, for views that cannot wait for it: names beside
	// addresses, and IPv6 addresses. Wrong ones only look worse.
	Names, IPv6 bool

	// Progress says how far the sweep is; nil if nobody knows.
	Progress func() Progress
	// Sent returns how many packets have left so far; nil for what the Results
	// say. A Result of a host asked in several ways counts only the last of them.
	Sent func() uint64
}

var sweepFormats = []format{
	{"table", newSweepTable},
	{"plain", newSweepPlain},
	{"json", newSweepJSON},
	{"csv", newSweepCSV},
	{"fping", newSweepFping},
}

// SweepFormats returns the names that NewSweepView knows.
func SweepFormats() []string { return formatNames(sweepFormats) }

// NewSweepView returns a View of hosts, in the given format, that writes whole
// lines to w. Its Header must have a Sweep.
func NewSweepView(format string, w io.Writer, o Options) (View, error) {
	return newView(sweepFormats, format, w, o)
}

// summary returns what the sweep counted so far, with the packets that left.
func (h *SweepHeader) summary() stats.SweepSummary {
	s := h.Stats.Summary()
	if h.Sent != nil {
		if sent := h.Sent(); sent > s.Probes {
			s.Lost += sent - s.Probes
			s.Probes = sent
		}
	}
	return s
}

func (h *SweepHeader) count(r *probe.Result) { h.Stats.Record(r) }

func (h *SweepHeader) over() {}

// progress returns how far the sweep is, from what it counted if nobody knows
// better.
func (h *SweepHeader) progress(elapsed time.Duration) Progress {
	if h.Progress != nil {
		return h.Progress()
	}
	all, alive := h.Stats.Hosts()
	return Progress{Asked: all, Decided: all, Alive: alive, Elapsed: elapsed}
}

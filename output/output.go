// Package output shows a run: plain lines as ping and traceroute print them, a
// table, JSON records, CSV, the lines of fping, graphs of Graphviz, and the two
// formats that tools read from nmap. What is probed again and again has the
// Views of NewView, paths have those of NewTraceView, hosts asked once those of
// NewSweepView, their ports those of NewScanView, and name servers those of
// NewDNSView. A Report feeds Results to statistics and to any number of Views;
// Writer and File see to it that a slow, blocked or vanished reader never holds
// up probing, and a StatusLine that progress and results do not mix on a
// terminal.
//
// It knows no protocol, and it holds the published description of the records,
// schema/v1.json, which its tests enforce.
//
// What surprises: names, banners and error texts may come from the network, so
// no byte of them reaches a terminal unescaped (Escape), and a View never
// decides what a Result means: package probe did.
package output

import (
	"fmt"
	"io"
	"strings"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// Header is what a run is about to do.
type Header struct {
	ID      string   // shared by all records of the run
	Verb    string   // ping, tcp, udp, ...
	Version string   // of netprobe
	Host    string   // name of this host
	Args    []string // the command line after the program's name
	Start   time.Time

	Socket  string      // raw, dgram or connect
	Clock   probe.Clock // of the round-trip times to come
	Planned int64       // probes in the whole run; -1 if endless

	Targets   []*probe.Target
	Size      int    // payload of each probe, bytes
	Source    string // own address, where one was chosen or an interface was; else empty
	Interface string // where one was chosen; else empty
	Numeric   bool   // addresses only, no names, in lines of answers

	Interval, Timeout time.Duration

	Trace *TraceHeader // what the verb trace adds; nil for the others
	Sweep *SweepHeader // what the verb sweep adds; nil for the others
	Scan  *ScanHeader  // what the verb scan adds; nil for the others
	DNS   *DNSHeader   // what the verb dns adds; nil for the others
}

// A pass is what a Header has of a verb that asks everything once. It counts the
// Results, and there are no rows of a stats.Set.
type pass interface {
	count(r *probe.Result)
	progress(elapsed time.Duration) Progress
	over() // the last Result was counted
}

// pass returns nil for verbs that probe the same targets again and again.
func (h *Header) pass() pass {
	switch {
	case h.Sweep != nil:
		return h.Sweep
	case h.Scan != nil:
		return h.Scan
	}
	return nil
}

// End is how a run ended.
type End struct {
	StoppedBy string // done, deadline, signal, until or output
	Exit      int    // the code the process will exit with
	Time      time.Time
	Notes     []string // lines for people, such as the conditions that fired
}

// Options say how a View should look. The zero value is right for a file.
type Options struct {
	Quiet      bool // summary only
	Timestamps bool // each line starts with the time, as ping -D
	Color      bool // ANSI colours are wanted
	Terminal   bool // w is a terminal: lines may be redrawn in place
	Probes     bool // records of a trace: also one for each probe

	// Size returns the present size of the terminal in character cells; it is
	// asked before each redraw. Nil means 80 by 24.
	Size func() (cols, rows int)
}

// A View shows one run. Its calls come one at a time: Begin, any number of
// Result and Refresh, End. Each error it returns is one of the io.Writer it
// writes to.
type View interface {
	Begin(h *Header, set *stats.Set) error
	// Result shows r, which was already counted: in the row t, or in the Stats of
	// a sweep or a scan; t is nil then.
	Result(r *probe.Result, t *stats.Target) error
	// Refresh redraws what is redrawn in place. Most Views have nothing to do.
	Refresh(now time.Time) error
	End(e *End) error
}

// format is one way to show a run.
type format struct {
	name string
	new  func(w io.Writer, o Options) View
}

var formats = []format{
	{"plain", newPlain},
	{"table", newTable},
	{"json", newJSON},
	{"csv", newCSV},
	{"fping", newFping},
}

// Formats returns the names that NewView knows.
func Formats() []string { return formatNames(formats) }

// NewView returns a View of the given format that writes whole lines to w.
func NewView(format string, w io.Writer, o Options) (View, error) {
	return newView(formats, format, w, o)
}

func formatNames(formats []format) []string {
	var names []string
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

func newView(formats []format, name string, w io.Writer, o Options) (View, error) {
	for _, f := range formats {
		if f.name == name {
			return f.new(w, o), nil
		}
	}
	return nil, fmt.Errorf("unknown output format %q: use one of %s", name, strings.Join(formatNames(formats), ", "))
}

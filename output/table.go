package output

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// table shows one row for each target. On a terminal it is redrawn in place,
// as many rows as fit, and left standing complete at the end; elsewhere it is
// printed once, at the end, and until then one line says when a target goes
// down or comes back.
type table struct {
	w      io.Writer
	o      Options
	h      *Header
	set    *stats.Set
	states []rowState // by target ID
	screen screen
	news   bool // a line was printed before the table
	buf    []byte
}

func newTable(w io.Writer, o Options) View {
	return &table{w: w, o: o, screen: screen{look: o}}
}

// condition is whether a target answered its last decided probe.
type condition uint8

const (
	waiting  condition = iota // no probe was decided yet
	up                        // answered
	tardy                     // answered, but late
	down                      // lost, an ICMP error, or a fault above the transport
	untested                  // could not be tested
)

// historyLength is how many round-trip times a row draws.
const historyLength = 16

// rowState is what a row shows beside the statistics.
type rowState struct {
	condition condition
	reason    probe.Reason
	fault     *probe.Layers                // why it is down though somebody answers; nil if it is not
	last      time.Duration                // RTT of the last answer
	answered  bool                         // last is valid
	history   [historyLength]time.Duration // a ring; noAnswer where there was none
	outcomes  uint64                       // ever put into history
}

const noAnswer = time.Duration(-1)

func (s *rowState) add(r *probe.Result) {
	if r.Status == probe.Pending {
		return // nobody knows, so what was known stands
	}
	s.reason, s.fault = r.Reason, r.Fault()
	rtt := noAnswer
	switch {
	case r.Status == probe.Failed:
		s.condition = untested
		return
	case s.fault != nil:
		s.condition = down
	case r.Status == probe.Reply:
		s.condition, s.last, s.answered, rtt = up, r.RTT, true, r.RTT
	case r.Status == probe.Late:
		s.condition, s.last, s.answered = tardy, r.RTT, true
	default:
		s.condition = down
	}
	s.history[s.outcomes%historyLength] = rtt
	s.outcomes++
}

// why says why a target is down.
func (s *rowState) why() string {
	if s.fault != nil {
		return string(appendFault(nil, s.fault))
	}
	return s.reason.String()
}

// live reports whether the table is redrawn in place.
func (v *table) live() bool { return v.o.Terminal && !v.o.Quiet }

func (v *table) Begin(h *Header, set *stats.Set) error {
	v.h, v.set = h, set
	v.states = make([]rowState, len(h.Targets))
	if !v.live() {
		return nil
	}
	return v.draw(h.Start)
}

func (v *table) Result(r *probe.Result, t *stats.Target) error {
	if !r.Outcome() {
		return nil
	}
	s := &v.states[r.Target.ID]
	before := s.condition
	s.add(r)
	if v.o.Quiet || v.o.Terminal || !changed(before, s.condition) {
		return nil
	}
	return v.announce(s, t)
}

// changed reports whether a target went down or came back. That it is up at
// first is no news.
func changed(before, after condition) bool {
	switch after {
	case up, tardy:
		return before == down || before == untested
	case down, untested:
		return before != after
	}
	return false
}

// announce writes "2024-05-01 12:00:00 host down (host-unreachable)".
func (v *table) announce(s *rowState, t *stats.Target) error {
	b := time.Now().AppendFormat(v.buf[:0], time.DateTime)
	b = append(b, ' ')
	b = appendEscaped(b, t.Name)
	switch s.condition {
	case up, tardy:
		b = append(b, " up"...)
	case down:
		b = append(append(b, " down ("...), s.why()...)
		b = append(b, ')')
	default:
		b = append(b, " could not test ("+s.reason.String()+")"...)
	}
	v.buf, v.news = append(b, '\n'), true
	_, err := v.w.Write(v.buf)
	return err
}

func (v *table) Refresh(now time.Time) error {
	if !v.live() || v.h == nil {
		return nil
	}
	v.buf = v.buf[:0]
	return v.draw(now)
}

// detach leaves what is on the screen as it is: the next frame goes below it.
func (v *table) detach() { v.screen.detach() }

// draw replaces the lines on the screen by a new frame that fits it.
func (v *table) draw(now time.Time) error {
	cols, rows := v.screen.size()
	shown := v.choose(rows)
	g := v.layout(shown, cols)
	lines := append([]string{v.title(now)}, g.lines()...)
	if n := len(v.states) - len(shown); n > 0 {
		lines = append(lines, v.more(shown, n))
	}
	v.buf = v.screen.replace(v.buf, lines, cols)
	_, err := v.w.Write(v.buf)
	return err
}

// choose returns the IDs of the rows to show on a screen of the given height,
// in their order: all if they fit, else those in trouble before the others.
func (v *table) choose(height int) []int {
	const around = 4 // title, column names, "and 3 more", the line of the cursor
	room := len(v.states)
	if room > height-around+1 {
		room = max(height-around, 1)
	}
	var ids []int
	trouble := 0
	for i := range v.states {
		if v.inTrouble(i) {
			trouble++
		}
	}
	trouble = min(trouble, room)
	calm := room - trouble
	for i := range v.states {
		switch {
		case v.inTrouble(i) && trouble > 0:
			trouble--
		case !v.inTrouble(i) && calm > 0:
			calm--
		default:
			continue
		}
		ids = append(ids, i)
	}
	return ids
}

func (v *table) inTrouble(id int) bool {
	c := v.states[id].condition
	return c == down || c == untested || v.set.Rows()[id].Err != nil
}

// title returns "netprobe ping: 12 targets, 10 up, 2 down, 1 min 5 s".
func (v *table) title(now time.Time) string {
	plural := "s"
	if len(v.states) == 1 {
		plural = ""
	}
	b := fmt.Appendf(nil, "netprobe %s: %d target%s", v.h.Verb, len(v.states), plural)
	b = v.appendTally(b, nil)
	elapsed := max(now.Sub(v.h.Start), 0).Truncate(time.Second)
	b = append(b, ", "...)
	b = append(b, wholeSeconds(elapsed)...)
	return v.o.paint(bold, string(b))
}

func wholeSeconds(d time.Duration) string {
	if d < time.Minute {
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	return FormatDuration(d)
}

// appendTally appends ", 10 up, 2 down" for all rows but those in skip.
func (v *table) appendTally(b []byte, skip map[int]bool) []byte {
	var n [untested + 1]int
	for i := range v.states {
		if skip[i] {
			continue
		}
		c := v.states[i].condition
		if v.set.Rows()[i].Err != nil {
			c = untested
		}
		n[c]++
	}
	for _, p := range []struct {
		n    int
		word string
	}{{n[up] + n[tardy], "up"}, {n[down], "down"}, {n[untested], "not tested"}} {
		if p.n > 0 {
			b = fmt.Appendf(b, ", %d %s", p.n, p.word)
		}
	}
	return b
}

// more returns the line about the n rows that did not fit.
func (v *table) more(shown []int, n int) string {
	skip := make(map[int]bool, len(shown))
	for _, id := range shown {
		skip[id] = true
	}
	return v.o.paint(dim, string(v.appendTally(fmt.Appendf(nil, "and %d more", n), skip)))
}

func (v *table) End(e *End) error {
	b := v.buf[:0]
	all := make([]int, len(v.states))
	for i := range all {
		all[i] = i
	}
	cols := 0 // as wide as it needs to be
	if v.o.Terminal {
		cols, _ = v.screen.size()
	}
	lines := v.layout(all, cols).lines()
	if v.live() {
		b = v.screen.replace(b, lines, cols)
	} else {
		if v.news {
			b = append(b, '\n')
		}
		for _, l := range lines {
			b = append(append(b, l...), '\n')
		}
	}
	b = v.appendRemarks(b)
	v.buf = appendNotes(b, e)
	_, err := v.w.Write(v.buf)
	return err
}

// appendRemarks appends what a row has no column for, set apart.
func (v *table) appendRemarks(b []byte) []byte {
	start := len(b)
	for _, t := range v.set.Rows() {
		s := t.Summary()
		if s.Error != nil {
			b = startRemark(b, t.Name, len(b) == start)
			b = append(b, "could not test: "...)
			b = appendEscaped(b, s.Error.Error())
			b = append(b, '\n')
		}
		if s.PathMTU != nil {
			b = startRemark(b, t.Name, len(b) == start)
			b = appendPathMTU(b, s.PathMTU)
		}
	}
	return b
}

// startRemark starts a line about the target name, the first one behind an
// empty line.
func startRemark(b []byte, name string, first bool) []byte {
	if first {
		b = append(b, '\n')
	}
	b = appendEscaped(b, name)
	return append(b, ": "...)
}

package output

import (
	"io"
	"strconv"
	"time"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
	"netprobe/stats"
)

// Widths of the columns of a table of hosts, in cells. A row is printed as soon
// as a host is known, so they cannot follow what stands in them; what is wider
// shifts the rest of its row.
const (
	address4Width = 15 // 255.255.255.255
	address6Width = 39 // eight groups of four digits
	address6Least = 25 // most addresses with a few zeros
	nameMost      = 32
	nameLeast     = 12
	rttWidth      = 7
	ttlWidth      = 3
	remarkLeast   = 20 // that should fit behind the others
)

// hostSigns are how the states look, by state.
var hostSigns = [...]cell{
	stats.HostSilent:      {"○ silent", dim},
	stats.HostAlive:       {"● alive", green},
	stats.HostAmplifier:   {"● broadcast", yellow},
	stats.HostUnreachable: {"● unreachable", red},
	stats.HostFailed:      {"○ not tested", yellow},
	stats.HostPending:     {"○ undecided", dim},
}

// signWidth is the width of the widest of hostSigns.
const signWidth = len("* unreachable")

// sweepTable prints a row for each host as soon as it is known, in columns of
// fixed width.
type sweepTable struct {
	sweepText
	addrs int                    // width of the addresses
	names int                    // of the names; 0 without that column
	signs [len(hostSigns)][]byte // painted and padded
}

func newSweepTable(w io.Writer, o Options) View {
	v := &sweepTable{sweepText: sweepText{sweepLines{o: o}, textView{w: w}}}
	for i, s := range hostSigns {
		v.signs[i] = appendPad([]byte(o.paint(s.color, s.text)), signWidth-runewidth.StringWidth(s.text))
	}
	return v
}

func (v *sweepTable) Begin(h *Header, set *stats.Set) error {
	v.addrs = address4Width
	if h.Sweep.IPv6 {
		v.addrs = address6Width
	}
	if h.Sweep.Names && !h.Numeric {
		v.names = nameMost
	}
	if v.o.Terminal && v.o.Size != nil {
		cols, _ := v.o.Size()
		v.squeeze(cols)
	}
	return v.sweepText.Begin(h, set)
}

// squeeze makes room for remarks on a terminal of cols cells: names give way
// first, then addresses.
func (v *sweepTable) squeeze(cols int) {
	over := v.width() + remarkLeast - cols
	if over <= 0 || cols <= 0 {
		return
	}
	if v.names > 0 {
		before := v.names
		v.names = max(v.names-over, nameLeast)
		over -= before - v.names
	}
	if v.addrs > address6Least && over > 0 {
		v.addrs = max(v.addrs-over, address6Least)
	}
}

// width returns where remarks begin.
func (v *sweepTable) width() int {
	width := v.addrs + signWidth + rttWidth + ttlWidth + 4*len(gap)
	if v.names > 0 {
		width += v.names + len(gap)
	}
	if v.o.Timestamps {
		width += len(time.DateTime) + len(gap)
	}
	return width
}

// appendTitles appends the line of titles.
func (v *sweepTable) appendTitles(b []byte) []byte {
	left := func(title string, width int) {
		b = append(b, v.o.paint(dim, title)...)
		b = append(appendPad(b, width-len(title)), gap...)
	}
	right := func(title string, width int) {
		b = appendPad(b, width-len(title))
		b = append(append(b, v.o.paint(dim, title)...), gap...)
	}
	if v.o.Timestamps {
		left("time", len(time.DateTime))
	}
	left("address", v.addrs)
	if v.names > 0 {
		left("name", v.names)
	}
	left("state", signWidth)
	right("rtt ms", rttWidth)
	right("ttl", ttlWidth)
	return append(append(b, v.o.paint(dim, "remark")...), '\n')
}

func (v *sweepTable) Result(r *probe.Result, _ *stats.Target) error {
	state, ok := v.shows(r)
	if !ok {
		return nil
	}
	b := v.buf[:0]
	if !v.some {
		b = v.appendTitles(b)
	}
	return v.write(v.appendRow(b, r, state))
}

func (v *sweepTable) appendRow(b []byte, r *probe.Result, state stats.HostState) []byte {
	if v.o.Timestamps {
		b = append(appendLocal(b, time.Now()), gap...)
	}
	at := len(b)
	if r.Target.Addr.Addr().IsValid() {
		b = appendIP(b, r.Target)
	} else {
		b = append(b, '-')
	}
	b = append(appendPad(b, v.addrs-(len(b)-at)), gap...) // addresses are ASCII, or escaped to it
	if v.names > 0 {
		b = append(v.appendName(b, r.Target.Name), gap...)
	}
	b = append(append(b, v.signs[state]...), gap...)
	at = len(b)
	if state == stats.HostAlive {
		b = padLeft(appendPingTime(b, r.RTT), at, rttWidth)
	} else {
		b = append(appendPad(b, rttWidth-1), '-')
	}
	b = append(b, gap...)
	at = len(b)
	if r.TTL > 0 {
		b = padLeft(strconv.AppendUint(b, uint64(r.TTL), 10), at, ttlWidth)
	} else {
		b = append(appendPad(b, ttlWidth-1), '-')
	}
	at = len(b)
	b = append(b, gap...)
	if !r.Target.Addr.Addr().IsValid() && v.names == 0 {
		b = appendEscaped(b, bounded(r.Target.Name))
		b = append(b, ": "...)
	}
	if b = appendRemark(b, r, state); len(b) == at+len(gap) {
		b = b[:at]
	}
	return append(b, '\n')
}

// appendName appends the name of a host, padded, and cut on a terminal.
func (v *sweepTable) appendName(b []byte, name string) []byte {
	if name == "" {
		return appendPad(append(b, '-'), v.names-1)
	}
	at := len(b)
	b = appendEscaped(b, bounded(name))
	width := len(b) - at
	for _, c := range b[at:] {
		if c >= 0x80 {
			width = runewidth.StringWidth(string(b[at:]))
			break
		}
	}
	if width > v.names && v.o.Terminal {
		b = append(b[:at], runewidth.Truncate(string(b[at:]), v.names, "…")...)
		width = runewidth.StringWidth(string(b[at:]))
	}
	return appendPad(b, v.names-width)
}

// padLeft moves what stands in b from at on to the right end of width cells. It
// is ASCII.
func padLeft(b []byte, at, width int) []byte {
	n := len(b) - at
	if n >= width {
		return b
	}
	b = appendPad(b, width-n)
	copy(b[at+width-n:], b[at:at+n])
	for i := range width - n {
		b[at+i] = ' '
	}
	return b
}

package output

import (
	"io"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepChunk is about how many bytes of a long table go into one write.
const sweepChunk = 1 << 16

// textView writes lines that stay.
type textView struct {
	w    io.Writer
	some bool // a line was printed
	buf  []byte
}

// Refresh does nothing: a line stays.
func (v *textView) Refresh(time.Time) error { return nil }

func (v *textView) write(b []byte) error {
	v.buf = b[:0]
	if len(b) == 0 {
		return nil
	}
	v.some = true
	_, err := v.w.Write(b)
	return err
}

// apart starts a block: behind an empty line unless it is the first one.
func (v *textView) apart() []byte {
	b := v.buf[:0]
	if v.some {
		b = append(b, '\n')
	}
	return b
}

// sweepText is what the views share that people read.
type sweepText struct {
	sweepLines
	textView
}

func (v *sweepText) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	return nil
}

// End shows the totals of the subnets, if they were asked for, and the summary,
// apart from what stands before.
func (v *sweepText) End(e *End) error {
	if err := v.endSubnets(); err != nil {
		return err
	}
	b := v.apart()
	return v.write(appendSweepSummary(b, v.o, v.h, e))
}

func (v *sweepText) endSubnets() error {
	rows := v.h.Sweep.Stats.Subnets()
	if len(rows) == 0 {
		return nil
	}
	g := newSubnetGrid(v.o, rows)
	b := g.appendTitles(v.apart())
	for _, n := range rows {
		b = g.appendRow(b, n)
		if len(b) >= sweepChunk {
			if err := v.write(b); err != nil {
				return err
			}
			b = v.buf
		}
	}
	return v.write(b)
}

// sweepPlain prints a line for each host, in the words of fping as far as it has
// any: "192.0.2.1 is alive (0.31 ms)".
type sweepPlain struct{ sweepText }

func newSweepPlain(w io.Writer, o Options) View {
	return &sweepPlain{sweepText{sweepLines{o: o}, textView{w: w}}}
}

func (v *sweepPlain) Result(r *probe.Result, _ *stats.Target) error {
	state, ok := v.shows(r)
	if !ok {
		return nil
	}
	b := appendEpoch(v.buf[:0], v.o)
	b = appendSweepHost(b, r.Target, !v.h.Numeric)
	switch state {
	case stats.HostAlive:
		b = append(b, " is alive ("...)
		b = appendPingTime(b, r.RTT)
		b = append(b, " ms"...)
		at := len(b)
		b = append(b, ", "...)
		if b = appendRemark(b, r, state); len(b) == at+len(", ") {
			b = b[:at]
		}
		return v.write(append(b, ")\n"...))
	case stats.HostAmplifier:
		b = append(b, " is a broadcast address ("...)
	case stats.HostFailed:
		b = append(b, " was not tested ("...)
	case stats.HostPending:
		b = append(b, " is undecided ("...)
	default:
		b = append(b, " is unreachable ("...)
	}
	b = appendRemark(b, r, state)
	return v.write(append(b, ")\n"...))
}

// appendEpoch appends the time as ping -D does, if that is wanted:
// [1700000000.123456].
func appendEpoch(b []byte, o Options) []byte {
	if !o.Timestamps {
		return b
	}
	us := time.Now().UnixMicro()
	b = append(b, '[')
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for scale := int64(1e5); scale > 0; scale /= 10 {
		b = append(b, byte('0'+us/scale%10))
	}
	return append(b, "] "...)
}

package output

import (
	"io"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepFping prints what fping prints of hosts asked once, and nothing else: "X
// is alive" and "X is unreachable", or with a list of only the one or the other
// the bare hosts. A host is what the user wrote, or its address where that was a
// range, or names are not wanted.
//
// fping has no words for what is no host's state: a host that could not be
// tested or is undecided, and a broadcast address, have no line. SweepNotes
// tells of them.
type sweepFping struct {
	w   io.Writer
	o   Options
	h   *Header
	buf []byte
}

func newSweepFping(w io.Writer, o Options) View { return &sweepFping{w: w, o: o} }

func (v *sweepFping) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	return nil
}

func (v *sweepFping) Result(r *probe.Result, _ *stats.Target) error {
	if !r.Outcome() || v.o.Quiet {
		return nil
	}
	alive := false
	switch stats.StateOf(r) {
	case stats.HostAlive:
		alive = true
	case stats.HostUnreachable, stats.HostSilent:
	default:
		return nil
	}
	b := v.buf[:0]
	switch list := v.h.Sweep.List; {
	case list == "":
		b = v.appendHost(b, r.Target)
		if alive {
			b = append(b, " is alive\n"...)
		} else {
			b = append(b, " is unreachable\n"...)
		}
	case alive == (list == "alive"):
		b = append(v.appendHost(b, r.Target), '\n')
	default:
		return nil
	}
	v.buf = b
	_, err := v.w.Write(b)
	return err
}

func (v *sweepFping) appendHost(b []byte, t *probe.Target) []byte {
	if t.Name == "" || v.h.Numeric && t.Addr.Addr().IsValid() {
		return appendIP(b, t)
	}
	return append(b, oneWord(t.Name)...)
}

// Refresh does nothing: a line stays.
func (v *sweepFping) Refresh(time.Time) error { return nil }

// End writes nothing: fping has no summary in this mode.
func (v *sweepFping) End(*End) error { return nil }

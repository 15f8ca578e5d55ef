package output

import (
	"io"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// sweepCSVHeader names the columns. It is additive: new columns come last.
const sweepCSVHeader = "time,target,addr,port,kind,tries,alive,status,reason,from,rtt_ms,clock,ttl,flags,responders,error\n"

// sweepCSV writes a header and one line for each host that has a host record,
// with its values, quoted as those of probes.
type sweepCSV struct {
	sweepRows
	w   io.Writer
	buf []byte
}

func newSweepCSV(w io.Writer, o Options) View { return &sweepCSV{sweepRows: sweepRows{o: o}, w: w} }

func (v *sweepCSV) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	_, err := io.WriteString(v.w, sweepCSVHeader)
	return err
}

func (v *sweepCSV) Result(r *probe.Result, _ *stats.Target) error {
	state, ok := v.shows(r)
	if !ok {
		return nil
	}
	v.buf = v.appendHost(v.buf[:0], r, state)
	_, err := v.w.Write(v.buf)
	return err
}

func (v *sweepCSV) appendHost(b []byte, r *probe.Result, state stats.HostState) []byte {
	t := r.Target
	b = v.clock.appendTime(b, r.Sent)
	b = append(b, ',')
	b = appendTargetField(b, t)
	b = append(b, ',')
	if t.Addr.Addr().IsValid() {
		b = appendIP(b, t)
	}
	b = appendNumber(b, uint64(sweepPort(r)), sweepPort(r) != 0)
	b = append(append(b, ','), sweepKind(r)...)
	b = appendNumber(b, r.Seq, true)
	b = strconv.AppendBool(append(b, ','), state == stats.HostAlive)
	b = append(append(b, ','), r.Status.String()...)
	b = append(append(b, ','), r.Reason.String()...)
	b = appendCSVAnswer(b, r)
	b = appendFlagWords(append(b, ','), r.Flags)
	d := sweepResponders(r)
	if d == nil {
		b = append(b, ',')
	} else {
		b = appendNumber(b, uint64(d.Count), true)
	}
	b = append(b, ',')
	if r.Err != nil {
		b = appendField(b, bounded(r.Err.Error()))
	}
	return append(b, '\n')
}

// appendFlagWords appends the names of the set flags, separated by spaces.
func appendFlagWords(b []byte, f probe.Flags) []byte {
	for i, first := 0, true; f != 0 && i < len(flagNames); i++ {
		if f&(1<<i) == 0 {
			continue
		}
		if !first {
			b = append(b, ' ')
		}
		b, first = append(b, flagNames[i]...), false
	}
	return b
}

// Refresh does nothing: a line stays.
func (v *sweepCSV) Refresh(time.Time) error { return nil }

// End writes nothing: a CSV file has one kind of line.
func (v *sweepCSV) End(*End) error { return nil }

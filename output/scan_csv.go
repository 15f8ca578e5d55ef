package output

import (
	"io"
	"strconv"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// scanCSVHeader names the columns. It is additive: new columns come last.
const scanCSVHeader = "time,target,addr,proto,port,service,state,reason,from,rtt_ms,clock,ttl,tries,status,confidence,banner,error\n"

// scanCSV writes a header and one line for each port that has a port record,
// with its values, quoted as those of probes.
type scanCSV struct {
	w     io.Writer
	o     Options
	h     *Header
	clock recordClock
	buf   []byte
}

func newScanCSV(w io.Writer, o Options) View { return &scanCSV{w: w, o: o} }

func (v *scanCSV) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	_, err := io.WriteString(v.w, scanCSVHeader)
	return err
}

func (v *scanCSV) Result(r *probe.Result, _ *stats.Target) error {
	state, ok := v.h.Scan.shows(r)
	if !ok || v.o.Quiet {
		return nil
	}
	v.buf = v.appendPort(v.buf[:0], r, state)
	_, err := v.w.Write(v.buf)
	return err
}

func (v *scanCSV) appendPort(b []byte, r *probe.Result, state probe.PortState) []byte {
	t, udp := r.Target, v.h.Scan.Stats.UDP(r)
	b = v.clock.appendTime(b, r.Sent)
	b = append(b, ',')
	b = appendTargetField(b, t)
	b = appendIP(append(b, ','), t)
	b = append(append(b, ','), proto(udp)...)
	b = append(b, ',')
	b = strconv.AppendUint(b, uint64(t.Addr.Port()), 10)
	b = append(b, ',')
	if service := v.h.Scan.service(t.Addr.Port(), udp); service != "" {
		b = appendField(b, service)
	}
	b = append(append(b, ','), state.String()...)
	b = append(append(b, ','), r.Reason.String()...)
	b = appendCSVAnswer(b, r)
	b = appendNumber(b, r.Seq, true)
	b = append(append(b, ','), r.Status.String()...)
	b = append(append(b, ','), confidence(r, state, udp)...)
	b = append(b, ',')
	if text, ok := banner(layers(r)); ok {
		b = appendField(b, text)
	}
	b = append(b, ',')
	if r.Err != nil {
		b = appendField(b, bounded(r.Err.Error()))
	}
	return append(b, '\n')
}

// Refresh does nothing: a line stays.
func (v *scanCSV) Refresh(time.Time) error { return nil }

// End writes nothing: a CSV file has one kind of line.
func (v *scanCSV) End(*End) error { return nil }

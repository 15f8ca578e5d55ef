package output

import (
	"io"

	"netprobe/probe"
	"netprobe/stats"
)

// scanPlain prints a line for each open port as soon as it is found, made for
// grep and awk: "192.0.2.7:22 open ssh syn-ack 0.312 ms". Words one to four are
// always there; what a service says comes last.
type scanPlain struct{ scanText }

func newScanPlain(w io.Writer, o Options) View {
	return &scanPlain{scanText{textView: textView{w: w}, o: o}}
}

func (v *scanPlain) Result(r *probe.Result, _ *stats.Target) error {
	scan := v.h.Scan
	if v.o.Quiet || !r.Outcome() {
		return nil
	}
	state, ok := scan.shows(r)
	switch {
	case !ok:
		return v.unresolved()
	case state == probe.PortOpen || scan.All:
	case r.Status == probe.Failed && scan.Stats.NewFailure(): // the first of its kind
	default:
		return nil
	}
	b := appendEpoch(v.buf[:0], v.o)
	return v.write(v.appendPort(b, r, state))
}

// unresolved prints a name without an address, if that is what came last.
func (v *scanPlain) unresolved() error {
	h := v.h.Scan.Stats.Done()
	if h == nil || h.Err == nil || !v.h.Scan.All && !v.h.Scan.Stats.NewFailure() {
		return nil
	}
	b := appendEpoch(v.buf[:0], v.o)
	b = append(b, oneWord(h.Name)...)
	b = append(append(b, " was not tested ("...), clip(h.Err.Error())...)
	return v.write(append(b, ")\n"...))
}

func (v *scanPlain) appendPort(b []byte, r *probe.Result, state probe.PortState) []byte {
	t, udp := r.Target, v.h.Scan.Stats.UDP(r)
	b = append(appendAddrPort(b, t.Addr, udp), ' ')
	if r.Status == probe.Pending {
		b = append(b, "undecided"...)
	} else {
		b = append(b, state.String()...)
	}
	b = append(b, ' ')
	if service := v.h.Scan.service(t.Addr.Port(), udp); service == "" {
		b = append(b, '-')
	} else {
		b = appendEscaped(b, service)
	}
	b = append(append(b, ' '), r.Reason.String()...)
	if from := answerer(r); from.IsValid() {
		if from != t.Addr.Addr() {
			b = appendAddrEscaped(append(b, " from "...), from)
		}
		b = append(appendPingTime(append(b, ' '), r.RTT), " ms"...)
	}
	if t.Name != "" && !v.h.Numeric {
		b = appendEscaped(append(b, " ("...), bounded(t.Name))
		b = append(b, ')')
	}
	switch l := layers(r); {
	case r.Err != nil:
		b = appendFailureText(append(b, ": "...), r.Reason, r.Err)
	case l != nil:
		if text := saidText(l); text != "" {
			b = append(append(b, ": "...), text...)
		}
	}
	return append(b, '\n')
}

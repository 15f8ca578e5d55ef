package dnsprobe

import (
	"netprobe/probe"
)

// conclude ends a query with an answer.
func (e *run) conclude(f *flight, res probe.Result, msg []byte, r *reply, cookie []byte) {
	if e.cfg.Brief {
		res.Detail = e.brief(r.rcode)
		e.settle(f, res, true)
		return
	}
	m, err := decode(msg, cookie)
	if err != nil {
		// Its shape is right, its content is not: it is no use to anybody.
		f.stray(probe.DNSStray{From: wire(e.rows[f.server].target.Addr), Why: "malformed", What: err.Error(), At: res.RTT})
		e.tell(f, probe.Result{Status: probe.Lost, Reason: probe.BadReply, Sent: res.Sent})
		return
	}
	d := e.detail(f)
	d.Answer = m
	d.Unmet = unmet(e.cfg.Expect, e.cfg.Questions[f.question], e.cfg.Questions, m)
	res.Detail = d
	e.settle(f, res, true)
}

// brief is the Detail of an answer of which the rcode alone counts.
func (e *run) brief(rcode int) *probe.DNS {
	d := e.briefs[rcode]
	if d == nil {
		d = &probe.DNS{Answer: &probe.DNSMessage{Rcode: rcodeName(rcode)}}
		e.briefs[rcode] = d
	}
	return d
}

// tell ends a query without an answer.
func (e *run) tell(f *flight, res probe.Result) {
	d := e.detail(f)
	if !e.cfg.Brief {
		d.Unmet = unmet(e.cfg.Expect, e.cfg.Questions[f.question], e.cfg.Questions, nil)
	}
	res.Detail = d
	e.settle(f, res, false)
}

// detail is all that is known of a query but its answer.
func (e *run) detail(f *flight) *probe.DNS {
	r := &e.rows[f.server]
	d := &probe.DNS{
		Question: e.cfg.Questions[f.question].Words(), Transport: r.server.Transport.String(),
		Attempts: f.told, Strays: f.strays, StrayN: f.strayN,
	}
	if r.lookup > 0 {
		d.Phases = append(d.Phases, probe.Step{Name: "resolve", Took: r.lookup})
		r.lookup = 0
	}
	if n := len(f.told); n > 0 {
		last := &f.told[n-1]
		for i := range f.told {
			if f.told[i].HasRTT && !f.told[i].Truncated {
				last = &f.told[i]
			}
		}
		d.Transport = last.Transport
		d.Phases = append(d.Phases, last.Phases...)
	}
	return d
}

// settle gives f its outcome.
func (e *run) settle(f *flight, res probe.Result, answered bool) {
	if f.decided {
		return
	}
	f.decided = true
	e.freeAll(f, answered)
	r := &e.rows[f.server]
	r.flying--
	e.flying--
	res.Target, res.Seq, res.Lag = r.target, f.seq, f.lag
	e.emit(res)
}

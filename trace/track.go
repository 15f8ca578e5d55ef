package trace

import (
	"cmp"
	"encoding/hex"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"netprobe/probe"
)

// track is the trace of one target.
type track struct {
	t       *probe.Target
	lane    *lane
	src     netip.Addr
	started time.Duration
	begun   bool
	over    bool
	ready   bool         // it is among those that may have something to send
	leaving int          // probes made and not sent yet
	held    int          // answers that wait to be matched
	seq     uint64       // of the last probe
	flights []*flight    // all so far, in order of sending; not those of a monitor
	failure probe.Result // the last one
	reply   probe.Result // the target's first one; valid if From is

	phase phase // the present one
	look  *look
	loss  *lossPhase // these are nil unless they were asked for
	mda   *mdaPhase
	mtu   *mtuPhase
}

func newTrack(t *probe.Target, l *lane) *track { return &track{t: t, lane: l} }

func (tr *track) addr() netip.Addr { return tr.t.Addr.Addr() }

// flow is the one that all probes share unless a phase says otherwise.
func (tr *track) flow() uint16 {
	if tr.lane == nil {
		return 0
	}
	return tr.lane.flow
}

// add registers f as a probe of the present phase.
func (tr *track) add(f *flight) {
	f.phase = tr.phase
	if _, endless := tr.phase.(*monitor); !endless {
		tr.flights = append(tr.flights, f)
	}
}

// nextPhase lets the phase after the present one begin, and reports whether
// there is one; else the trace is over.
func (e *Engine) nextPhase(tr *track, now time.Duration) bool {
	k := tr.known(e)
	stop := tr.look.stop()
	useless := stop == probe.StopFailed || k.last < k.first
	for {
		next := e.after(tr, k)
		if next == nil || useless {
			e.conclude(tr, stop)
			return false
		}
		tr.phase = next
		if !next.done(now) {
			return true
		}
	}
}

// after makes the phase that follows the present one; nil if none does.
func (e *Engine) after(tr *track, k known) phase {
	if _, monitored := tr.phase.(*monitor); monitored {
		return nil
	}
	switch {
	case e.cfg.Monitor:
		return newMonitor(&e.cfg, tr.look)
	case tr.loss == nil && (e.cfg.Verdict || e.cfg.Count > quick):
		tr.loss = newLoss(k)
		return tr.loss
	case tr.mda == nil && e.cfg.Paths:
		tr.mda = newMDA(k, e.cfg.Confidence)
		tr.mda.flows = min(tr.mda.flows, tr.lane.flowLimit())
		return tr.mda
	case tr.mtu == nil && e.cfg.MTU:
		tr.mtu = newMTU(k, e.link(tr))
		return tr.mtu
	}
	return nil
}

// link is the MTU of the interface towards the target, bytes; 0 if unknown.
func (e *Engine) link(tr *track) int {
	if e.linkMTU == nil {
		return 0
	}
	return e.linkMTU(tr.addr())
}

// known is what the phases so far have found out.
func (tr *track) known(e *Engine) known {
	k := known{
		first: e.cfg.First, last: uint8(tr.look.near), max: e.cfg.Max, reached: tr.look.reached,
		size: e.size(tr),
	}
	if k.last == 0 {
		k.last = uint8(tr.look.far)
	}
	row := probe.PathHop{TTL: k.last, Target: k.reached}
	for _, f := range tr.flights {
		f = tr.standIn(f, &row)
		early := f.state == inFlight && e.now()-f.sent < tr.patience(f)
		if f.ttl <= k.last && !early || f.fromTarget() {
			k.attempts = append(k.attempts, f.attempt)
		}
	}
	return k
}

// conclude ends the trace: every probe gets its outcome, then the path is told.
func (e *Engine) conclude(tr *track, stop probe.Stop) {
	now := e.now()
	if _, ok := tr.phase.(*monitor); ok && tr.look.reached {
		stop = probe.StopReached // a monitor is meant to be ended
	}
	e.settleAll(tr, now)
	if tr.begun {
		e.active--
	}
	tr.over = true
	e.sched.Set(tr.t.ID, probe.Never)
	e.emit(e.conclusion(tr, stop, now))
	tr.forget()
}

// forget lets go of all that a concluded trace has gathered.
func (tr *track) forget() {
	if tr.lane != nil {
		for n, f := range tr.lane.flights {
			if f != nil && f.track == tr {
				tr.lane.flights[n] = nil
			}
		}
	}
	tr.flights, tr.phase, tr.look, tr.loss, tr.mda, tr.mtu = nil, nil, nil, nil, nil, nil
}

// settleAll decides the probes that are still open. Nobody knows about those
// that had no fair time: the run was cut short, or they overshot a target that
// had answered enough.
func (e *Engine) settleAll(tr *track, now time.Duration) {
	for _, f := range tr.open() {
		f.res = probe.Result{Status: probe.Lost, Reason: probe.NoResponse}
		switch {
		case f.state != inFlight:
		case now-f.sent < tr.patience(f):
			f.res.Status, f.res.Reason = probe.Pending, probe.Canceled
		case tr.muted(f):
			f.res.Status, f.res.Reason = probe.Pending, probe.BadReply
		}
		e.finish(f)
	}
}

// patience is how long f is given if the run ends.
func (tr *track) patience(f *flight) time.Duration {
	if f.wait > 0 {
		return f.wait
	}
	return tr.look.given(f.attempt)
}

// muted reports whether f may have been answered by one of those routers that
// do not say to which probe: this one answered what it was asked by a flow of
// its own.
func (tr *track) muted(f *flight) bool {
	h := &tr.look.hops[f.ttl]
	return f.phase == phase(tr.look) && f.order.flow == 0 && h.private > 0 && h.answers > 0
}

// open returns the probes without an outcome, in order of sending.
func (tr *track) open() (list []*flight) {
	for _, f := range tr.flights {
		if !f.told {
			list = append(list, f)
		}
	}
	if m, ok := tr.phase.(*monitor); ok {
		for _, f := range tr.lane.flights {
			if f != nil && f.phase == phase(m) && !f.told {
				list = append(list, f)
			}
		}
	}
	slices.SortFunc(list, func(a, b *flight) int { return cmp.Compare(a.seq, b.seq) })
	return list
}

// conclusion is the Result that tells the path.
func (e *Engine) conclusion(tr *track, stop probe.Stop, now time.Duration) probe.Result {
	p := e.path(tr, stop)
	p.Elapsed = now - tr.started
	r := probe.Result{Target: tr.t, Status: probe.Lost, Reason: probe.NoResponse, Detail: p}
	switch stop {
	case probe.StopFailed:
		r.Status, r.Reason, r.Err = probe.Failed, tr.failure.Reason, tr.failure.Err
	case probe.StopCanceled, probe.StopDeadline:
		r.Status, r.Reason = probe.Pending, probe.Canceled
	}
	from := tr.reply
	if from.From.IsValid() {
		r.Status = probe.Reply
	} else if stop == probe.StopUnreachable {
		from = tr.verdict()
		r.Status = probe.Unreachable
	}
	r.From, r.RTT, r.Clock, r.TTL = from.From, from.RTT, from.Clock, from.TTL
	r.Type, r.Code, r.Sent = from.Type, from.Code, from.Sent
	if from.From.IsValid() {
		r.Reason = from.Reason
	}
	return r
}

// verdict is the first answer that says that the path ends.
func (tr *track) verdict() probe.Result {
	for _, f := range tr.flights {
		if f.state == answered && f.res.Status == probe.Unreachable {
			return f.res
		}
	}
	return probe.Result{}
}

// path puts together what the phases found out.
func (e *Engine) path(tr *track, stop probe.Stop) *probe.Path {
	p := &probe.Path{
		Target: tr.t, Proto: e.cfg.Proto.String(), Source: tr.src, Port: e.cfg.Port, Flow: tr.flow(),
		Stop: stop, First: e.cfg.First, Started: e.start.Add(tr.started),
	}
	if tr.look == nil {
		return p
	}
	last := tr.look.last()
	for ttl := int(e.cfg.First); ttl <= last; ttl++ {
		end := tr.look.reached || tr.look.who == tr.addr() // it may say itself that it is not to be reached
		p.Hops = append(p.Hops, probe.PathHop{TTL: uint8(ttl), Target: end && ttl == last})
	}
	if _, endless := tr.phase.(*monitor); !endless {
		tr.fill(p.Hops)
	}
	p.ID = pathID(p.Hops)
	tr.judge(p)
	return p
}

// fill gives each hop its probes: those of the look and of other flows; not
// those that asked at another pace or size.
func (tr *track) fill(hops []probe.PathHop) {
	if len(hops) == 0 {
		return
	}
	end := &hops[len(hops)-1]
	for _, f := range tr.flights {
		if f.state == inFlight && tr.muted(f) {
			continue
		}
		if f.phase == phase(tr.look) || tr.mda != nil && f.phase == phase(tr.mda) {
			i := int(f.ttl) - int(hops[0].TTL)
			if tr.look.near == int(f.ttl) {
				i = len(hops) - 1 // its row, whatever TTL that has
			}
			if i >= 0 && i < len(hops) {
				hops[i].Probes = append(hops[i].Probes, tr.standIn(f, end).res)
			}
		}
	}
}

// standIn returns f, or where f asked the target in vain, the first probe of
// the same round that overshot and was answered: the target was asked several
// times at once, and did answer.
func (tr *track) standIn(f *flight, end *probe.PathHop) *flight {
	if !end.Target || f.ttl != end.TTL || f.state == answered || f.phase != phase(tr.look) {
		return f
	}
	for _, g := range tr.flights {
		if g.phase == f.phase && g.ttl > f.ttl && g.tag == f.tag && g.fromTarget() {
			return g
		}
	}
	return f
}

// judge adds what the later phases say.
func (tr *track) judge(p *probe.Path) {
	var verdicts map[uint8]probe.HopLoss
	if tr.loss != nil {
		verdicts = tr.loss.verdicts()
	}
	if tr.mda != nil {
		p.Links, p.Incomplete = tr.mda.links(), tr.mda.incomplete()
	}
	if tr.mtu != nil {
		p.MTU, p.MTUHop = tr.mtu.result()
	}
	for i := range p.Hops {
		h := &p.Hops[i]
		if v, ok := verdicts[h.TTL]; ok {
			h.Loss = &v
		}
		if tr.mda != nil {
			h.Balance = tr.mda.balance(h.TTL)
		}
		if tr.mtu != nil {
			h.MTU = tr.mtu.mtuAt(h.TTL)
		}
	}
}

// pathID is a digest of who answered where on the constant flow. Silent hops
// count as such.
func pathID(hops []probe.PathHop) string {
	h := fnv.New64a()
	for i := range hops {
		var b [16]byte
		if addrs := hops[i].Addrs(); len(addrs) > 0 {
			b = addrs[0].As16()
		}
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

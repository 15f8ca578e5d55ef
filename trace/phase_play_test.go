package trace

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"netprobe/probe"
)

// A world says what becomes of a probe that leaves now.
type world interface {
	send(now time.Duration, a *attempt) fate
}

// fate is what becomes of a probe. The zero value is silence.
type fate struct {
	after time.Duration // until the answer arrives
	res   probe.Result  // Status Lost for none, Failed if it did not leave
}

// play is a phase in virtual time.
type play struct {
	phase    phase
	world    world
	gap      time.Duration // least time between two sends; 0 means 200 us
	attempts []*attempt
	events   playEvents
	now      time.Duration
}

// Bounds of a play.
const (
	playProbes = 60_000
	playTime   = 3 * time.Minute
)

// playPhase plays p from the given time until it is done and returns all it sent
// and when it ended.
func playPhase(t *testing.T, p phase, w world, begin time.Duration) ([]*attempt, time.Duration) {
	t.Helper()
	y := &play{phase: p, world: w, gap: 200 * time.Microsecond, now: begin}
	var free time.Duration // when the pacer lets the next probe go
	for !p.done(y.now) {
		if len(y.attempts) > playProbes || y.now > begin+playTime {
			t.Fatalf("not done after %d probes and %v", len(y.attempts), y.now-begin)
		}
		next := free
		if y.now >= free {
			o, wake, ok := p.next(y.now)
			if next = wake; ok {
				y.send(o)
				free = y.now + y.gap
				next = free
			} else if wake <= y.now && len(y.events) == 0 {
				t.Fatalf("asks to be woken at %v, which is not after %v", wake, y.now)
			}
		}
		if len(y.events) > 0 {
			next = min(next, y.events[0].at)
		}
		if p.done(y.now) {
			break
		}
		if next == probe.Never {
			t.Fatalf("waits for nothing at %v", y.now)
		}
		y.now = max(y.now, next)
		y.happen()
	}
	return y.attempts, y.now
}

// send carries out an order.
func (y *play) send(o order) {
	a := &attempt{order: o, seq: uint64(len(y.attempts) + 1), sent: y.now}
	a.hop = probe.Hop{TTL: o.ttl, Flow: o.flow, Size: o.size}
	y.attempts = append(y.attempts, a)
	f := y.world.send(y.now, a)
	if f.res.Status == probe.Failed {
		a.state, a.res = failed, f.res
		y.phase.tell(y.now, a)
		return
	}
	y.phase.tell(y.now, a)
	if o.wait > 0 {
		heap.Push(&y.events, playEvent{y.now + o.wait, a, overdue, f})
	}
	if f.res.Status != probe.Lost {
		heap.Push(&y.events, playEvent{y.now + f.after, a, answered, f})
	}
}

// happen tells all that has happened by now.
func (y *play) happen() {
	for len(y.events) > 0 && y.events[0].at <= y.now {
		e := heap.Pop(&y.events).(playEvent)
		if e.a.state == answered || e.state == overdue && e.a.state != inFlight {
			continue
		}
		e.a.state = e.state
		if e.state == answered {
			e.a.res = e.f.res
			e.a.res.RTT = e.f.after
			e.a.res.Detail = &e.a.hop
		}
		y.phase.tell(y.now, e.a)
	}
}

type playEvent struct {
	at    time.Duration
	a     *attempt
	state state
	f     fate
}

type playEvents []playEvent

func (h playEvents) Len() int           { return len(h) }
func (h playEvents) Less(i, j int) bool { return h[i].at < h[j].at }
func (h playEvents) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *playEvents) Push(x any)        { *h = append(*h, x.(playEvent)) }
func (h *playEvents) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

// playLook plays a first look: count probes at every TTL up to last, three at
// once and the others 100 ms apart.
type playLook struct {
	last   uint8
	count  int
	wait   time.Duration
	queue  []playDue
	flying int
}

type playDue struct {
	at  time.Duration
	ttl uint8
}

func newPlayLook(last uint8, count int) *playLook {
	p := &playLook{last: last, count: count, wait: time.Second}
	for i := range count {
		at := time.Duration(max(0, i-2)) * 100 * time.Millisecond
		for ttl := uint8(1); ttl <= last; ttl++ {
			p.queue = append(p.queue, playDue{at, ttl})
		}
	}
	return p
}

func (p *playLook) next(now time.Duration) (order, time.Duration, bool) {
	if len(p.queue) == 0 {
		return order{}, probe.Never, false
	}
	d := p.queue[0]
	if d.at > now {
		return order{}, d.at, false
	}
	p.queue = p.queue[1:]
	p.flying++
	return order{ttl: d.ttl, wait: p.wait}, 0, true
}

func (p *playLook) tell(_ time.Duration, a *attempt) {
	if a.state != inFlight {
		p.flying--
	}
}

func (p *playLook) done(time.Duration) bool { return len(p.queue) == 0 && p.flying <= 0 }

// chain is a world without branches: hops in a row, the last of them the target.
type chain struct {
	rng    *rand.Rand
	hops   []chainHop
	jitter time.Duration // added to each way, uniform
	fail   float64       // share of sends that fail
	late   float64       // share of answers that take lateBy longer
}

// lateBy is more than a phase waits on a fast path.
const lateBy = 600 * time.Millisecond

// chainHop is a hop and the link before it.
type chainHop struct {
	loss    float64       // of each way of the link before the hop: out and back together lose this share
	own     float64       // share of answers it does not give, whatever the pace
	silent  bool          //
	rate    float64       // answers a second; 0 for no limit
	burst   int           // with rate
	tokens  float64       //
	filled  time.Duration // when tokens was right; negative before the first
	delay   time.Duration // of the link before it, each way; 0 means 1 ms
	mtu     int           // of the link before it, bytes; 0 for any
	hole    bool          // too large packets vanish there
	naming  func(mtu, size int) int
	bigLoss float64 // share of packets above 200 bytes it does not answer
}

func newChain(seed uint64, hops ...chainHop) *chain {
	return &chain{rng: rand.New(rand.NewPCG(seed, 17)), hops: hops}
}

// chainAddr is the address of the hop with the TTL.
func chainAddr(ttl int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(ttl)}) }

func (c *chain) send(now time.Duration, a *attempt) fate {
	if c.rng.Float64() < c.fail {
		return fate{res: probe.Result{Status: probe.Failed, Reason: probe.NoBuffers}}
	}
	end := min(int(a.ttl), len(c.hops))
	at, lost := now, false
	for i := range end {
		h := &c.hops[i]
		at += h.way(c)
		if h.mtu > 0 && a.size > h.mtu {
			return c.tooBig(now, at, a, i)
		}
		lost = lost || c.rng.Float64() < h.loss/2
	}
	if lost {
		return fate{}
	}
	h := &c.hops[end-1]
	if h.silent || !h.take(at) || c.rng.Float64() < h.own || a.size > 200 && c.rng.Float64() < h.bigLoss {
		return fate{}
	}
	at, lost = c.back(at, end)
	if lost {
		return fate{}
	}
	if c.late > 0 && c.rng.Float64() < c.late {
		at += lateBy
	}
	r := probe.Result{Status: probe.Expired, Reason: probe.TTLExceeded, From: chainAddr(end)}
	if end == len(c.hops) {
		r.Status, r.Reason = probe.Reply, probe.EchoReply
	}
	return fate{at - now, r}
}

// way returns how long the link before h takes.
func (h *chainHop) way(c *chain) time.Duration {
	d := h.delay
	if d == 0 {
		d = time.Millisecond
	}
	if c.jitter > 0 {
		d += time.Duration(c.rng.Int64N(int64(c.jitter)))
	}
	return d
}

// back is the way back from the hop with the TTL.
func (c *chain) back(at time.Duration, ttl int) (time.Duration, bool) {
	lost := false
	for i := range ttl {
		at += c.hops[i].way(c)
		lost = lost || c.rng.Float64() < c.hops[i].loss/2
	}
	return at, lost
}

// take takes a token.
func (h *chainHop) take(at time.Duration) bool {
	if h.rate == 0 {
		return true
	}
	if h.filled == 0 {
		h.tokens, h.filled = float64(h.burst), at
	}
	if at > h.filled {
		h.tokens = min(float64(h.burst), h.tokens+h.rate*(at-h.filled).Seconds())
		h.filled = at
	}
	if h.tokens < 1 {
		return false
	}
	h.tokens--
	return true
}

// tooBig is what happens to a packet too large for the link before hop i.
func (c *chain) tooBig(now, at time.Duration, a *attempt, i int) fate {
	h := &c.hops[i]
	if i == 0 {
		return fate{res: probe.Result{Status: probe.Failed, Reason: probe.FragNeeded, MTU: h.mtu}}
	}
	if h.hole || !c.hops[i-1].take(at) {
		return fate{}
	}
	at, lost := c.back(at, i)
	if lost {
		return fate{}
	}
	mtu := h.mtu
	if h.naming != nil {
		mtu = h.naming(mtu, a.size)
	}
	return fate{at - now, probe.Result{Status: probe.Unreachable, Reason: probe.FragNeeded, From: chainAddr(i), MTU: mtu}}
}

// look returns what a first look at c learns, and when it ended.
func (c *chain) look(t *testing.T, count int) (known, time.Duration) {
	t.Helper()
	list, end := playPhase(t, newPlayLook(uint8(len(c.hops)), count), c, 0)
	k := known{first: 1, max: 30, size: 60, attempts: list}
	for _, a := range list {
		if a.state == answered {
			k.last = max(k.last, a.ttl)
			k.reached = k.reached || a.fromTarget()
		}
	}
	return k, end
}

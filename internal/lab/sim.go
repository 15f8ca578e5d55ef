package lab

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// sim plays a Topology. It is pure with respect to time: packets come in with
// ingress, leave through deliver, and everything between is an event with an
// instant of its own. It owns one timer and no goroutine.
type sim struct {
	topo    *Topology
	prober  []netip.Addr
	first   link // the prober's own
	chain   []segment
	only    *course            // if there are no parallel ways
	routes  map[uint64]*course // by number of the path; those that were drawn
	walk    []*hop             // while a route is drawn
	hosts   []*host
	narrow  bool // a host's link has an MTU of its own
	byAddr  map[netip.Addr]*host
	log     *Log
	deliver func(raw []byte) bool // toward the prober; false if it had no room
	kernel  func(raw []byte)      // toward the kernel that plays the hosts; may be nil
	numbers map[numberKey]int     // probes so far, per target and kind
	asked   questions             // that a kernel is to answer
	chance  *rand.Rand            // of the hooks' verdicts
	packer  packer
	names   *names // nil if there are no resolvers
	joiner  reassembler
	unused  []*Packet // to use again

	mu     sync.Mutex // guards everything that changes
	start  time.Time
	clock  time.Duration // instant of the event in hand
	events queue
	timer  *time.Timer
	alarm  func(time.Duration) // calls tick after a time, instead of timer; may be nil
	wake   time.Duration       // when the timer is due; valid if armed
	armed  bool
	closed bool
}

// link is both directions of a link, away from the prober first.
type link [2]wire

// wire is one direction of a link.
type wire struct {
	Link
	plain  bool // nothing but Delay and MTU
	chance *rand.Rand
	last   time.Duration // arrival of the last packet kept in order
}

type hop struct {
	*Hop
	plain  bool // does nothing but forward
	link   link // behind it
	tokens bucket
	told   []byte      // extensions of its errors
	nat    *translator // nil without NAT
}

func newHop(h *Hop, l link) *hop {
	plain := h.Error == (ICMPError{}) && h.Redirect == nil && h.TOS == nil && h.NAT == nil && !h.Drop.any()
	return &hop{
		Hop: h, plain: plain, link: l, tokens: bucket{limit: h.RateLimit},
		told: told(h.MPLS, h.Interfaces), nat: newTranslator(h),
	}
}

// addr returns the address of h in the family of a; the invalid one if it has none.
func (h *hop) addr(a netip.Addr) netip.Addr { return sameFamily(h.Addrs, a) }

type host struct {
	*Host
	link   link
	tokens bucket
}

type numberKey struct {
	target netip.Addr
	kind   Kind
}

// newSim returns a simulator of t, which must not change from now on.
func newSim(t *Topology, deliver func([]byte) bool) (*sim, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	limit := t.LogLimit
	if limit == 0 {
		limit = 1 << 20
	}
	s := &sim{
		topo: t, prober: t.proberAddrs(), deliver: deliver, start: time.Now(),
		log: &Log{limit: limit}, numbers: make(map[numberKey]int),
		byAddr: make(map[netip.Addr]*host), routes: make(map[uint64]*course), names: newNames(t),
	}
	b := &builder{seed: t.Seed}
	s.chance = b.chance()
	s.first = b.link(t.Out, t.Back)
	var paths uint64
	if s.chain, paths = b.segments(t.Hops); paths == 1 {
		s.only = s.routeOf(&Packet{Raw: []byte{0}})
	}
	hosts := t.Hosts
	if hosts == nil {
		hosts = []Host{{}}
	}
	for i := range hosts {
		h := &hosts[i]
		s.hosts = append(s.hosts, &host{Host: h, link: b.link(h.Out, h.Back), tokens: bucket{limit: h.RateLimit}})
		s.narrow = s.narrow || h.Out.MTU > 0
	}
	s.indexHosts()
	return s, nil
}

// indexHosts makes single addresses quick to find: a topology may have thousands.
func (s *sim) indexHosts() {
	for _, h := range s.hosts {
		for _, p := range h.At {
			if _, ok := s.byAddr[p.Addr()]; p.IsSingleIP() && !ok {
				s.byAddr[p.Addr()] = h
			}
		}
	}
}

// hostOf returns the host at a, or nil.
func (s *sim) hostOf(a netip.Addr) *host {
	if h := s.byAddr[a]; h != nil {
		return h
	}
	var found *host
	best := -1
	for _, h := range s.hosts {
		if h.At == nil && best < 0 {
			found, best = h, 0
		}
		for _, p := range h.At {
			if p.Bits() > best && p.Contains(a) {
				found, best = h, p.Bits()
			}
		}
	}
	return found
}

func (s *sim) now() time.Duration { return time.Since(s.start) }

// ingress takes a packet from the prober. raw is copied.
func (s *sim) ingress(raw []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.advance(s.now())
	err := s.enter(raw)
	s.arm()
	return err
}

// tick is called by the timer.
func (s *sim) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if s.closed {
		return
	}
	s.advance(s.now())
	s.arm()
}

// advance plays every event up to now.
func (s *sim) advance(now time.Duration) {
	for len(s.events.heap) > 0 && s.events.heap[0].at <= now {
		e := s.events.pop()
		s.clock = e.at
		if e.do != nil {
			e.do()
		} else {
			s.arrive(e.p)
		}
	}
	s.clock = max(s.clock, now)
}

// arm sets the timer to the next event.
func (s *sim) arm() {
	if len(s.events.heap) == 0 {
		return
	}
	next := s.events.heap[0].at
	if s.armed && s.wake <= next {
		return
	}
	s.wake, s.armed = next, true
	d := max(0, next-s.now())
	switch {
	case s.alarm != nil:
		s.alarm(d)
	case s.timer == nil:
		s.timer = time.AfterFunc(d, s.tick)
	default:
		s.timer.Reset(d)
	}
}

// close ends the simulation: what is under way stays so in the log.
func (s *sim) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.events = queue{}
	if s.timer != nil {
		s.timer.Stop()
	}
}

// enter starts a packet of the prober on its way.
func (s *sim) enter(raw []byte) error {
	p := s.fresh(raw)
	f, err := parse(p)
	if err == nil && f != nil {
		if !s.joiner.add(p, f) {
			s.release(p)
			return nil
		}
		_, err = parse(p)
	}
	if err != nil || s.local(p) {
		s.log.count(&s.log.totals.Ignored)
		s.release(p)
		return err
	}
	if s.names.asked(p) {
		s.answerName(p)
		return nil
	}
	p.Target = p.Dst
	p.route = s.routeOf(p)
	s.log.mu.Lock()
	s.log.probes++
	p.probe = s.log.probes
	s.log.mu.Unlock()
	key := numberKey{p.Dst, p.Kind}
	s.numbers[key]++
	p.N = s.numbers[key]
	p.Time = s.clock
	p.entry = s.log.add(p.logEntry())
	s.send(p)
	return nil
}

// local reports whether p never leaves the link (neighbour discovery, MLD) or
// the host (Linux sends from ::1 for want of another address).
func (s *sim) local(p *Packet) bool {
	return p.Src.IsLoopback() || p.Dst.IsLoopback() || p.Dst.IsMulticast() || p.Dst.IsLinkLocalUnicast() || p.Src.IsLinkLocalUnicast() || p.Src.IsUnspecified()
}

func (p *Packet) logEntry() Entry {
	return Entry{
		Dir: p.Dir, Kind: p.Kind, Flags: p.flags, Time: p.Time, Src: p.Src, Dst: p.Dst, Target: p.Target,
		ID: p.ID, Seq: p.Seq, N: p.N, ICMP: p.ICMP, Size: len(p.Raw), Probe: p.probe, TTL: p.TTL, Hop: p.hop(),
	}
}

// decide writes the fate of p into the log. That comes before anything that
// lets the prober know, so that who has seen the answer finds it in the log.
func (s *sim) decide(p *Packet, f Fate) { s.log.settle(p, f, s.clock) }

// settle ends the way of p.
func (s *sim) settle(p *Packet, f Fate) {
	s.decide(p, f)
	s.release(p)
}

// fresh returns a Packet with a copy of raw.
func (s *sim) fresh(raw []byte) *Packet {
	p := new(Packet)
	if n := len(s.unused); n > 0 {
		p, s.unused = s.unused[n-1], s.unused[:n-1]
	}
	buf := p.Raw[:0]
	*p = Packet{Raw: append(buf, raw...), entry: -1, Time: s.clock}
	p.wire = len(p.Raw)
	return p
}

// maxUnused bounds the packets kept for later use.
const maxUnused = 4096

func (s *sim) release(p *Packet) {
	if len(s.unused) < maxUnused {
		s.unused = append(s.unused, p)
	}
}

// copyOf returns a copy of p with an entry of its own in the log if it is on
// its way back.
func (s *sim) copyOf(p *Packet) *Packet {
	q := s.fresh(p.Raw)
	raw := q.Raw
	*q = *p
	q.Raw = raw
	q.flags |= Duplicate
	if q.Dir == Back {
		q.entry = s.log.add(q.logEntry())
	}
	return q
}

// bucket is the token bucket of a RateLimit.
type bucket struct {
	limit  RateLimit
	tokens float64
	at     time.Duration
	begun  bool
}

// take reports whether one more packet may be sent at now.
func (b *bucket) take(now time.Duration) bool {
	if b.limit == (RateLimit{}) {
		return true
	}
	full := float64(max(1, b.limit.Burst))
	if !b.begun {
		b.begun, b.tokens, b.at = true, full, now
	}
	b.tokens = min(full, b.tokens+(now-b.at).Seconds()*b.limit.PerSecond)
	b.at = now
	// A token refilled over exactly its time may miss a whole one by rounding.
	if b.tokens < 1-1e-9 {
		return false
	}
	b.tokens--
	return true
}

// addressFor returns the address of list in the family of a; ok is false if
// there is none.
func addressFor(list []netip.Addr, a netip.Addr) (netip.Addr, bool) {
	b := sameFamily(list, a)
	return b, b.IsValid()
}

// contains reports whether one of the prefixes holds a, or there are none.
func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return prefixes == nil || slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

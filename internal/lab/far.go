package lab

import "net/netip"

// askedKey is what an answer from a kernel is recognised by. more is the
// sequence number of TCP, the checksum of UDP.
type askedKey struct {
	target  netip.Addr
	proto   uint8
	id, seq uint16
	more    uint32
}

// asked is what the answer to a request inherits.
type asked struct {
	n     int
	probe uint64
	flags Flag
	route *course
}

// maxAsked bounds the questions that are remembered: up to twice as many.
const maxAsked = 1 << 16

// questions is a map that forgets what is old.
type questions struct{ young, old map[askedKey]asked }

func (m *questions) put(key askedKey, q asked) {
	if m.young == nil || len(m.young) >= maxAsked {
		m.old, m.young = m.young, make(map[askedKey]asked)
	}
	m.young[key] = q
}

func (m *questions) get(key askedKey) (asked, bool) {
	if q, ok := m.young[key]; ok {
		return q, true
	}
	q, ok := m.old[key]
	return q, ok
}

// ask hands p to the kernel that plays its host.
func (s *sim) ask(p *Packet) {
	q := asked{p.N, p.probe, p.flags &^ Fragmented, p.route}
	key := askedKey{target: p.Dst, proto: p.proto, id: p.ID, seq: p.Seq}
	s.asked.put(key, q) // for what tells no more
	if key.more = more(p); key.more != 0 {
		s.asked.put(key, q)
	}
	s.decide(p, Delivered)
	s.kernel(p.Raw)
	s.release(p)
}

// askedBy returns what a, from a kernel, inherits from the request it answers.
func (s *sim) askedBy(a *Packet) asked {
	key := askedKey{target: a.Src, proto: a.proto, id: a.ID, seq: a.Seq}
	switch a.Kind {
	case Error:
		p := Packet{Raw: a.payload()}
		// Quotes are cut short: what of the transport is there has been read.
		_, _ = parse(&p)
		if !p.Dst.IsValid() {
			return asked{}
		}
		a.ID, a.Seq = p.ID, p.Seq
		key = askedKey{p.Dst, p.proto, p.ID, p.Seq, more(&p)}
	case TCP:
		key.id, key.seq = a.Seq, a.ID
		if tcp, whole := a.tcp(); whole {
			key.more = tcp.ack - 1
		}
	case UDP:
		key.id, key.seq = a.Seq, a.ID
	}
	if q, ok := s.asked.get(key); ok {
		return q
	}
	key.more = 0
	q, _ := s.asked.get(key)
	return q
}

// fromKernel takes a packet that the kernel playing the hosts sent. raw is copied.
func (s *sim) fromKernel(raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.advance(s.now())
	s.enterBack(raw)
	s.arm()
}

func (s *sim) enterBack(raw []byte) {
	a := s.fresh(raw)
	f, err := parse(a)
	if err == nil && f != nil {
		if !s.joiner.add(a, f) {
			s.release(a)
			return
		}
		_, err = parse(a)
	}
	h := s.hostOf(a.Src)
	if err != nil || s.local(a) || h == nil {
		s.log.count(&s.log.totals.Ignored)
		s.release(a)
		return
	}
	q := s.askedBy(a)
	if q.route == nil {
		q.route = s.routeOf(a) // nobody asked
	}
	a.Dir, a.Target, a.host, a.route, a.pos = Back, a.Src, h, q.route, q.route.atHost()
	a.N, a.probe = q.n, q.probe
	a.flags |= q.flags
	s.launch(a, h.Delay, true)
}

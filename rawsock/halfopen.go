package rawsock

import (
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// SourcePorts is how many source ports a HalfOpen has. A further try to the same
// port leaves from the next one, for two reasons: its answer is told from a late
// answer to the try before, and a host that has half a connection in its books by
// then takes it for a new one.
const SourcePorts = 10

// A SYN asks a TCP port whether somebody listens there.
type SYN struct {
	To  netip.AddrPort // unmapped, of the HalfOpen's family
	Try int            // which one to this port it is, from 1
}

// A SYNAnswer is what came back for a SYN: a SYN-ACK or an RST of the port (Echo),
// or an ICMP error that quotes it (Error). That it is for one that left is proven.
type SYNAnswer struct {
	Event      Event // Echo or Error
	Reset      bool  // an RST; valid for Echo
	Type, Code uint8 // of the ICMP message; valid for Error
	TTL        uint8 // as it arrived; 0 if unknown
	Size       int   // bytes without IP header
	To         netip.AddrPort
	Try        int        // 0 if nobody can tell: from SourcePorts on, tries share a port
	From       netip.Addr // who sent it, without zone
	Source     netip.Addr // where the SYN left from, without zone; valid for Error

	Stamp   int64     // when it arrived by the kernel, ns since 1970; 0 if unknown
	Arrived time.Time // when this process took its batch out of the socket
}

// A HalfOpen asks TCP ports with SYNs that it builds itself, and remembers
// nothing of what it has sent. Its sequence numbers are cookies: 32 bits of a
// cipher over address, port and source port under a key of its own. Whoever
// acknowledges one has seen the SYN, or had a router see it that quotes it.
//
//	prober                         port
//	  | SYN, seq = cookie           |
//	  |---------------------------->|
//	  | SYN-ACK, ack = cookie+1     |      or RST, ack = cookie+1
//	  |<----------------------------|      or ICMP, quoting seq = cookie
//	  | RST by the kernel           |
//	  |---------------------------->|
//
// The kernel knows of no connection, so it answers a SYN-ACK as one that came
// astray (RFC 9293, section 3.10.7.1): with an RST, which ends what was half open
// before the application hears of it. The source ports are bound by sockets
// which neither listen nor connect, so that nothing else on this host has them.
//
// SYNs carry the options that hosts of today send, as some firewalls drop those
// without: maximum segment size, SACK permitted, timestamps, window scale.
//
// Departures are not stamped: that costs one more receive a packet.
//
// All calls are made by one goroutine; an Alarm waits for it.
type HalfOpen struct {
	t       *Tracer
	cfg     Config
	cookies synCookies
	zones   []string  // of the targets so far, from place 1 on: answers come without
	most    int       // the highest Try so far
	routed  time.Time // since when answers about routes are remembered
	batch   []Probe
	answer  SYNAnswer
	visit   func(*SYNAnswer)
	sort    func(*Reply) // h.sorted, made once
}

// SYNSize is the length of a HalfOpen's packets of family f, bytes.
func SYNSize(f Family) int {
	if f == IPv6 {
		return headerLen6 + synLen
	}
	return headerLen4 + synLen
}

// OpenHalfOpen opens the sockets; what follows needs no privileges. Of cfg Family,
// Source, Interface, Mark, TTL, TOS, RecvBuf and SendBuf count. It returns
// *PermissionError without CAP_NET_RAW, errors.ErrUnsupported (wrapped) where the
// operating system cannot, else a wrapped *os.SyscallError.
func OpenHalfOpen(cfg Config) (*HalfOpen, error) {
	if cfg.Family == 0 {
		cfg.Family = IPv4
	}
	c, err := newSYNCookies()
	if err != nil {
		return nil, err
	}
	t, err := openTracer(TracerConfig{
		Family: cfg.Family, Proto: TCP, Kind: Raw, Source: cfg.Source, Interface: cfg.Interface, Mark: cfg.Mark,
		RecvBuf: cfg.RecvBuf, SendBuf: cfg.SendBuf, NoStamps: true, ports: SourcePorts,
	})
	if err != nil {
		return nil, err
	}
	if cfg.TTL == 0 {
		cfg.TTL = t.defaultTTL()
	}
	h := &HalfOpen{t: t, cfg: cfg, cookies: c, zones: []string{""}}
	h.sort = h.sorted
	h.halve()
	return h, nil
}

// Family is the IP version.
func (h *HalfOpen) Family() Family { return h.t.family }

// SourcePort is the first of the SourcePorts.
func (h *HalfOpen) SourcePort() uint16 { return h.t.flow }

// Dropped is how many messages the kernel has dropped because a receive buffer
// was full, as last reported.
func (h *HalfOpen) Dropped() uint32 { return h.t.drops() }

// RecvBuf is the size of the buffer for answers in bytes, as the kernel accounts
// it.
func (h *HalfOpen) RecvBuf() int { return h.t.recvBuf() }

// Close closes all descriptors.
func (h *HalfOpen) Close() error { return h.t.close() }

// Send sends ps in order and returns how many the kernel took, and if that is not
// all, why the next one could not leave: a wrapped *os.SyscallError for CauseOf.
// Groups and broadcast addresses are refused, as by connect(2). It does not
// allocate unless it fails or a zone is new.
func (h *HalfOpen) Send(ps []SYN) (n int, err error) {
	if now := time.Now(); now.Sub(h.routed) > sourcesFor {
		h.t.forgetSources()
		h.routed = now
	}
	for n < len(ps) && err == nil {
		h.batch = h.batch[:0]
		for i := range min(len(ps)-n, synBatch) {
			var p Probe
			if p, err = h.probe(&ps[n+i]); err != nil {
				break
			}
			h.batch = append(h.batch, p)
		}
		k, refused := h.t.send(h.batch)
		n += k
		if refused != nil {
			return n, refused
		}
	}
	return n, err
}

const (
	// synBatch is how many SYNs are prepared at once.
	synBatch = 64
	// sourcesFor is how long the source address of a destination is believed: a
	// packet from one that this host has no more leaves without an error, and is
	// never answered.
	sourcesFor = time.Second
)

// probe returns the packet of s.
func (h *HalfOpen) probe(s *SYN) (Probe, error) {
	to := s.To.Addr()
	if to.IsMulticast() || to.IsUnspecified() {
		return Probe{}, opError("connect", syscall.ENETUNREACH)
	}
	from := h.cfg.Source
	if !from.IsValid() {
		var err error
		if from, err = h.t.source(to); err != nil {
			return Probe{}, err
		}
		// Without another address Linux sends IPv6 packets from ::1.
		if from.IsLoopback() && to.Is6() && !to.IsLoopback() {
			return Probe{}, opError("connect", syscall.EADDRNOTAVAIL)
		}
	}
	port := h.t.flow + h.lane(s.Try)
	h.most = max(h.most, s.Try)
	seq, rest := h.cookies.of(to, h.zone(to), s.To.Port(), port)
	return Probe{
		From: from, To: to, Port: s.To.Port(), TTL: uint8(h.cfg.TTL), TOS: uint8(h.cfg.TOS), Flow: port,
		N: uint16(seq >> 16), Cookie: uint64(rest)<<16 | uint64(seq&0xffff),
	}, nil
}

// lane returns which of the source ports a try leaves from.
func (h *HalfOpen) lane(try int) uint16 { return uint16(min(max(try, 1), SourcePorts)) - 1 }

// tryOf returns which try left from a source port.
func (h *HalfOpen) tryOf(lane uint16) int {
	if lane == SourcePorts-1 && h.most > SourcePorts {
		return 0
	}
	return int(lane) + 1
}

// zone returns the place of the zone of to.
func (h *HalfOpen) zone(to netip.Addr) int {
	z := to.Zone()
	if z == "" {
		return 0
	}
	i := slices.Index(h.zones, z)
	if i < 0 {
		i = len(h.zones)
		h.zones = append(h.zones, z)
	}
	return i
}

// Drain tells visit all there is without blocking; what a SYNAnswer points to is
// valid only as long as visit runs. It stops after some thousand messages, that a
// storm may not hold the caller. It does not allocate.
func (h *HalfOpen) Drain(visit func(*SYNAnswer)) error {
	h.visit = visit
	err := h.t.drain(h.sort)
	h.visit = nil
	return err
}

// sorted passes on what r says about a SYN of ours.
func (h *HalfOpen) sorted(r *Reply) {
	if h.read(r) {
		h.visit(&h.answer)
	}
}

// read turns r into h.answer if it proves to be about a SYN that left.
func (h *HalfOpen) read(r *Reply) bool {
	// An RST without ACK acknowledges nothing.
	if !r.HasN {
		return false
	}
	a := &h.answer
	*a = SYNAnswer{
		Event: r.Event, Reset: r.TCPFlags&flagRST != 0, TTL: r.TTL, Size: r.Size, From: r.From,
		Stamp: r.Stamp, Arrived: r.Arrived,
	}
	to := r.From
	switch r.Event {
	case Echo:
	case Error:
		a.Type, a.Code, a.Source = r.Type, r.Code, r.Quoted.Src
		to = r.Quoted.Dst
	default:
		return false
	}
	lane := r.Flow - h.t.flow
	if lane >= SourcePorts || !h.sent(&to, r.Port, r.Flow, uint32(r.N)<<16|uint32(r.Check)) {
		return false
	}
	a.To, a.Try = netip.AddrPortFrom(to, r.Port), h.tryOf(lane)
	return true
}

// sent reports whether seq is the cookie of a SYN to a port of to, and gives to
// the zone it was sent to.
func (h *HalfOpen) sent(to *netip.Addr, port, from uint16, seq uint32) bool {
	for i, z := range h.zones {
		if i > 0 && to.Is4() {
			return false
		}
		if want, _ := h.cookies.of(*to, i, port, from); want == seq {
			*to = to.WithZone(z)
			return true
		}
	}
	return false
}

package icmp

import (
	"netprobe/probe"
	"netprobe/rawsock"
)

// NewMTUSearch returns a Sizer that finds the path MTU of each target; the last
// outcome of a target carries a probe.PathMTU as Detail. link tells the MTU of
// the interface towards a target, 0 if unknown; nil asks the kernel. Use it with
// Pace Lockstep and Socket.PMTU rawsock.PMTUProbe.
//
// A first small packet must be answered. Then the largest the interface takes is
// tried. A router that names a limit (RFC 1191, RFC 8201) is taken at its word,
// once: the size it names must be answered too. Silence, even to repeated
// packets, is a black hole (RFC 2923): the limit is then found by bisection,
// first among the MTUs that links and tunnels really have.
func NewMTUSearch(link func(*probe.Target) int) Sizer {
	if link == nil {
		link = func(t *probe.Target) int {
			return rawsock.LinkMTU(t.Addr.Addr(), rawsock.Config{})
		}
	}
	return &mtuSearches{link: link, rows: map[int]*mtuSearch{}}
}

type mtuSearches struct {
	link func(*probe.Target) int
	rows map[int]*mtuSearch // by Target.ID
}

// MaxSize is the largest payload an IPv4 packet can carry.
func (*mtuSearches) MaxSize() int { return maxPacket - 28 }

func (s *mtuSearches) Size(t *probe.Target, _ uint64) (int, bool) {
	m := s.rows[t.ID]
	if m == nil {
		m = newMTUSearch(rawsock.FamilyOf(t.Addr.Addr()), s.link(t))
		s.rows[t.ID] = m
	}
	return m.size - m.headers, !m.done
}

func (s *mtuSearches) Learn(r *probe.Result) {
	if m := s.rows[r.Target.ID]; m != nil && !m.done {
		m.learn(r)
		if m.done {
			r.Detail = &m.found
		}
	}
}

const (
	maxPacket  = 65535 // bytes of an IP packet
	mtuTries   = 3     // silences before a size counts as too large
	mtuNames   = 8     // limits believed: more than any path has, and a router may lie each time
	smallProbe = 56    // payload of the first packet
)

// commonMTUs are sizes that links and tunnels really have: the plateaus of RFC
// 1191 section 7.1, jumbo Ethernet, PPPoE (RFC 2516), the usual tunnels, the
// IPv6 minimum (RFC 8200).
var commonMTUs = []int{
	68, 296, 508, 576, 1006, 1280, 1360, 1380, 1400, 1412, 1420, 1428, 1430, 1436, 1440,
	1442, 1450, 1452, 1454, 1456, 1458, 1460, 1464, 1468, 1472, 1476, 1480, 1484, 1488,
	1492, 1496, 1500, 2002, 4352, 8166, 9000, 9216, 16384, 17914, 32000, 65535,
}

// mtuSearch is the search for one target, pure: sizes out, outcomes in. Sizes
// are of whole IP packets, in bytes.
type mtuSearch struct {
	headers int // IP and ICMP headers
	link    int // MTU of our own interface
	size    int // to try next
	tries   int // at that size, so far without an answer
	fits    int // largest size answered
	fails   int // smallest size known not to arrive
	named   int // limit a router named, not yet proven by an answer
	names   int // how many such there were
	done    bool
	found   probe.PathMTU
}

func newMTUSearch(f rawsock.Family, link int) *mtuSearch {
	h := headers(f)
	if link <= 0 {
		link = maxPacket
	}
	link = min(link, maxPacket)
	return &mtuSearch{headers: h, link: link, size: h + smallProbe, fails: link + 1}
}

func (m *mtuSearch) learn(r *probe.Result) {
	switch {
	case r.Status == probe.Pending:
		m.found.Partial = true
		m.finish()
		return
	case r.Status == probe.Reply || r.Status == probe.Late:
		m.fits = m.size
	case r.Reason == probe.FragNeeded || r.Reason == probe.PacketTooBig:
		m.refused(r)
	default:
		if m.tries++; m.tries < mtuTries {
			return
		}
		// One that never got an answer has no path to measure, and a packet we
		// could not send says nothing about it, unless the device refuses just
		// the large ones, as a veth does whose other end has a smaller MTU.
		switch {
		case m.fits == 0 || r.Status == probe.Failed && r.Reason != probe.NoBuffers:
			m.found.Partial = m.fits > 0
			m.finish()
			return
		case r.Status == probe.Failed:
			m.found.Local = true
		default:
			m.found.BlackHole = true
		}
		m.fails = m.size
	}
	m.tries = 0
	m.next()
}

// refused takes in that a packet was too large. An MTU that is not below the
// packet's size, or below what has been answered, is not believed.
func (m *mtuSearch) refused(r *probe.Result) {
	m.fails = min(m.fails, m.size)
	if r.Status != probe.Failed {
		m.found.From = r.From
	}
	switch {
	case r.MTU <= m.headers || r.MTU >= m.size || m.names == mtuNames:
	case r.MTU > m.fits:
		m.named = r.MTU
		m.names++
	case r.MTU == m.fits:
		m.fails = m.fits + 1 // known to be true already
	}
}

// next chooses the size to try, or ends the search.
func (m *mtuSearch) next() {
	if m.fails <= m.headers+1 || m.fails-m.fits <= 1 {
		m.finish()
		return
	}
	if m.named > m.fits && m.named < m.fails {
		// What lies above it needs no trial: the router said so.
		m.size, m.fails = m.named, min(m.fails, m.named+1)
		m.named = 0
		return
	}
	if m.fits == m.headers+smallProbe && m.fails == m.link+1 {
		m.size = m.link
		return
	}
	m.size = m.between()
}

// between returns a size above fits and below fails. Directly above a common
// MTU that fits is the likeliest place for the limit, so one more byte is tried
// there first.
func (m *mtuSearch) between() int {
	var inside []int
	for _, c := range commonMTUs {
		if c == m.fits && c > m.headers+smallProbe {
			if n := nextCommon(c); n >= m.fails || n == 0 {
				return c + 1
			}
		}
		if c > m.fits && c < m.fails && c > m.headers {
			inside = append(inside, c)
		}
	}
	if len(inside) > 0 {
		return inside[len(inside)/2]
	}
	low := max(m.fits, m.headers)
	return low + (m.fails-low)/2
}

// nextCommon returns the common MTU after c, 0 if there is none.
func nextCommon(c int) int {
	for _, n := range commonMTUs {
		if n > c {
			return n
		}
	}
	return 0
}

func (m *mtuSearch) finish() {
	m.done = true
	m.found.MTU = m.fits
	if m.fits == m.link {
		m.found.Local, m.found.BlackHole = true, false
	}
}

package output

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// maxHosts bounds how many addresses of one hop are told apart.
const maxHosts = 256

// hopRow is what a view knows of one hop: the statistics of the usual probes,
// where an answer from whomever is a reply, and who answered. Larger packets (a
// search for the path MTU) are not in it: who refuses those may be at any
// distance.
type hopRow struct {
	ttl    uint8
	target bool       // the target answered here
	set    *stats.Set // of one pseudo target
	seq    uint64     // of the last probe counted
	last   time.Duration
	hosts  []hopHost // in the order of their first answers
	more   bool      // there were more than maxHosts
	unsent string    // why a probe could not be sent, the last of several

	balance probe.Balance
	verdict *probe.HopLoss
	mtu     int
}

// hopHost is one address that answered at a hop.
type hopHost struct {
	addr    netip.Addr
	answers int
	best    time.Duration
	worst   time.Duration
	sum     time.Duration
	rewrote probe.Rewrite // all that its quotes showed
	latest  probe.Result  // its last answer, with hop as Detail
	hop     probe.Hop
}

func (h *hopHost) mean() time.Duration { return h.sum / time.Duration(max(h.answers, 1)) }

func newHopRow(ttl uint8) *hopRow {
	return &hopRow{ttl: ttl, set: stats.New([]*probe.Target{{}})}
}

func (h *hopRow) summary() stats.Summary { return h.set.Rows()[0].Summary() }

// add counts the outcome of one probe.
func (h *hopRow) add(r *probe.Result, hop *probe.Hop) {
	h.seq++
	counted := *r
	counted.Seq, counted.Detail, counted.Target = h.seq, nil, h.set.Rows()[0].Target
	if r.From.IsValid() {
		h.target = h.target || ofTarget(r)
		h.last = r.RTT
		h.host(r, hop)
		if r.Status != probe.Late {
			counted.Status = probe.Reply
		}
	}
	if r.Status == probe.Failed && r.Err != nil {
		h.unsent = r.Err.Error()
	}
	h.set.Record(&counted)
}

func (h *hopRow) host(r *probe.Result, hop *probe.Hop) {
	i := slices.IndexFunc(h.hosts, func(o hopHost) bool { return o.addr == r.From })
	if i < 0 {
		if len(h.hosts) == maxHosts {
			h.more = true
			return
		}
		i = len(h.hosts)
		h.hosts = append(h.hosts, hopHost{addr: r.From, best: r.RTT})
	}
	o := &h.hosts[i]
	o.answers++
	o.best, o.worst, o.sum = min(o.best, r.RTT), max(o.worst, r.RTT), o.sum+r.RTT
	o.latest, o.hop = *r, *hop
	o.latest.Detail = nil
	if hop.Quote != nil {
		o.rewrote |= hop.Quote.Rewritten
	}
}

// hopRows are the hops of one target as far as they are known, by TTL.
type hopRows struct {
	rows map[uint8]*hopRow
	size int // of the usual probe, bytes; 0 until the first is known
	high uint8
}

// add counts the outcome of one probe at the TTL with which it left.
func (s *hopRows) add(r *probe.Result, hop *probe.Hop) {
	if s.size == 0 {
		s.size = hop.Size
	}
	if hop.Size == s.size {
		s.row(hop.TTL).add(r, hop)
	}
}

func (s *hopRows) row(ttl uint8) *hopRow {
	if s.rows == nil {
		s.rows = map[uint8]*hopRow{}
	}
	h := s.rows[ttl]
	if h == nil {
		h = newHopRow(ttl)
		s.rows[ttl] = h
		s.high = max(s.high, ttl)
	}
	return h
}

// list returns the rows from TTL first on: up to the target, or else up to the
// farthest hop that answered while the trace goes on. Rows without any probe
// are in it, so that it has no gaps.
func (s *hopRows) list(first uint8) []*hopRow {
	var out []*hopRow
	answered := 0
	for ttl := int(first); ttl <= int(s.high); ttl++ {
		h := s.rows[uint8(ttl)]
		if h == nil {
			h = newHopRow(uint8(ttl))
		}
		out = append(out, h)
		if len(h.hosts) > 0 {
			answered = len(out)
		}
		if h.target {
			break
		}
	}
	return out[:answered]
}

// rowsOf returns the rows of a finished trace. Those of a monitored one have
// been counted in watched meanwhile.
func rowsOf(p *probe.Path, watched *hopRows) []*hopRow {
	size := usualSize(p)
	var out []*hopRow
	for i := range p.Hops {
		hop := &p.Hops[i]
		h := newHopRow(hop.TTL)
		if watched != nil && watched.rows[hop.TTL] != nil {
			h = watched.rows[hop.TTL]
		} else {
			for _, r := range inOrder(hop.Probes) {
				if d, ok := r.Detail.(*probe.Hop); ok && d.Size == size && r.Outcome() {
					h.add(r, d)
				}
			}
		}
		h.target = h.target || hop.Target
		h.balance, h.verdict, h.mtu = hop.Balance, hop.Loss, hop.MTU
		out = append(out, h)
	}
	return out
}

// inOrder returns the probes in the order of sending.
func inOrder(probes []probe.Result) []*probe.Result {
	out := make([]*probe.Result, len(probes))
	for i := range probes {
		out[i] = &probes[i]
	}
	slices.SortStableFunc(out, func(a, b *probe.Result) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// silent reports whether probes were given their time here and none was
// answered.
func (h *hopRow) silent() bool {
	if h.verdict != nil && h.verdict.Kind == probe.SilentHop {
		return true
	}
	s := h.summary()
	return len(h.hosts) == 0 && s.Lost > 0
}

// lossFraction returns the share of decided probes that nobody answered; ok is
// false if none was decided.
func (h *hopRow) lossFraction() (share float64, ok bool) {
	s := h.summary()
	return s.LossPercent / 100, s.HasLoss
}

// pathLoss returns for each hop the share of packets that may have been lost up
// to there: its own share of unanswered probes, but never more than at any
// farther hop that answers, since what arrives there was not lost here.
// Negative is unknown.
func pathLoss(rows []*hopRow) []float64 {
	out := make([]float64, len(rows))
	least := -1.0
	for i := len(rows) - 1; i >= 0; i-- {
		share, ok := rows[i].lossFraction()
		switch {
		case !ok || len(rows[i].hosts) == 0:
			out[i] = -1
			continue
		case least < 0 || share < least:
			least = share
		}
		out[i] = least
	}
	return out
}

package stats

import (
	"slices"
	"strings"
	"time"

	"netprobe/probe"
)

// DNS counts what name servers answered, beside what a Set counts of any target, and
// compares their answers. The n'th queries of all servers are the same question.
type DNS struct {
	rows    []DNSRow // by target ID
	compare bool
	open    map[uint64]*DNSComparison // by number of the query: not all have answered
	kept    []DNSComparison
	differ  int // comparisons in which somebody differs
	more    int // of those, how many were not kept
}

// DNSRow is what is known of one server.
type DNSRow struct {
	Target  *probe.Target
	Rcodes  map[string]uint64 // answers, in time or late, by rcode
	Unmet   uint64            // answers that were not as expected, and queries without one
	Strays  uint64            // what was not accepted as an answer
	Differs uint64            // comparisons in which it differs
}

// DNSComparison is one question and what each server answered.
type DNSComparison struct {
	Seq       uint64
	Question  probe.DNSQuestion
	Answers   []DNSAnswer // in the order of the targets
	Reference int         // index of an answer that most servers gave
	Differ    bool        // the rcode, the records or the serial: caches count TTLs down
	left      int
}

// DNSAnswer is what one server answered, and how that differs from the reference.
type DNSAnswer struct {
	Target    *probe.Target
	Status    probe.Status
	Reason    probe.Reason
	Rcode     string // empty without an answer
	RTT       time.Duration
	Set       []string // type and data of the answers, sorted
	TTL       uint32   // the least of the answers; valid if Set is not empty
	Serial    string   // of a SOA in the answer or authority section; empty without
	Different []string // in what it differs: answer, rcode, records, serial, ttl
	Missing   []string // of the records of the reference
	Extra     []string // that the reference lacks
}

const (
	// keptSame is how many comparisons are kept whatever they say, keptDifferent
	// how many if somebody differs.
	keptSame      = 64
	keptDifferent = 1000
)

// NewDNS returns a DNS that counts for targets, and with compare compares those that
// have an address.
func NewDNS(targets []*probe.Target, compare bool) *DNS {
	d := &DNS{rows: make([]DNSRow, len(targets)), compare: compare, open: map[uint64]*DNSComparison{}}
	for _, t := range targets {
		d.rows[t.ID] = DNSRow{Target: t, Rcodes: map[string]uint64{}}
	}
	return d
}

// Rows returns the rows by target ID; they are the DNS's own.
func (d *DNS) Rows() []DNSRow { return d.rows }

// Compares reports whether answers are compared.
func (d *DNS) Compares() bool { return d.compare }

// Differences returns the comparisons that were kept, the number of those in which
// somebody differs, and how many of them were too many to keep.
func (d *DNS) Differences() (kept []DNSComparison, differ, more int) {
	return d.kept, d.differ, d.more
}

// Record counts the outcome of a query; what is none counts nowhere.
func (d *DNS) Record(r *probe.Result) {
	about, ok := r.Detail.(*probe.DNS)
	if !ok || !r.Outcome() {
		return
	}
	row := &d.rows[r.Target.ID]
	if about.Answer != nil {
		row.Rcodes[about.Answer.Rcode]++
	}
	if len(about.Unmet) > 0 {
		row.Unmet++
	}
	row.Strays += uint64(about.StrayN)
	if d.compare {
		d.take(r, about)
	}
}

// take puts an answer beside those of the others, and compares them if it is the last.
func (d *DNS) take(r *probe.Result, about *probe.DNS) {
	c := d.open[r.Seq]
	if c == nil {
		c = &DNSComparison{Seq: r.Seq, Question: about.Question, Answers: make([]DNSAnswer, len(d.rows))}
		for i := range d.rows {
			c.Answers[i] = DNSAnswer{Target: d.rows[i].Target, Status: probe.Failed, Reason: probe.ResolveFailed}
			if d.rows[i].Target.Err == nil {
				c.left++
			}
		}
		d.open[r.Seq] = c
	}
	c.Answers[r.Target.ID] = answerOf(r, about)
	if c.left--; c.left > 0 {
		return
	}
	delete(d.open, r.Seq)
	c.judge()
	if c.Differ {
		d.differ++
		for i := range c.Answers {
			if c.Answers[i].differs() {
				d.rows[i].Differs++
			}
		}
	}
	switch {
	case len(d.kept) < keptSame, c.Differ && len(d.kept) < keptSame+keptDifferent:
		d.kept = append(d.kept, *c)
	case c.Differ:
		d.more++
	}
}

func answerOf(r *probe.Result, about *probe.DNS) DNSAnswer {
	a := DNSAnswer{Target: r.Target, Status: r.Status, Reason: r.Reason, RTT: r.RTT}
	m := about.Answer
	if m == nil {
		return a
	}
	a.Rcode = m.Rcode
	for i, rr := range m.Answers {
		if i == 0 || rr.TTL < a.TTL {
			a.TTL = rr.TTL
		}
		// Signatures are made anew by each signer, and for each time.
		if rr.Type != "RRSIG" {
			a.Set = append(a.Set, rr.Type+" "+rr.Data)
		}
	}
	slices.Sort(a.Set)
	a.Set = slices.Compact(a.Set)
	for _, rr := range slices.Concat(m.Answers, m.Authority) {
		if f := strings.Fields(rr.Data); rr.Type == "SOA" && len(f) >= 3 && a.Serial == "" {
			a.Serial = f[2]
		}
	}
	return a
}

// same reports whether two servers say the same; TTLs do not count.
func (a *DNSAnswer) same(b *DNSAnswer) bool {
	return a.Rcode == b.Rcode && a.Serial == b.Serial && slices.EqualFunc(a.Set, b.Set, strings.EqualFold)
}

// differs reports whether it differs in more than the TTL.
func (a *DNSAnswer) differs() bool {
	return slices.ContainsFunc(a.Different, func(s string) bool { return s != "ttl" })
}

// judge picks the reference, the answer that most servers gave, of several the
// first, and says how each differs from it.
func (c *DNSComparison) judge() {
	best := 0
	for i := range c.Answers {
		votes := 0
		for j := range c.Answers {
			if c.Answers[i].Rcode != "" && c.Answers[i].same(&c.Answers[j]) {
				votes++
			}
		}
		if votes > best {
			best, c.Reference = votes, i
		}
	}
	ref := c.Answers[c.Reference]
	for i := range c.Answers {
		a := &c.Answers[i]
		a.compare(&ref)
		// An answer that this host could not ask for is nobody's difference.
		c.Differ = c.Differ || a.differs()
	}
}

func (a *DNSAnswer) compare(ref *DNSAnswer) {
	switch {
	case a.Status == probe.Failed || a.Status == probe.Pending:
		return
	case a.Rcode == "":
		if ref.Rcode != "" {
			a.Different = append(a.Different, "answer")
		}
		return
	}
	if a.Rcode != ref.Rcode {
		a.Different = append(a.Different, "rcode") // and so in all that follows from it
		return
	}
	a.Missing, a.Extra = lacking(ref.Set, a.Set), lacking(a.Set, ref.Set)
	// A SOA differs by its serial: that is said once.
	if a.Serial != ref.Serial && a.Serial != "" && ref.Serial != "" {
		a.Different = append(a.Different, "serial")
		a.Missing, a.Extra = withoutSOA(a.Missing), withoutSOA(a.Extra)
	}
	if len(a.Missing)+len(a.Extra) > 0 {
		a.Different = append(a.Different, "records")
	}
	if len(a.Set) > 0 && len(ref.Set) > 0 && a.TTL != ref.TTL {
		a.Different = append(a.Different, "ttl")
	}
}

// lacking returns what is in a and not in b.
func lacking(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y string) bool { return strings.EqualFold(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

func withoutSOA(set []string) []string {
	return slices.DeleteFunc(set, func(s string) bool { return strings.HasPrefix(s, "SOA ") })
}

package dnsprobe

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// testTree is a small internet: zones from the root down, each with one fault or
// none, and a resolver that answers from all of them without validating.
type testTree struct {
	zones  map[string]*testZone
	seized []dns.RR                         // signed by test., for a name that is not its own
	tamper func(q dns.Question, m *dns.Msg) // what somebody on the way does to answers
	asked  []string                         // questions so far
	spin   time.Duration                    // each answer takes this long

	streams atomic.Int64 // answers by TCP
}

// tampered changes answers by the name asked for: the faults a signer cannot make.
func (tree *testTree) tampered(q dns.Question, m *dns.Msg) {
	drop := func(section []dns.RR, typs ...uint16) []dns.RR {
		return slices.DeleteFunc(section, func(rr dns.RR) bool {
			sig, ok := rr.(*dns.RRSIG)
			return slices.Contains(typs, rr.Header().Rrtype) || ok && slices.Contains(typs, sig.TypeCovered)
		})
	}
	// replay puts in what the servers of another zone say of another name.
	replay := func(zone, name string, typ uint16) {
		other := tree.zones[zone].answer(name, typ)
		m.Rcode, m.Answer, m.Ns = other.Rcode, other.Answer, other.Ns
	}
	rename := func(section []dns.RR, from, to string) {
		for _, rr := range section {
			if rr.Header().Name == from {
				rr.Header().Name = to
			}
		}
	}
	switch name := dns.CanonicalName(q.Name); {
	case name == "www.nosig.test.":
		m.Answer = drop(m.Answer, dns.TypeRRSIG)
	case name == "stripped.test." && q.Qtype == dns.TypeDS:
		m.Answer = nil
	case name == "www.changed.test.":
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				a.A[3]++
			}
		}
	case name == "denied.example.test.": // it exists, and is before nothing
		replay("example.test.", "nothing.example.test.", q.Qtype)
	case name == "denied.rsa.test.":
		replay("rsa.test.", "nothing.rsa.test.", q.Qtype)
	case name == "hidden.example.test.":
		replay("example.test.", "nothing.example.test.", q.Qtype)
		m.Rcode = dns.RcodeSuccess
	case name == "empty.example.test.": // it has names below it
		m.Rcode = dns.RcodeNameError
	case name == "unproven.example.test.":
		m.Ns = drop(m.Ns, dns.TypeNSEC)
	case name == "nowildcard.example.test.":
		cover := tree.zones["example.test."].nsecFor("*.example.test.")
		m.Ns = slices.DeleteFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Name == cover })
	case name == "taken.wild.example.test.": // its own records are hidden behind the wildcard's
		own := tree.zones["example.test."].answer(name, dns.TypeMX).Ns
		replay("example.test.", "x.wild.example.test.", q.Qtype)
		m.Ns = append(m.Ns, own...)
		rename(m.Answer, "x.wild.example.test.", name)
	case name == "renamed.wild.example.test.": // the NSEC of the wildcard as if it were this name's
		replay("example.test.", "*.wild.example.test.", dns.TypeNSEC)
		m.Ns = append(m.Answer, tree.zones["example.test."].set("example.test.", dns.TypeSOA, "example.test.")...)
		m.Answer = nil
		rename(m.Ns, "*.wild.example.test.", name)
	case strings.HasPrefix(name, "naked.wild."):
		m.Ns = drop(m.Ns, dns.TypeNSEC, dns.TypeNSEC3)
	case name == "below.sub.example.test.": // the zone above denies what is below the cut
		example := tree.zones["example.test."]
		m.Rcode, m.Ns = dns.RcodeNameError, append(example.set("sub.example.test.", dns.TypeNSEC, "sub.example.test."),
			append(example.set("example.test.", dns.TypeNSEC, "example.test."), example.set("example.test.", dns.TypeSOA, "example.test.")...)...)
	case name == "kid.test." && q.Qtype == dns.TypeDS: // the zone itself says that it has no DS
		m.Answer = nil
		m.Ns = append(tree.zones[name].set(name, dns.TypeNSEC, name), tree.zones[name].set(name, dns.TypeSOA, name)...)
	case name == "www.stranger.test.":
		for _, rr := range m.Answer {
			if sig, ok := rr.(*dns.RRSIG); ok {
				sig.SignerName = "example.test."
			}
		}
	case name == "www.seized.test.": // signed rightly, but by the zone above
		m.Answer = slices.Clone(tree.seized)
	case name == "nokeys.test." && q.Qtype == dns.TypeDNSKEY:
		m.Answer = nil
	case name == "servfail.test." && q.Qtype == dns.TypeDNSKEY:
		*m = dns.Msg{}
		m.Rcode = dns.RcodeServerFailure
	}
}

// newTree makes and signs all zones.
func newTree(t testing.TB, now time.Time) *testTree {
	t.Helper()
	const day = 24 * time.Hour
	ec, ed, rs := dns.ECDSAP256SHA256, dns.ED25519, dns.RSASHA256
	usual := "@ A 192.0.2.10\nwww A 192.0.2.1\n*.wild A 192.0.2.2\n"
	zones := []*testZone{
		{name: ".", alg: ec, text: "test NS ns.test.\nns.test A 192.0.2.53\nopt NS ns.opt.\nns.opt A 192.0.2.54\n"},
		{name: "test.", alg: ed, text: "ns A 192.0.2.53\n"},
		{name: "opt.", alg: ec, nsec3: &testNSEC3{optOut: true, salt: "ab12"}, text: usual + "plain NS ns.plain.opt.\nother NS ns.plain.opt.\n"},
		{name: "signed.opt.", alg: ec, text: usual},
		{name: "plain.opt.", text: usual},
		{name: "example.test.", alg: ec, text: usual + `
a.b.empty A 192.0.2.3
alias CNAME www
chain CNAME alias
far CNAME www.rsa.test.
away CNAME www.unsigned.test.
gone CNAME nothing.rsa.test.
loop1 CNAME loop2
loop2 CNAME loop1
lost CNAME www.expired.test.
*.aliases CNAME www
real.wild A 192.0.2.4
old DNAME sub.example.test.
denied A 192.0.2.5
hidden A 192.0.2.5
taken.wild A 192.0.2.7
MiXed MX 10 Mail.Example.TEST.
txt TXT "a" "b"
\000\255x A 192.0.2.6
`},
		{name: "sub.example.test.", alg: ed, nsec3: &testNSEC3{}, text: usual},
		{name: "rsa.test.", alg: rs, nsec3: &testNSEC3{iter: 5, salt: "aabb"}, text: usual + "a.b.empty A 192.0.2.3\ndenied A 192.0.2.5\nhalf NS ns.half.rsa.test.\n"},
		{name: "half.rsa.test.", text: usual},
		{name: "sha1.test.", alg: dns.RSASHA1, text: usual},
		{name: "p384.test.", alg: dns.ECDSAP384SHA384, text: usual},
		{name: "unsigned.test.", text: usual},
		{name: "deep.unsigned.test.", alg: ec, text: usual},
		{name: "expired.test.", alg: ec, begin: -33 * day, end: -3*day - time.Minute, text: usual},
		{name: "future.test.", alg: ec, begin: 2*time.Hour + time.Minute, text: usual},
		{name: "wrongds.test.", alg: ec, text: usual},
		{name: "otherds.test.", alg: ec, text: usual},
		{name: "oddalg.test.", alg: ec, text: usual},
		{name: "odddigest.test.", alg: ec, text: usual},
		{name: "nosig.test.", alg: ec, text: usual},
		{name: "stripped.test.", alg: ec, text: usual},
		{name: "changed.test.", alg: ec, text: usual},
		{name: "stranger.test.", alg: ec, text: usual},
		{name: "kid.test.", alg: ec, text: usual},
		{name: "seized.test.", alg: ec, text: usual},
		{name: "nokeys.test.", alg: ec, text: usual},
		{name: "servfail.test.", alg: ec, text: usual},
		{name: "many.test.", alg: ec, nsec3: &testNSEC3{iter: 500}, text: usual},
	}
	tree := &testTree{zones: map[string]*testZone{}}
	tree.tamper = tree.tampered
	for _, z := range zones {
		z.load(t, now)
		tree.zones[z.name] = z
	}
	for _, z := range zones {
		tree.delegate(t, z)
	}
	for _, z := range zones {
		z.sign(t)
	}
	a := mustRR(t, "www.seized.test. 300 IN A 192.0.2.66")
	test := tree.zones["test."]
	tree.seized = []dns.RR{a, test.signature(t, test.zsk, []dns.RR{a})}
	return tree
}

// delegate puts NS and DS of z into the zone above it.
func (tree *testTree) delegate(t testing.TB, z *testZone) {
	t.Helper()
	if z.name == "." {
		return
	}
	parent := tree.above(z.name)
	if parent.sets[z.name] == nil {
		parent.add(mustRR(t, z.name+" 300 IN NS ns."+z.name))
	}
	if z.alg == 0 {
		return
	}
	ds := z.ksk.rr.ToDS(dns.SHA256)
	ds.Hdr.Ttl = 300
	switch z.name {
	case "wrongds.test.":
		ds.Digest = strings.Repeat("00", 32)
	case "otherds.test.":
		ds.KeyTag++
	case "oddalg.test.":
		ds.Algorithm = dns.ED448
	case "odddigest.test.":
		ds.DigestType = 200
	}
	parent.add(ds)
}

func (tree *testTree) above(name string) *testZone {
	for name != "." {
		name = parentOf(name)
		if z := tree.zones[name]; z != nil {
			return z
		}
	}
	return nil
}

// resolve is what a resolver that does not validate answers.
func (tree *testTree) resolve(q dns.Question) *dns.Msg {
	name := dns.CanonicalName(q.Name)
	m := &dns.Msg{}
	seen := map[string]bool{}
	for !seen[name] {
		seen[name] = true
		z := tree.zones[name]
		if z == nil || q.Qtype == dns.TypeDS && name != "." {
			z = tree.above(name)
		}
		part := z.answer(name, q.Qtype)
		m.Rcode = part.Rcode
		m.Answer = append(m.Answer, part.Answer...)
		m.Ns = append(m.Ns, part.Ns...)
		next, _ := leads(part.Answer, name, q.Qtype)
		if next == "" || len(recordsOf(part.Answer, name, q.Qtype)) > 0 {
			break
		}
		name = next
	}
	if tree.tamper != nil {
		tree.tamper(q, m)
	}
	return m
}

// reply makes the message a server sends for q.
func (tree *testTree) reply(q *dns.Msg) *dns.Msg {
	m := tree.resolve(q.Question[0])
	rcode := m.Rcode
	m.SetReply(q)
	m.Rcode = rcode
	m.RecursionAvailable = true
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	return m
}

// exchange is an exchanger. It sends the message over no wire, but packs it, as
// names only then have the form they have in life.
func (tree *testTree) exchange(ctx context.Context, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
	tree.asked = append(tree.asked, q.Question[0].String())
	time.Sleep(tree.spin)
	wire, err := tree.reply(q).Pack()
	if err != nil {
		return nil, 0, err
	}
	m := &dns.Msg{}
	return m, tree.spin, m.Unpack(wire)
}

func (tree *testTree) anchors(t testing.TB, zone string) *Anchors {
	t.Helper()
	a, err := ParseAnchors(strings.NewReader(tree.zones[zone].ksk.rr.String()))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

package dnsprobe

import (
	"strings"
	"testing"
	"time"
)

// verdicts is what is asked of the tree. Other validators are asked the same.
var verdicts = []struct {
	name, typ string
	want      Security
	why       string // contained in the verdict's
	rcode     string // empty for NOERROR
	ours      string // why other validators may see it differently; empty if they must not
	unbound   string // why this one does
	delv      string
}{
	{name: ".", typ: "SOA", want: Secure},
	{name: "test", typ: "NS", want: Secure},
	{name: "www.example.test", typ: "A", want: Secure},
	{name: "WWW.Example.TEST.", typ: "A", want: Secure},
	{name: "example.test", typ: "DS", want: Secure},
	{name: "example.test", typ: "DNSKEY", want: Secure},
	{name: "mixed.example.test", typ: "MX", want: Secure},
	{name: "txt.example.test", typ: "TXT", want: Secure},
	{name: `\000\255x.example.test`, typ: "A", want: Secure},
	{name: "www.sub.example.test", typ: "A", want: Secure},
	{name: "www.rsa.test", typ: "A", want: Secure},
	{name: "www.sha1.test", typ: "A", want: Secure, ours: "SHA-1 is no longer trusted where the system's policy says so"},
	{name: "www.p384.test", typ: "A", want: Secure},
	{name: "www.signed.opt", typ: "A", want: Secure},

	// Aliases.
	{name: "alias.example.test", typ: "A", want: Secure},
	{name: "chain.example.test", typ: "A", want: Secure},
	{name: "chain.example.test", typ: "CNAME", want: Secure},
	{name: "far.example.test", typ: "A", want: Secure},
	{name: "gone.example.test", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "x.aliases.example.test", typ: "A", want: Secure},
	{name: "www.old.example.test", typ: "A", want: Secure},
	{name: "alias.example.test", typ: "MX", want: Secure},
	{name: "away.example.test", typ: "A", want: Insecure, why: "test proves that there is no DS of unsigned.test"},
	{name: "lost.example.test", typ: "A", want: Bogus, why: "signature of expired.test DNSKEY expired 3 days ago"},
	{name: "loop1.example.test", typ: "A", want: Bogus, why: "aliases lead in a circle: loop2.example.test is an alias of loop1.example.test again",
		ours: "each answers a loop in its own way"},

	// Wildcards.
	{name: "x.wild.example.test", typ: "A", want: Secure},
	{name: "x.y.wild.example.test", typ: "A", want: Secure},
	{name: "*.wild.example.test", typ: "A", want: Secure},
	{name: "real.wild.example.test", typ: "A", want: Secure},
	{name: "x.wild.sub.example.test", typ: "A", want: Secure},
	{name: "x.y.wild.rsa.test", typ: "A", want: Secure},
	{name: "x.wild.example.test", typ: "MX", want: Secure},
	{name: "x.wild.rsa.test", typ: "MX", want: Secure},
	{name: "naked.wild.example.test", typ: "A", want: Bogus, why: "without proof that naked.wild.example.test does not exist"},
	{name: "naked.wild.rsa.test", typ: "A", want: Bogus, why: "without proof that naked.wild.rsa.test does not exist"},
	{name: "taken.wild.example.test", typ: "A", want: Bogus, why: "NSEC does not prove that wildcard *.wild.example.test may stand for taken"},
	{name: "renamed.wild.example.test", typ: "MX", want: Bogus, why: "renamed.wild.example.test NSEC was made from a wildcard"},
	{name: "x.wild.opt", typ: "A", want: Insecure, why: "NSEC3 opt-out"},

	// What is not there.
	{name: "nothing.example.test", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "a.b.c.nothing.example.test", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "zzz.example.test", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "nothing.rsa.test", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "a.b.nothing.rsa.test", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "nothing", typ: "A", want: Secure, rcode: "NXDOMAIN"},
	{name: "www.example.test", typ: "MX", want: Secure},
	{name: "www.rsa.test", typ: "MX", want: Secure},
	{name: "b.empty.example.test", typ: "A", want: Secure},
	{name: "b.empty.rsa.test", typ: "A", want: Secure},
	{name: "unsigned.test", typ: "DS", want: Secure},
	{name: "half.rsa.test", typ: "DS", want: Secure},
	{name: "nothing.opt", typ: "A", want: Insecure, rcode: "NXDOMAIN", why: "NSEC3 opt-out",
		delv: "it calls this validated, though the AD bit may not be set for it (RFC 5155 section 9.2)"},
	{name: "nothing.many.test", typ: "A", want: Insecure, rcode: "NXDOMAIN", why: "NSEC3 of many.test asks for 500 iterations"},
	{name: "www.many.test", typ: "A", want: Secure},
	{name: "unproven.example.test", typ: "A", want: Bogus, rcode: "NXDOMAIN", why: "no NSEC or NSEC3 for unproven.example.test came though example.test is signed"},
	{name: "denied.example.test", typ: "A", want: Bogus, rcode: "NXDOMAIN", why: "NSEC does not prove that denied.example.test does not exist"},
	{name: "denied.rsa.test", typ: "A", want: Bogus, rcode: "NXDOMAIN", why: "NSEC3 does not prove that denied.rsa.test does not exist"},
	{name: "hidden.example.test", typ: "A", want: Bogus, why: "NSEC does not prove that hidden.example.test has no A"},
	{name: "empty.example.test", typ: "A", want: Bogus, rcode: "NXDOMAIN", why: "NSEC proves that empty.example.test does exist",
		unbound: "it corrects the rcode"},
	{name: "nowildcard.example.test", typ: "A", want: Bogus, rcode: "NXDOMAIN", why: "NSEC does not prove that no wildcard *.example.test stands for"},
	{name: "below.sub.example.test", typ: "A", want: Bogus, rcode: "NXDOMAIN", why: "NSEC does not prove that below.sub.example.test does not exist"},

	// Zones that nothing vouches for.
	{name: "www.unsigned.test", typ: "A", want: Insecure, why: "test proves that there is no DS of unsigned.test"},
	{name: "nothing.unsigned.test", typ: "A", want: Insecure, rcode: "NXDOMAIN"},
	{name: "www.deep.unsigned.test", typ: "A", want: Insecure, why: "no DS of unsigned.test"},
	{name: "www.half.rsa.test", typ: "A", want: Insecure, why: "rsa.test proves that there is no DS of half.rsa.test"},
	{name: "www.plain.opt", typ: "A", want: Insecure, why: "opt leaves unsigned what is at plain.opt (NSEC3 opt-out)"},
	{name: "www.oddalg.test", typ: "A", want: Insecure, why: "all DS of oddalg.test are of kinds not known here: ED448 with digest SHA256",
		ours: "others may know ED448"},
	{name: "www.odddigest.test", typ: "A", want: Insecure, why: "digest 200"},

	// Broken or attacked.
	{name: "www.expired.test", typ: "A", want: Bogus, why: "signature of expired.test DNSKEY expired 3 days ago"},
	{name: "www.future.test", typ: "A", want: Bogus, why: "signature of future.test DNSKEY is not valid before"},
	{name: "www.wrongds.test", typ: "A", want: Bogus, why: "matches no DNSKEY"},
	{name: "www.otherds.test", typ: "A", want: Bogus, why: "matches no DNSKEY"},
	{name: "www.nosig.test", typ: "A", want: Bogus, why: "no RRSIG for www.nosig.test A though nosig.test is signed"},
	{name: "www.stripped.test", typ: "A", want: Bogus, why: "no DS of stripped.test came, and no proof by test that there is none"},
	{name: "www.changed.test", typ: "A", want: Bogus, why: "does not match its data"},
	{name: "www.stranger.test", typ: "A", want: Bogus, why: "signature of www.stranger.test A is by example.test, but the zone of the data is stranger.test"},
	{name: "www.kid.test", typ: "A", want: Bogus, why: "signature of kid.test NSEC is by kid.test, but the zone of the data is test"},
	{name: "www.seized.test", typ: "A", want: Bogus, why: "signature of www.seized.test A is by test, but the zone of the data is seized.test",
		ours: "others do not look for a cut below the signer"},
	{name: "www.nokeys.test", typ: "A", want: Bogus, why: "nokeys.test has no DNSKEY"},
	{name: "www.servfail.test", typ: "A", want: Indeterminate, why: "the server answered SERVFAIL for servfail.test DNSKEY",
		ours: "they have one word, SERVFAIL, for this and for bogus"},
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tree := newTree(t, now)
	for _, tt := range verdicts {
		t.Run(tt.name+"_"+tt.typ, func(t *testing.T) {
			v, err := Validate(t.Context(), ValidateConfig{
				Name: tt.name, Type: tt.typ, At: now, Anchors: tree.anchors(t, "."), exchange: tree.exchange,
			})
			if err != nil {
				t.Fatal(err)
			}
			if v.Status != tt.want || !strings.Contains(v.Why, tt.why) || (v.Why == "") != (v.Status == Secure) {
				t.Errorf("%v %q, want %v %q", v.Status, v.Why, tt.want, tt.why)
			}
			if want := tt.rcode; v.Rcode != want && v.Rcode != "NOERROR" {
				t.Errorf("rcode %s, want %s", v.Rcode, want)
			}
			if v.Until.IsZero() == (v.Status == Secure) {
				t.Errorf("secure until %v", v.Until)
			}
			if strings.Contains(v.Why, "\n") {
				t.Errorf("more than one line: %q", v.Why)
			}
			t.Logf("%v: %s", v.Status, v.Why)
		})
	}
}

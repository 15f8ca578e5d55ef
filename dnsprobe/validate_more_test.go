package dnsprobe

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
)

func (tree *testTree) validate(t testing.TB, name, typ string, change func(*ValidateConfig)) Verdict {
	t.Helper()
	cfg := ValidateConfig{Name: name, Type: typ, At: tree.zones["."].now, Anchors: tree.anchors(t, "."), exchange: tree.exchange}
	if change != nil {
		change(&cfg)
	}
	v, err := Validate(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestChain tells all of a chain.
func TestChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		tree := newTree(t, now)
		tree.spin = 10 * time.Millisecond
		v := tree.validate(t, "www.unsigned.test", "A", nil)
		until := now.Add(30 * 24 * time.Hour).UTC()
		keys := func(zone, alg string) []SigningKey {
			z := tree.zones[zone]
			return []SigningKey{{z.ksk.rr.KeyTag(), alg, true, true}, {z.zsk.rr.KeyTag(), alg, false, true}}
		}
		ds := func(zone, alg string) []DelegationSigner {
			return []DelegationSigner{{tree.zones[zone].ksk.rr.KeyTag(), alg, "SHA256"}}
		}
		const why = "test proves that there is no DS of unsigned.test"
		want := Verdict{
			Status: Insecure, Why: why, Name: "www.unsigned.test", Type: "A", Rcode: "NOERROR",
			Answer:  []string{"www.unsigned.test.\t300\tIN\tA\t192.0.2.1"},
			Queries: 5, Took: 50 * time.Millisecond,
			Chain: []ZoneStep{
				{Zone: ".", Anchor: true, DS: ds(".", "ECDSAP256SHA256"), Keys: keys(".", "ECDSAP256SHA256"), Status: Secure, Until: until, Took: 20 * time.Millisecond},
				{Zone: "test", DS: ds("test.", "ED25519"), Keys: keys("test.", "ED25519"), Status: Secure, Until: until, Took: 20 * time.Millisecond},
				{Zone: "unsigned.test", Status: Insecure, Why: why, Until: until, Took: 10 * time.Millisecond},
			},
		}
		if diff := cmp.Diff(want, v, cmpopts.EquateApproxTime(time.Second)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAnchorBelow starts from the anchor nearest to the name.
func TestAnchorBelow(t *testing.T) {
	t.Parallel()
	tree := newTree(t, time.Now())
	for _, tt := range []struct {
		name, anchor string
		want         Security
		why          string
		queries      int
	}{
		{"www.example.test", "example.test.", Secure, "", 3}, // A, DNSKEY, and DS for a cut below
		{"www.deep.unsigned.test", "deep.unsigned.test.", Secure, "", 3},
		{"www.unsigned.test", "example.test.", Indeterminate, "no trust anchor is for www.unsigned.test or a zone above it", 1},
		{"www.example.test", "wrongds.test.", Indeterminate, "no trust anchor is for", 1},
	} {
		v := tree.validate(t, tt.name, "A", func(cfg *ValidateConfig) { cfg.Anchors = tree.anchors(t, tt.anchor) })
		if v.Status != tt.want || !strings.Contains(v.Why, tt.why) || v.Queries != tt.queries {
			t.Errorf("%s from %s: %v %q in %d queries, want %v %q in %d", tt.name, tt.anchor, v.Status, v.Why, v.Queries, tt.want, tt.why, tt.queries)
		}
	}
	v := tree.validate(t, "www.example.test", "A", func(cfg *ValidateConfig) {
		cfg.Anchors = tree.anchors(t, "example.test.")
		cfg.Anchors.zones["example.test."][0].Digest = "00"
	})
	if v.Status != Bogus || !strings.Contains(v.Why, "matches no DNSKEY") {
		t.Errorf("wrong anchor: %v %q", v.Status, v.Why)
	}
}

// TestTime moves the time at which signatures have to be valid.
func TestTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tree := newTree(t, now)
	for _, tt := range []struct {
		at   time.Duration
		want Security
		why  string
	}{
		{0, Secure, ""},
		{-time.Hour, Secure, ""},
		{30 * 24 * time.Hour, Secure, ""},
		{-time.Hour - time.Second, Bogus, "signature of . DNSKEY is not valid before 2026-03-01 11:00:00 UTC, in 1 second (the clock of this host says 2026-03-01 10:59:59 UTC)"},
		{30*24*time.Hour + 90*time.Second, Bogus, "signature of . DNSKEY expired 90 seconds ago, at 2026-03-31 12:00:00 UTC (the clock of this host says 2026-03-31 12:01:30 UTC)"},
		{-20 * 365 * 24 * time.Hour, Bogus, "in 7299 days"},
	} {
		v := tree.validate(t, "www.example.test", "A", func(cfg *ValidateConfig) { cfg.At = now.Add(tt.at) })
		if v.Status != tt.want || !strings.Contains(v.Why, tt.why) {
			t.Errorf("at %v: %v %q, want %v %q", tt.at, v.Status, v.Why, tt.want, tt.why)
		}
	}
}

// TestIndeterminate is about what does not come.
func TestIndeterminate(t *testing.T) {
	for _, tt := range []struct {
		label    string
		exchange func(*testTree) exchanger
		why      string
		took     time.Duration
	}{
		{"silence", func(*testTree) exchanger {
			return func(ctx context.Context, _ netip.AddrPort, _ *dns.Msg) (*dns.Msg, time.Duration, error) {
				<-ctx.Done()
				return nil, 0, ctx.Err()
			}
		}, "no answer for www.example.test A: nothing came within 5s", 5 * time.Second},
		{"no route", func(*testTree) exchanger {
			return func(context.Context, netip.AddrPort, *dns.Msg) (*dns.Msg, time.Duration, error) {
				return nil, 0, errNoRoute
			}
		}, "network is unreachable", 0},
		{"no reply", func(*testTree) exchanger {
			return func(context.Context, netip.AddrPort, *dns.Msg) (*dns.Msg, time.Duration, error) { return nil, 0, nil }
		}, "no reply", 0},
		{"another question", func(tree *testTree) exchanger {
			return func(ctx context.Context, s netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
				m, took, err := tree.exchange(ctx, s, q)
				m.Question[0].Name = "www.rsa.test."
				return m, took, err
			}
		}, "the reply is to another question (www.rsa.test A)", 0},
		{"a server without DNSSEC", func(tree *testTree) exchanger {
			return func(ctx context.Context, s netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
				m, took, err := tree.exchange(ctx, s, q)
				m.Extra = nil
				kept := m.Answer[:0]
				for _, rr := range m.Answer {
					if rr.Header().Rrtype != dns.TypeRRSIG {
						kept = append(kept, rr)
					}
				}
				m.Answer = kept
				return m, took, err
			}
		}, "the server passes no DNSSEC records on", 0},
	} {
		t.Run(tt.label, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tree := newTree(t, time.Now())
				begin := time.Now()
				v := tree.validate(t, "www.example.test", "A", func(cfg *ValidateConfig) { cfg.exchange = tt.exchange(tree) })
				if v.Status != Indeterminate || !strings.Contains(v.Why, tt.why) {
					t.Errorf("%v %q, want %q", v.Status, v.Why, tt.why)
				}
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// TestCanceled ends a validation by its context.
func TestCanceled(t *testing.T) {
	tree := newTree(t, time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := Validate(ctx, ValidateConfig{Name: "www.example.test", exchange: func(ctx context.Context, _ netip.AddrPort, _ *dns.Msg) (*dns.Msg, time.Duration, error) {
		return nil, 0, ctx.Err()
	}, Anchors: tree.anchors(t, ".")})
	if err != nil || v.Status != Indeterminate || !strings.Contains(v.Why, "interrupted") {
		t.Errorf("%v %q %v", v.Status, v.Why, err)
	}
}

// collide returns keys of zone with the tag of k that are nobody's.
func collide(t *testing.T, k *dns.DNSKEY, n int) []dns.RR {
	t.Helper()
	var keys []dns.RR
	for i := range n {
		raw, err := base64.StdEncoding.DecodeString(k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint32(raw, uint32(i))
		fake := *k
		for delta := range uint16(4) {
			fake.PublicKey = base64.StdEncoding.EncodeToString(raw)
			if fake.KeyTag() == k.KeyTag() {
				break
			}
			word := raw[len(raw)-2:]
			binary.BigEndian.PutUint16(word, binary.BigEndian.Uint16(word)+k.KeyTag()-fake.KeyTag()-delta/2)
		}
		fake.PublicKey = base64.StdEncoding.EncodeToString(raw)
		if fake.KeyTag() != k.KeyTag() {
			t.Fatalf("tag %d, want %d", fake.KeyTag(), k.KeyTag())
		}
		keys = append(keys, &fake)
	}
	return keys
}

// TestKeyTrap has many keys of one tag, and as many signatures by it.
func TestKeyTrap(t *testing.T) {
	t.Parallel()
	for _, alg := range []uint8{dns.ECDSAP256SHA256, dns.ED25519} {
		tree := newTree(t, time.Now())
		z := &testZone{name: "trap.test.", alg: alg, text: "www A 192.0.2.1\nok A 192.0.2.2\n"}
		z.load(t, time.Now())
		for _, k := range collide(t, z.zsk.rr, 100) {
			z.add(k)
		}
		tree.zones[z.name] = z
		test := &testZone{name: "test.", alg: dns.ED25519, text: "ns A 192.0.2.53\n"}
		test.load(t, time.Now())
		tree.zones["test."] = test
		tree.delegate(t, z)
		test.sign(t)
		z.sign(t)
		good := z.sigs["www.trap.test."][dns.TypeA][0].(*dns.RRSIG)
		z.sigs["www.trap.test."][dns.TypeA] = nil
		for i := range 100 {
			bad := *good
			raw, _ := base64.StdEncoding.DecodeString(bad.Signature)
			raw[5] ^= byte(i + 1)
			bad.Signature = base64.StdEncoding.EncodeToString(raw)
			z.sigs["www.trap.test."][dns.TypeA] = append(z.sigs["www.trap.test."][dns.TypeA], &bad)
		}
		v := newValidator(ValidateConfig{At: z.now, Anchors: tree.anchors(t, "."), exchange: tree.exchange})
		_, f := v.answer(t.Context(), "www.trap.test.", dns.TypeA)
		if f == nil || f.is != Bogus || !strings.Contains(f.why, "needs more signature checks than the 16") {
			t.Errorf("%+v", f)
		}
		if v.budget.checks > 40 {
			t.Errorf("%d signatures checked", v.budget.checks)
		}
		// Few signatures are enough to find the right key among a few.
		if _, f := v.answer(t.Context(), "ok.trap.test.", dns.TypeA); f != nil {
			t.Errorf("%+v", f)
		}
	}
}

// TestBudget spends what may be spent.
func TestBudget(t *testing.T) {
	b := &budget{}
	h := hashed{zone: "test.", budget: b, hashes: map[string]string{}, records: []span3{{from: strings.Repeat("a", 20), to: strings.Repeat("a", 20)}}}
	for i := range 2 * maxHashes {
		h.noName(fmt.Sprintf("x%d.test.", i))
	}
	if len(h.hashes) > maxHashes {
		t.Errorf("%d hashes", len(h.hashes))
	}
	if p := h.noName("another.test."); p.ok || !strings.Contains(p.why, "more than 1024 hashes") {
		t.Errorf("%+v", p)
	}
}

// TestValidateByWalk fetches everything from authoritative servers.
func TestValidateByWalk(t *testing.T) {
	t.Parallel()
	tree := newTree(t, time.Now())
	n := &testNet{t: t, zones: tree.zones, at: map[string][]string{
		"192.0.2.1": {"."}, "192.0.2.53": {"test.", "example.test.", "rsa.test.", "unsigned.test.", "expired.test."}, "192.0.2.54": {"opt.", "signed.opt."},
	}}
	for _, tt := range []struct {
		name, typ string
		want      Security
	}{
		{"www.example.test", "A", Secure},
		{"far.example.test", "A", Secure},
		{"nothing.example.test", "A", Secure},
		{"www.expired.test", "A", Bogus},
		{"nothing.opt", "A", Insecure},
	} {
		v := tree.validate(t, tt.name, tt.typ, func(cfg *ValidateConfig) {
			cfg.Walk = &WalkConfig{Root: netip.MustParseAddrPort("192.0.2.1:53"), exchange: n.exchange}
		})
		if v.Status != tt.want {
			t.Errorf("%s: %v %q, want %v", tt.name, v.Status, v.Why, tt.want)
		}
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, typ, err string }{
		{"www.example.test", "MX", ""},
		{"www.example.test", "type65280", ""},
		{".", "ns", ""},
		{"www.example.test", "NOSUCH", `unknown record type "NOSUCH"`},
		{"www.example.test", "AXFR", "a record type like AXFR cannot be looked up this way"},
		{"www.example.test", "RRSIG", "a record type like RRSIG cannot be looked up this way"},
		{strings.Repeat("a", 64) + ".test", "A", "is not a domain name"},
		{strings.Repeat("abcdefg.", 40), "A", "is not a domain name"},
		{"a..test", "A", "is not a domain name"},
	} {
		_, _, err := parseQuestion(tt.name, tt.typ)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q %q: %v, want %q", tt.name, tt.typ, err, tt.err)
		}
	}
	if _, err := Walk(t.Context(), WalkConfig{Name: "a..b"}); err == nil {
		t.Error("Walk took a bad name")
	}
	if _, err := Validate(t.Context(), ValidateConfig{Name: "a..b"}); err == nil {
		t.Error("Validate took a bad name")
	}
}

func TestCanonicalOrder(t *testing.T) {
	t.Parallel()
	// RFC 4034 section 6.1.
	order := []string{"example.", "a.example.", "yljkjljk.a.example.", "z.a.example.", "zabc.a.example.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i, a := range order {
		for j, b := range order {
			if got, want := compareNames(a, b), compareInts(i, j); got != want {
				t.Errorf("%s, %s: %d, want %d", a, b, got, want)
			}
		}
	}
}

func compareInts(a, b int) int { return min(max(a-b, -1), 1) }

func TestSpans(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to, name string
		want           bool
	}{
		{"a.test.", "c.test.", "b.test.", true},
		{"a.test.", "c.test.", "x.a.test.", true},
		{"a.test.", "c.test.", "a.test.", false},
		{"a.test.", "c.test.", "c.test.", false},
		{"a.test.", "c.test.", "x.c.test.", false},
		{"z.test.", "test.", "zz.test.", true},
		{"z.test.", "test.", "a.test.", false},
		{"test.", "test.", "a.test.", true},
		{"a.test.", "c.test.", "b.other.", false},
		{"a.other.", "test.", "b.test.", false},
		{"c.test.", "a.test.", "d.test.", false}, // only the zone's own name ends a chain
	} {
		if got := spans(tt.from, tt.to, tt.name, "test."); got != tt.want {
			t.Errorf("%s to %s over %s: %v", tt.from, tt.to, tt.name, got)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to, sum string
		want          bool
	}{
		{"b", "d", "c", true}, {"b", "d", "b", false}, {"b", "d", "d", false}, {"b", "d", "a", false},
		{"d", "b", "e", true}, {"d", "b", "a", true}, {"d", "b", "c", false}, {"d", "b", "d", false}, {"d", "b", "b", false},
		{"b", "b", "a", true}, {"b", "b", "c", true}, {"b", "b", "b", false},
	} {
		if got := (&span3{from: tt.from, to: tt.to}).covers(tt.sum); got != tt.want {
			t.Errorf("%s to %s over %s: %v", tt.from, tt.to, tt.sum, got)
		}
	}
}

func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	key := func(alg uint8, raw ...byte) *dns.DNSKEY {
		return &dns.DNSKEY{Algorithm: alg, PublicKey: base64.StdEncoding.EncodeToString(raw)}
	}
	for _, tt := range []struct {
		key  *dns.DNSKEY
		want string
	}{
		{key(dns.ED25519, make([]byte, 32)...), ""},
		{key(dns.ED25519, make([]byte, 31)...), "it has 31 bytes, not the 32 of ED25519"},
		{key(dns.ECDSAP256SHA256, make([]byte, 64)...), ""},
		{key(dns.RSASHA256, append([]byte{3, 1, 0, 1}, make([]byte, 128)...)...), ""},
		{key(dns.RSASHA256, append([]byte{3, 1, 0, 1}, make([]byte, 64)...)...), "it has 512 bits"},
		{key(dns.RSASHA256, append([]byte{3, 1, 0, 1}, make([]byte, 600)...)...), "it has 4800 bits"},
		{key(dns.RSASHA256, append([]byte{5, 1, 0, 0, 0, 1}, make([]byte, 128)...)...), "its RSA exponent has 40 bits"},
		{key(dns.RSASHA256, 0, 1, 0), "it is no RSA key"},
		{key(dns.RSASHA256, 1), "it is too short for RSA"},
		{key(dns.ED448, 1), "it is for ED448"},
		{&dns.DNSKEY{Algorithm: dns.ED25519, PublicKey: "!"}, "it is no base64"},
	} {
		if got := unusable(tt.key); !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%v: %q, want %q", tt.key, got, tt.want)
		}
	}
}

var errAnchors = errors.New("reading failed")

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errAnchors }

func TestParseAnchors(t *testing.T) {
	t.Parallel()
	ksk := keyFor("example.test.", dns.ECDSAP256SHA256, 257).rr
	tag, digest := ksk.KeyTag(), strings.ToLower(ksk.ToDS(dns.SHA256).Digest)
	same := fmt.Sprintf("example.test: %d/ECDSAP256SHA256 %s", tag, digest)
	bind := fmt.Sprintf(`"%s" "%s"`, ksk.PublicKey[:20], ksk.PublicKey[20:])
	revoked := *ksk
	revoked.Flags |= dns.REVOKE
	for _, tt := range []struct {
		label, text, want, err string
	}{
		{label: "DNSKEY", text: ksk.String(), want: same},
		{label: "DNSKEY without TTL", text: "Example.Test. IN DNSKEY 257 3 13 " + ksk.PublicKey, want: same},
		{label: "DNSKEY in lines", text: "example.test. DNSKEY 257 3 13 (\n " + ksk.PublicKey[:30] + " ; a piece\n " + ksk.PublicKey[30:] + " )\n", want: same},
		{label: "unbound's state", text: "; autotrust trust anchor file\n;;id: example.test. 1\n" + ksk.String() + " ;{id = 1 (ksk), size = 256b} ;;state=2 [  VALID  ] ;;count=0\n", want: same},
		{label: "DS", text: fmt.Sprintf("example.test. 3600 IN DS %d 13 2 %s\n", tag, digest), want: same},
		{label: "DS of no known type", text: fmt.Sprintf("example.test. IN DS \\# 36 %04x 0d02 %s\n", tag, digest), want: same},
		{label: "DS of another length", text: fmt.Sprintf("example.test. IN DS \\# 35 %04x 0d02 %s\n", tag, digest), err: "bad DS: the data is not as many bytes in hex digits as it says at line: 1"},
		{label: "relative", text: fmt.Sprintf("$TTL 1h30m\n$origin test.\nexample ( 1d\n ) in ds %d ecdsap256sha256 2 %s %s", tag, digest[:9], digest[9:]), want: same},
		{label: "at the origin", text: fmt.Sprintf("$ORIGIN Example.Test.\r\n@ DS %d 13 2 \"%s\"\r\n", tag, digest), want: same},
		{label: "owner of the line before", text: fmt.Sprintf("example.test. TXT \"(;\\\"\"\n\n; x\n\tCLASS1 60 DS %d 13 2 %s", tag, digest), want: same},
		{label: "with other records", text: "example.test. 60 IN A 192.0.2.1\n" + ksk.String(), want: same},
		{label: "BIND keys", text: "# a comment; {\ntrust-anchors {\n\texample.test static-key 257 3 13 " + bind + "; // \"\n /* } */ };\n", want: same},
		{label: "BIND DS", text: fmt.Sprintf("trust-anchors { \"example.test.\" initial-ds %d 13 2 \"%s\"; };", tag, digest), want: same},
		{label: "BIND trusted-keys", text: "trusted-keys { example.test 257 3 13 " + bind + "; };", want: same},
		{label: "BIND managed-keys", text: "managed-keys { example.test initial-key 257 3 13 " + bind + "; };", want: same},
		{label: "revoked", text: revoked.String(), err: "no DS or DNSKEY record found"},
		{label: "empty", text: "", err: "no DS or DNSKEY record found"},
		{label: "other class", text: "example.test. CH DS 1 13 2 00", err: "no DS or DNSKEY record found"},
		{label: "XML", text: "<?xml version=\"1.0\"?>", err: "XML is not read"},
		{label: "syntax", text: "example.test. IN DS one 13 2 00", err: "at line: 1"},
		{label: "short", text: "\n; (\nexample.test. ( IN\n DS 1 13 2 )", err: "bad DS: the data ends too early at line: 3"},
		{label: "no hex", text: "a. DS 1 13 2 0", err: `bad DS: "0" is not in hex digits at line: 1`},
		{label: "no base64", text: "a. DNSKEY 257 3 13 AwEA=", err: "is not in base64"},
		{label: "large number", text: "a. DNSKEY 65536 3 13 AwEAAQ==", err: `"65536" is not a number of 2 bytes`},
		{label: "broken key", text: "a. DNSKEY 257 3 13 " + strings.Repeat("AAAA", 1<<14), err: "the DNSKEY of a is broken"},
		{label: "no type", text: "nonsense", err: "a record without a type at line: 1"},
		{label: "unknown type", text: "a. IN KSK 1", err: `"KSK" is not a record type`},
		{label: "no owner", text: " DS 1 13 2 00", err: "a record without a name at line: 1"},
		{label: "empty owner", text: `"" DS 1 13 2 00`, err: "a name is empty"},
		{label: "bad owner", text: "a..b DS 1 13 2 00", err: `"a..b.": not a domain name`},
		{label: "open parenthesis", text: "a. DS 1 13 2 ( 00", err: "no closing parenthesis"},
		{label: "closing parenthesis", text: "a. DS 1 13 2 00 )", err: "a closing parenthesis too many"},
		{label: "open quote", text: "a. TXT \"x\nb. DS 1 13 2 00", err: "no closing quote"},
		{label: "TTL", text: "$TTL long\n", err: "$TTL takes a time to live"},
		{label: "include", text: "$INCLUDE /etc/passwd\n", err: "$INCLUDE directive not allowed"},
		{label: "generated", text: "$generate 1-60000 a$.test. DS 1 13 2 00\n", err: "$GENERATE is not read"},
		{label: "many", text: strings.Repeat("a.test. DS 1 13 2 00\n", 257), err: "more than 256 records"},
		{label: "BIND without end", text: "trust-anchors { example.test static-key 257 3 13 " + bind + ";", err: "the last statement does not end"},
		{label: "BIND nonsense", text: "trust-anchors { example.test static-key; };", err: `the anchor of "example.test" is not understood`},
		{label: "too long", text: strings.Repeat(" ", maxAnchorBytes+1), err: "larger than 1048576 bytes"},
	} {
		a, err := ParseAnchors(strings.NewReader(tt.text))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: error %v, want %q", tt.label, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.label, err)
			continue
		}
		ds := a.of("example.test.")
		if len(ds) != 1 || len(a.Zones()) != 1 {
			t.Errorf("%s: %v", tt.label, a.zones)
			continue
		}
		if got := fmt.Sprintf("%s: %v %s", a.Zones()[0], ds, strings.ToLower(ds[0].Digest)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.label, got, tt.want)
		}
	}
	if _, err := ParseAnchors(badReader{}); !errors.Is(err, errAnchors) {
		t.Error(err)
	}
	if n := len(rootAnchors().of(".")); n != 2 {
		t.Errorf("%d root anchors", n)
	}
}

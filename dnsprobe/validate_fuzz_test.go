package dnsprobe

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func FuzzParseAnchors(f *testing.F) {
	f.Add([]byte(". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"))
	f.Add([]byte("example.test. IN DNSKEY 257 3 13 (\n mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+ KkxLbxILfDLUT0rAK9iUzy1L53eKGQ== )\n"))
	f.Add([]byte("trust-anchors { . initial-ds 20326 8 2 \"E06D44B8\" \"0B\"; /* { */ };"))
	f.Add([]byte("managed-keys { \"a\" initial-key 257 3 8 \"AwEAAQ==\"; // }\n};"))
	f.Add([]byte("$GENERATE 0-2147483647 ;\n"))
	f.Add([]byte("$GENERATE 1-10 a$ DS 1 13 2 00\n$TTL 1\n$ORIGIN x.\n@ DS 1 13 2 00"))
	f.Add([]byte("$TTL 1h\n$ORIGIN test.\nexample 1d IN A 192.0.2.1 ; x\n IN 3600 DS 1 8 2 ( 00\n ff ) \n@ DS \"1\" 8 2 00\\046\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := ParseAnchors(bytes.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		n := 0
		for zone, ds := range a.zones {
			if again, err := canonical(zone); err != nil || again != zone {
				t.Errorf("zone %q is %q, %v", zone, again, err)
			}
			n += len(ds)
			ds.understood()
			_ = ds.String()
		}
		if n == 0 || n > maxAnchors {
			t.Errorf("%d anchors", n)
		}
		if isBIND(text) || tightParentheses.Match(text) {
			return
		}
		want, ok := anchorsByOthers(text)
		got := map[string]bool{}
		for zone, set := range a.zones {
			for _, ds := range set {
				got[anchorText(zone, ds)] = true
			}
		}
		if ok && !maps.Equal(got, want) {
			t.Errorf("anchors %v, want %v", got, want)
		}
	})
}

// tightParentheses have no blanks around them; the library loses words there.
var tightParentheses = regexp.MustCompile(`\S[()]|[()]\S`)

// anchorsByOthers returns the anchors that the library's parser finds, if it can read
// text.
func anchorsByOthers(text []byte) (map[string]bool, bool) {
	anchors := map[string]bool{}
	zp := dns.NewZoneParser(bytes.NewReader(text), ".", "")
	zp.SetDefaultTTL(3600)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		zone, err := canonical(rr.Header().Name)
		if err != nil || rr.Header().Class != dns.ClassINET {
			continue
		}
		rr.Header().Name = zone // digests of others than ASCII are wrong else
		switch rr := rr.(type) {
		case *dns.DS:
			anchors[anchorText(zone, rr)] = true
		case *dns.DNSKEY:
			if ds := rr.ToDS(dns.SHA256); ds != nil && rr.Flags&dns.ZONE != 0 && rr.Flags&dns.REVOKE == 0 && rr.Protocol == 3 {
				anchors[anchorText(zone, ds)] = true
			}
		}
	}
	return anchors, zp.Err() == nil
}

func anchorText(zone string, ds *dns.DS) string {
	return fmt.Sprintf("%s %d %d %d %s", zone, ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToLower(ds.Digest))
}

// damage changes wire as edits say: each is an offset, and a byte to put there.
func damage(wire, edits []byte) []byte {
	wire = slices.Clone(wire)
	for ; len(edits) >= 3; edits = edits[3:] {
		if at := int(binary.BigEndian.Uint16(edits)); len(wire) > 12 {
			wire[at%len(wire)] = edits[2]
		}
	}
	return wire
}

// FuzzValidate damages every answer on the way. Nothing may panic or take long,
// and what is called secure has to be what the zone holds.
func FuzzValidate(f *testing.F) {
	tree := newTree(f, time.Now())
	for i := range verdicts {
		f.Add(uint8(i), uint8(0), []byte{0, 0, 0})
	}
	f.Add(uint8(2), uint8(0), []byte{0, 60, 2, 0, 3, 3})
	f.Add(uint8(2), uint8(3), []byte{0, 100, 255, 0, 45, 1, 0, 46, 0})
	f.Add(uint8(33), uint8(1), []byte{0, 7, 0, 0, 9, 0})
	anchors := tree.anchors(f, ".")
	f.Fuzz(func(t *testing.T, which, only uint8, edits []byte) {
		tt := verdicts[int(which)%len(verdicts)]
		n := 0
		cfg := ValidateConfig{Name: tt.name, Type: tt.typ, At: tree.zones["."].now, Anchors: anchors}
		cfg.exchange = func(_ context.Context, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
			wire, err := tree.reply(q).Pack()
			if err != nil {
				return nil, 0, err
			}
			if n++; only == 0 || n == int(only) {
				wire = damage(wire, edits)
			}
			m := &dns.Msg{}
			return m, 0, m.Unpack(wire)
		}
		v, err := Validate(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if v.Queries > maxValidateQueries+1 || strings.Contains(v.Why, "\n") || (v.Why == "") != (v.Status == Secure) {
			t.Errorf("%+v", v)
		}
		if v.Status != Secure {
			return
		}
		if strings.Contains(tt.why, "but the zone of the data is seized") {
			return // without proof of the cut it is secure: the zone above did sign it
		}
		if tt.want != Secure {
			t.Fatalf("%s %s made secure: %+v", tt.name, tt.typ, v)
		}
		name, typ, _ := parseQuestion(tt.name, tt.typ)
		truth := tree.resolve(dns.Question{Name: name, Qtype: typ, Qclass: dns.ClassINET})
		for _, text := range v.Answer {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			rr.Header().Name = owner(rr)
			same := func(own dns.RR) bool { return dns.IsDuplicate(mustRR(t, own.String()), rr) }
			if !slices.ContainsFunc(truth.Answer, same) {
				t.Errorf("%s %s has %v, which is not the zone's: %v", tt.name, tt.typ, text, truth.Answer)
			}
		}
		if len(v.Answer) == 0 && len(recordsOf(truth.Answer, name, typ)) > 0 {
			t.Errorf("%s %s was hidden", tt.name, tt.typ)
		}
	})
}

// FuzzWalk lets one server answer anything to everything.
func FuzzWalk(f *testing.F) {
	n := newNet(f, usualZones, nil)
	for _, q := range []string{"www.example.test.", "www.glueless.test.", "nothing.test.", "far.example.test."} {
		for _, zone := range []string{".", "test.", "example.test."} {
			if !within(q, zone) {
				continue
			}
			m := n.zones[zone].answer(q, dns.TypeA)
			m.SetQuestion(q, dns.TypeA)
			wire, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		cfg := WalkConfig{Name: "www.example.test", Root: netip.MustParseAddrPort("192.0.2.1:53")}
		cfg.exchange = func(_ context.Context, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
			m := &dns.Msg{}
			if err := m.Unpack(wire); err != nil {
				return nil, 0, err
			}
			m.Response, m.Opcode, m.Question = true, dns.OpcodeQuery, q.Question
			return m, 0, nil
		}
		p, err := Walk(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Steps) > maxWalkQueries || len(p.Answer) > maxAnswers || len(p.Steps) == 0 {
			t.Errorf("%d steps, %d answers", len(p.Steps), len(p.Answer))
		}
	})
}

package dnsprobe

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"netprobe/probe"
	"netprobe/rawsock"
)

func plainHost(s string) (probe.Host, error) { return probe.ParseHost(s, nil) }

// Servers are read as people write them.
func TestParseServer(t *testing.T) {
	for _, tc := range []struct {
		text, want string // transport host port path
	}{
		{"192.0.2.53", "udp 192.0.2.53 53"},
		{"192.0.2.53:5353", "udp 192.0.2.53 5353"},
		{"2001:db8::53", "udp 2001:db8::53 53"},
		{"[2001:db8::53]", "udp 2001:db8::53 53"},
		{"[2001:db8::53]:5353", "udp 2001:db8::53 5353"},
		{"dns.example", "udp dns.example 53"},
		{"tcp://192.0.2.53", "tcp 192.0.2.53 53"},
		{"TLS://dns.example:8853", "tls dns.example 8853"},
		{"tls://[2001:db8::53]", "tls 2001:db8::53 853"},
		{"https://dns.example", "https dns.example 443 /dns-query"},
		{"https://dns.example/", "https dns.example 443 /dns-query"},
		{"https://192.0.2.53:8443/q?x=1", "https 192.0.2.53 8443 /q?x=1"},
		{"", "error"}, {":53", "error"}, {"192.0.2.53:0", "error"}, {"192.0.2.53:65536", "error"}, {"192.0.2.53:x", "error"},
		{"udp://192.0.2.53/path", "error"}, {"https://dns.example/a b", "error"}, {"https://dns.example/\x1b", "error"}, {"ftp://192.0.2.53", "error"},
	} {
		s, err := ParseServer(tc.text, UDP, plainHost)
		got := "error"
		if err == nil {
			got = strings.TrimSpace(fmt.Sprintf("%v %s %d %s", s.Transport, s.name(), s.Port, s.Path))
		}
		if got != tc.want {
			t.Errorf("%q: %s (%v), want %s", tc.text, got, err, tc.want)
		}
	}
	if _, err := ParseServer("quic://192.0.2.53", UDP, plainHost); !errors.Is(err, ErrQUIC) {
		t.Error(err)
	}
	if s, err := ParseServer("192.0.2.53", DoH, plainHost); err != nil || s.Port != 443 || s.Path != DefaultPath || s.authority() != "192.0.2.53" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, _ := ParseServer("https://[2001:db8::53]:8443", UDP, plainHost); s.authority() != "[2001:db8::53]:8443" {
		t.Errorf("authority %q", s.authority())
	}
}

func TestSystemServers(t *testing.T) {
	for conf, want := range map[string]string{
		"nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.test\n":                            "[127.0.0.53]",
		"# nameserver 192.0.2.1\n nameserver\t192.0.2.53 \nnameserver fe80::1%eth0\nnameserver 192.0.2.x": "[192.0.2.53 fe80::1%eth0]",
		"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4":          "[192.0.2.1 192.0.2.2 192.0.2.3]",
		"": "[127.0.0.1]",
	} {
		got, err := SystemServers(strings.NewReader(conf))
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", conf, got, err)
		}
	}
}

func TestNewQuestion(t *testing.T) {
	for _, tc := range []struct{ name, typ, class, want string }{
		{"www.example.test", "", "", "www.example.test. A IN"},
		{"www.example.test.", "mx", "", "www.example.test. MX IN"},
		{".", "NS", "", ". NS IN"},
		{"version.bind", "TXT", "CH", "version.bind. TXT CH"},
		{`a\.b.example`, "TYPE65280", "", `a\.b.example. TYPE65280 IN`},
		{"_sip._tcp.example", "SRV", "", "_sip._tcp.example. SRV IN"},
		{"x", "any", "", "x. ANY IN"},
		{"", "A", "", ""}, {"a..b", "A", "", ""}, {strings.Repeat("a", 64), "A", "", ""}, {strings.Repeat("aaaa.", 60), "A", "", ""},
		{"x", "NOSUCH", "", ""}, {"x", "AXFR", "", ""}, {"x", "OPT", "", ""}, {"x", "TYPE65536", "", ""}, {"x", "TYPE01", "", ""}, {"x", "A", "XX", ""},
	} {
		q, err := NewQuestion(tc.name, tc.typ, tc.class)
		got := ""
		if err == nil {
			w := q.Words()
			got = w.Name + " " + w.Type + " " + w.Class
		}
		if got != tc.want {
			t.Errorf("%q %q: %q (%v), want %q", tc.name, tc.typ, got, err, tc.want)
		}
	}
	if got := ReverseName(netip.MustParseAddr("192.0.2.7")); got != "7.2.0.192.in-addr.arpa." {
		t.Error(got)
	}
	if !slices.Contains(Rcodes(), "NXDOMAIN") || !slices.Contains(Rcodes(), "BADVERS") || slices.Contains(Rcodes(), "BADSIG") {
		t.Error(Rcodes())
	}
}

// What is expected is compared as records are, not as text.
func TestExpectations(t *testing.T) {
	m := &probe.DNSMessage{Answers: []probe.DNSRecord{
		{Type: "CNAME", Data: "www.example.test."}, {Type: "A", Data: "192.0.2.7"}, {Type: "A", Data: "192.0.2.8"},
		{Type: "AAAA", Data: "2001:db8::7"}, {Type: "TXT", Data: `"hello world"`}, {Type: "MX", Data: "10 mail.example.test."},
		{Type: "CAA", Data: `0 issue "ca.example.test"`}, {Type: "SVCB", Data: `1 . alpn="h2,h3" port="443"`}, {Type: "DS", Data: "20326 8 2 E06D44B8"},
		{Type: "DNSKEY", Data: "257 3 13 AwEAAQ=="}, {Type: "SPF", Data: `"a\"\;\255" "b"`}, {Type: "SRV", Data: "0 5 443 www.example.test."},
		{Type: "SOA", Data: "ns.example.test. host.example.test. 1 2 3 4 5"}, {Type: "TYPE65280", Data: `\# 2 aBcD`}, {Type: "HINFO", Data: `"Intel" ""`},
	}}
	a, mx := question4(t, "x", "A"), question4(t, "x", "MX")
	for _, tc := range []struct {
		expect string // separated by |
		q      Question
		want   string
	}{
		{"A=192.0.2.7|A=192.0.2.8", a, ""},
		{"A=192.0.2.7", a, "expected A 192.0.2.7, got 192.0.2.7 192.0.2.8"},
		{"A=192.0.2.9", a, "expected A 192.0.2.9, got 192.0.2.7 192.0.2.8"},
		{"A=192.0.2.9", mx, ""}, // it is about the other question
		{"A", a, ""},
		{"NS", a, "expected NS, got none"},
		{"NS=ns1.example.test.", a, "expected NS ns1.example.test., got none"},
		{"cname=WWW.example.test.", a, ""},
		{"AAAA=2001:DB8:0:0::7", a, ""},
		{"TXT=hello world", a, ""},
		{`TXT="hello world"`, a, ""},
		{"MX=10 mail.example.test.", mx, ""},
		{"MX=010  MAIL.example.test", mx, ""},
		{"MX=20 mail.example.test", mx, "expected MX 20 mail.example.test, got 10 mail.example.test."},
		{"cname=www.example.test", a, ""},
		{`cname=\119ww.example.test`, a, ""},
		{"TXT=hello  world", a, `expected TXT hello  world, got "hello world"`},
		{`TXT="hello" "world"`, a, `expected TXT "hello" "world", got "hello world"`},
		{"CAA=0 issue ca.example.test", a, ""},
		{`CAA=1 issue "ca.example.test"`, a, `expected CAA 1 issue "ca.example.test", got 0 issue "ca.example.test"`},
		{"SVCB=1 . alpn=h2,h3 port=443", a, ""},
		{"SVCB=1 . alpn=h2 port=443", a, `expected SVCB 1 . alpn=h2 port=443, got 1 . alpn="h2,h3" port="443"`},
		{"DS=20326 rsasha256 2 e06d 44b8", a, ""},
		{"DS=20326 8 2 e06d44b9", a, "expected DS 20326 8 2 e06d44b9, got 20326 8 2 E06D44B8"},
		{"DNSKEY=257 3 13 ( AwEA AQ== )", a, ""},
		{"DNSKEY=257 3 13 AWEAAQ==", a, "expected DNSKEY 257 3 13 AWEAAQ==, got 257 3 13 AwEAAQ=="},
		{`SPF="a\034;\255" b`, a, ""},
		{`SPF="a\034;\254" b`, a, `expected SPF "a\034;\254" b, got "a\"\;\255" "b"`},
		{"SRV=0 5 443 www.example.test", a, ""},
		{"SOA=ns.example.test host.example.test 1 2 3 4 5", a, ""},
		{`TYPE65280=\#  2 abcd`, a, ""},
		{"HINFO=intel \"\"", a, ""},
	} {
		var es []Expectation
		for text := range strings.SplitSeq(tc.expect, "|") {
			e, err := ParseExpectation(text)
			if err != nil {
				t.Fatal(text, err)
			}
			es = append(es, e)
		}
		if got := strings.Join(unmet(es, tc.q, []Question{a, mx}, m), "|"); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.expect, got, tc.want)
		}
	}
	for _, bad := range []string{"", "=", "A=", "A=x", "A=192.0.2.7 192.0.2.8", "X=1", "A=192.0.2.7\n", "MX=mail.example.", "ANY", "A=$INCLUDE /etc/passwd", "AAAA=192.0.2.7", "AAAA=fe80::1%lo", "MX=65536 mail.example.", "NS=a..b", `NS=""`, `TXT="x`, "A=(192.0.2.7", "DS=1 8 2 0", "DNSKEY=257 3 13 A", "SOA=a. b. 1 2 3 4", "HINFO=;"} {
		if e, err := ParseExpectation(bad); err == nil {
			t.Errorf("%q: %+v", bad, e)
		}
	}
}

// Data is equal to itself as the library writes it, and to no other.
func TestExpectationOfRecords(t *testing.T) {
	texts := []string{
		"A 192.0.2.7", "AAAA 2001:db8::7", "AAAA ::ffff:192.0.2.7", "NS a\\.b.example.test.", "MX 10 .", `TXT "" "a b" "\195\164\"\\"`, `TXT "` + strings.Repeat("x", 255) + `" "y"`,
		"SOA . . 1 2 3 4 5", "SRV 0 0 1 a.", `CAA 128 iodef "mailto:x@example.test"`, `URI 1 2 "https://example.test/;("`, `NAPTR 1 2 "S" "SIP+D2U" "!^.*$!x\\1!" _sip._udp.a.`,
		`HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.1"`, "SVCB 0 a.", "DS 1 8 2 00FF", "DNSKEY 257 3 13 AwEAAQ==", "CDS 0 0 0 00", "TLSA 3 1 1 00FF", "SSHFP 1 2 00FF",
		`HINFO "a b" ""`, "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m", "NSEC a. A TXT", "RP a. b.", `TYPE65280 \# 2 abcd`,
	}
	for _, text := range texts {
		rr, err := dns.NewRR(". 0 IN " + text)
		if err != nil {
			t.Fatal(text, err)
		}
		name := typeName(rr.Header().Rrtype)
		e, err := ParseExpectation(name + "=" + dataOf(rr))
		if err != nil {
			t.Error(text, err)
			continue
		}
		for _, other := range texts {
			if o, err := dns.NewRR(". 0 IN " + other); err != nil || o.Header().Rrtype == e.typ && e.meets(dataOf(o)) != (text == other) {
				t.Errorf("%s meets %s: %t, %v", other, text, text != other, err)
			}
		}
	}
	for _, name := range Types() {
		if typ, _ := parseType(name); dataForm(typ) == dataForm(0) {
			t.Errorf("the data of %s is not understood", name)
		}
	}
}

// What is given can be met if it is understood.
func FuzzExpectation(f *testing.F) {
	for _, s := range []string{"A=192.0.2.7", "MX=10 a.", `TXT="a" "b\034"`, "TXT=a;b", "SVCB=1 . alpn=h2", "DS=1 8 2 00", "SOA=a. b. 1 2 3 4 5", "NAPTR=1 2 a b c d.", "A", "LOC=("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseExpectation(text)
		if err == nil && e.data != "" && !e.meets(e.data) && (e.typ != dns.TypeTXT || e.data[0] == '"') {
			t.Errorf("%q does not meet itself: %+v", text, e)
		}
	})
}

// hostileMessages are messages that a parser may trip over.
func hostileMessages() [][]byte {
	q := new(dns.Msg).SetQuestion("www.example.test.", dns.TypeA)
	q.SetEdns0(1232, true)
	query, _ := q.Pack()
	answer, _ := respond(q).Pack()
	loop := append(slices.Clone(answer[:headerLen]), 0xc0, 12, 0, 1, 0, 1)
	long := slices.Clone(answer[:headerLen])
	for range 40 {
		long = append(long, append([]byte{63}, bytes.Repeat([]byte{'a'}, 63)...)...)
	}
	long = append(long, 0, 0, 1, 0, 1)
	counts := slices.Clone(answer)
	for i := 4; i < headerLen; i++ {
		counts[i] = 0xff
	}
	return [][]byte{nil, query, answer, loop, long, counts, answer[:len(answer)-1], append(slices.Clone(answer), 1, 2, 3), bytes.Repeat([]byte{0xc0}, 1000)}
}

// No message does harm, and what is read of it lies within it.
func FuzzReply(f *testing.F) {
	for _, b := range hostileMessages() {
		f.Add(b)
	}
	fm := newForm(Question{name: "www.example.test.", typ: 1, class: 1}, &Options{Cookie: true})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b)
		if err == nil {
			_, _ = r.answers(fm, make([]byte, cookieLen))
			if r.question != nil {
				_ = questionWords(r.question)
			}
		}
		m, derr := decode(b, make([]byte, cookieLen))
		if derr != nil {
			if strings.Contains(derr.Error(), "it cannot be read") {
				t.Errorf("the library panicked: %v", derr)
			}
			return
		}
		if err != nil && len(b) >= headerLen && !r.truncated() && m.Rcode != "" {
			// The library is laxer in places; what it lets pass is never shown, as
			// parseReply comes first.
			return
		}
		if err == nil && !strings.HasPrefix(m.Rcode, "RCODE") && rcodeName(r.rcode) != m.Rcode && r.rcode < 16 {
			t.Errorf("rcode %d is %s to the library", r.rcode, m.Rcode)
		}
		for _, rr := range slices.Concat(m.Answers, m.Authority, m.Additional) {
			if len(rr.Data) > 8*maxMessage || len(rr.Name) > 1100 {
				t.Errorf("a record of %d characters of %d bytes", len(rr.Data), len(b))
			}
		}
	})
}

// stream reads what a fuzzer wrote and swallows what is written.
type stream struct{ *bytes.Reader }

func (stream) Write(p []byte) (int, error) { return len(p), nil }

// No server does harm by what it sends instead of HTTP.
func FuzzHTTP(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n"))
	b := appendFrame(nil, frameSettings, 0, 0, nil)
	b = appendFrame(b, frameHeaders, flagEndHeaders, 1, []byte{0x88})
	b = appendFrame(b, frameData, flagEndStream|flagPadded, 1, []byte{2, 'h', 'i', 0, 0})
	f.Add(b)
	f.Add(appendFrame(nil, frameGoAway, 0, 0, make([]byte, 8)))
	f.Add(appendFrame(appendFrame(nil, frameHeaders, 0, 1, []byte{0x88}), frameContinuation, flagEndHeaders, 1, nil))
	req := &httpRequest{authority: "dns.example", path: "/dns-query", body: []byte("query")}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, do := range []func() (*httpResponse, error){
			func() (*httpResponse, error) { return overHTTP1(stream{bytes.NewReader(b)}, req) },
			func() (*httpResponse, error) { return overHTTP2(stream{bytes.NewReader(b)}, req) },
		} {
			resp, err := do()
			if err == nil && (len(resp.body) > maxMessage || resp.status < 100 || resp.status > 999) {
				t.Errorf("status %d, %d bytes", resp.status, len(resp.body))
			}
		}
	})
}

func FuzzServer(f *testing.F) {
	for _, s := range []string{"192.0.2.53", "[2001:db8::53]:53", "https://dns.example/q", "tls://", "[", "]:1", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseServer(text, UDP, plainHost)
		if err != nil {
			return
		}
		if s.Port == 0 || s.name() == "" || strings.ContainsAny(s.authority()+s.Path, " \r\n") {
			t.Errorf("%q: %+v", text, s)
		}
	})
}

// A host without one of the families says so of those servers alone.
func TestNoSocketForFamily(t *testing.T) {
	e, err := Open(Config{Questions: []Question{question4(t, "x", "A")}}, rawsock.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	e.SetServers([]Asked{{Server: Server{}, Target: &probe.Target{Addr: netip.MustParseAddrPort("[2001:db8::53]:53")}}})
	var got []probe.Result
	if err := e.Probe(t.Context(), func(r probe.Result) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	r, _ := one(t, got)
	if r.Status != probe.Failed || r.Reason != probe.NoRoute || r.Err == nil {
		t.Errorf("%+v", r)
	}
}

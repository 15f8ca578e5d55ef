package dnsprobe

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"netprobe/probe"
)

// An answer is told whole, with the time the kernel saw pass.
func TestAnswer(t *testing.T) {
	s := newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
		m := respond(q)
		m.Authoritative = true
		m.Ns = append(m.Ns, record("example.test. 600 IN NS ns1.example.test."))
		m.Extra = append(m.Extra, record("ns1.example.test. 600 IN A 192.0.2.53"))
		o := m.IsEdns0()
		o.Option = append(o.Option,
			&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6e7331"},
			&dns.EDNS0_EDE{InfoCode: 3, ExtraText: "served from\x1b[31m memory"})
		w.msg(m)
	})
	r, d := one(t, ask(t, Config{}, s))
	if r.Status != probe.Reply || r.Reason != probe.DNSReply || r.From != s.addr.Addr() || r.RTT <= 0 || r.Seq != 1 || r.Size == 0 {
		t.Errorf("%+v", r)
	}
	if runtime.GOOS == "linux" && r.Clock != probe.Kernel {
		t.Error("not by the kernel's clock")
	}
	a := d.Answer
	if a.Rcode != "NOERROR" || fmt.Sprint(a.Flags) != "[qr aa rd ra]" || d.Transport != "udp" || len(d.Attempts) != 1 || d.StrayN != 0 {
		t.Errorf("%+v", a)
	}
	want := probe.DNSRecord{Name: "www.example.test.", Class: "IN", Type: "A", TTL: 300, Data: "192.0.2.7"}
	if len(a.Answers) != 1 || a.Answers[0] != want || len(a.Authority) != 1 || len(a.Additional) != 1 {
		t.Errorf("%+v", a)
	}
	if e := a.EDNS; e == nil || e.NSID != "ns1" || e.UDPSize != 1232 || len(e.Errors) != 1 || e.Errors[0].Name != "Stale Answer" || !strings.Contains(e.Errors[0].Text, "\x1b") {
		t.Errorf("%+v", e)
	}
	if len(d.Phases) != 1 || d.Phases[0].Name != "request" || d.Phases[0].Took != r.RTT {
		t.Errorf("phases %v", d.Phases)
	}
}

// What is no answer is named, and the answer that follows is taken.
func TestStrays(t *testing.T) {
	cases := []struct {
		name, why, what string
		send            func(q *dns.Msg, w writer)
	}{
		{"source", "wrong source", "", func(q *dns.Msg, w writer) {
			b, _ := respond(q).Pack()
			w.from(b)
		}},
		{"id", "wrong id", "", func(q *dns.Msg, w writer) {
			m := respond(q)
			m.Id++
			w.msg(m)
		}},
		{"question", "wrong question", "evil.example. A", func(q *dns.Msg, w writer) {
			m := respond(q)
			m.Question[0].Name = "evil.example."
			w.msg(m)
		}},
		{"type", "wrong question", "www.example.test. MX", func(q *dns.Msg, w writer) {
			m := respond(q)
			m.Question = []dns.Question{{Name: m.Question[0].Name, Qtype: dns.TypeMX, Qclass: 1}}
			w.msg(m)
		}},
		{"query", "not a response", "", func(q *dns.Msg, w writer) { w.msg(q) }},
		{"short", "malformed", "it ends early", func(q *dns.Msg, w writer) {
			b, _ := respond(q).Pack()
			w.raw(b[:len(b)-3])
		}},
		{"tiny", "malformed", "it ends early", func(q *dns.Msg, w writer) { w.raw([]byte{1, 2, 3}) }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			s := newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
				tc.send(q.Copy(), w)
				time.Sleep(50 * ms)
				w.msg(respond(q))
			})
			r, d := one(t, ask(t, Config{}, s))
			if r.Status != probe.Reply || d.Answer.Rcode != "NOERROR" {
				t.Errorf("%v %v", r.Status, r.Reason)
			}
			if d.StrayN != 1 || d.Strays[0].Why != tc.why || tc.what != "" && d.Strays[0].What != tc.what {
				t.Errorf("strays %+v", d.Strays)
			}
			if from := d.Strays[0].From; (from != s.addr) != (tc.name == "source") {
				t.Errorf("from %v", from)
			}
		})
	}
}

// Strays alone are no answer, and a flood of them takes no memory.
func TestOnlyStrays(t *testing.T) {
	s := newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
		for i := range 200 {
			m := respond(q)
			m.Id += uint16(i + 1)
			w.msg(m)
		}
	})
	r, d := one(t, ask(t, Config{Timeout: 300 * ms}, s))
	if r.Status != probe.Lost || r.Reason != probe.BadReply || r.From.IsValid() || d.Answer != nil {
		t.Errorf("%+v", r)
	}
	if d.StrayN != 200 || len(d.Strays) != maxTold {
		t.Errorf("%d strays, %d told", d.StrayN, len(d.Strays))
	}
}

// Silence is asked again; each attempt is told.
func TestRetry(t *testing.T) {
	s := newServer(t, "127.0.0.1", func(_ *server, n int, q *dns.Msg, w writer) {
		if n == 3 {
			w.msg(respond(q))
		}
	})
	r, d := one(t, ask(t, Config{Timeout: 100 * ms, Retries: 2}, s))
	if r.Status != probe.Reply || len(d.Attempts) != 3 || d.Attempts[0].Status != probe.Lost || d.Attempts[1].Status != probe.Lost || d.Attempts[2].Status != probe.Reply {
		t.Errorf("%v, attempts %+v", r.Status, d.Attempts)
	}
	if r.RTT > 90*ms && r.Clock == probe.Kernel {
		t.Errorf("RTT %v counts what was lost before", r.RTT)
	}
}

// What comes after the timeout is late, even while the query is repeated.
func TestLate(t *testing.T) {
	s := newServer(t, "127.0.0.1", func(_ *server, n int, q *dns.Msg, w writer) {
		if n == 1 {
			go func() {
				time.Sleep(150 * ms)
				w.msg(respond(q))
			}()
		}
	})
	for _, retries := range []int{0, 1} {
		s.mu.Lock()
		s.queries = 0
		s.mu.Unlock()
		r, d := one(t, ask(t, Config{Timeout: 100 * ms, Late: 5 * time.Second, Retries: retries}, s))
		if r.Status != probe.Late || r.RTT < 150*ms || d.Answer == nil || len(d.Attempts) != 1+retries || d.Attempts[0].Status != probe.Late {
			t.Errorf("%d retries: %v after %v, attempts %+v", retries, r.Status, r.RTT, d.Attempts)
		}
	}
}

// Further answers are duplicates and change nothing.
func TestDuplicate(t *testing.T) {
	s := newServer(t, "127.0.0.1", func(_ *server, n int, q *dns.Msg, w writer) {
		w.msg(respond(q))
		if n == 1 {
			w.msg(respond(q))
		} else {
			time.Sleep(50 * ms)
		}
	})
	got := askAll(t, Config{Count: 2, Interval: 200 * ms}, s)
	var dup, replies int
	for _, r := range got {
		switch {
		case r.Flags.Has(probe.Dup):
			dup++
		case r.Status == probe.Reply:
			replies++
		}
	}
	if dup != 1 || replies != 2 {
		t.Errorf("%d duplicates, %d replies", dup, replies)
	}
}

// A port where nobody listens is told by the server's own host.
func TestRefused(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("without an error queue nobody tells")
	}
	s := answering(t)
	s.udp.Close()
	r, d := one(t, ask(t, Config{}, s))
	if r.Status != probe.Refused || r.Reason != probe.PortUnreachable || r.From != s.addr.Addr() {
		t.Errorf("%+v", r)
	}
	if len(d.Attempts) != 1 || d.Attempts[0].Status != probe.Refused {
		t.Errorf("%+v", d.Attempts)
	}
}

// A truncated answer is asked for again by TCP, and both times are told.
func TestTruncated(t *testing.T) {
	script := func(_ *server, _ int, q *dns.Msg, w writer) {
		m := respond(q)
		if !w.stream {
			m.Answer, m.Truncated = nil, true
		}
		w.msg(m)
	}
	s := newServer(t, "127.0.0.1", script)
	r, d := one(t, ask(t, Config{}, s))
	if r.Status != probe.Reply || d.Transport != "tcp" || len(d.Answer.Answers) != 1 || len(d.Attempts) != 2 {
		t.Fatalf("%+v, %+v", r, d)
	}
	a, b := d.Attempts[0], d.Attempts[1]
	if a.Transport != "udp" || !a.Truncated || !a.HasRTT || b.Transport != "tcp" || b.Truncated || !b.HasRTT || r.RTT != a.RTT+b.RTT {
		t.Errorf("%+v", d.Attempts)
	}
	if len(d.Phases) != 2 || d.Phases[0].Name != "connect" || d.Phases[1].Name != "request" {
		t.Errorf("phases %v", d.Phases)
	}
	r, d = one(t, ask(t, Config{KeepTruncated: true}, s))
	if r.Status != probe.Reply || d.Transport != "udp" || len(d.Attempts) != 1 || !strings.Contains(fmt.Sprint(d.Answer.Flags), "tc") {
		t.Errorf("kept: %+v, %+v", r, d)
	}
	// Without TCP there is no answer, and it says why.
	s.tcp.Close()
	r, d = one(t, ask(t, Config{}, s))
	if r.Status != probe.Refused || r.Reason != probe.RST || len(d.Attempts) != 2 || d.Answer != nil {
		t.Errorf("no tcp: %+v, %+v", r, d)
	}
}

// Rcodes of 16 and more need EDNS (RFC 6891, section 6.1.3).
func TestRcodes(t *testing.T) {
	for _, rcode := range []int{0, 1, 2, 3, 4, 5, 9, 16} {
		s := newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
			m := respond(q)
			m.Rcode = rcode
			if rcode == dns.RcodeFormatError { // some leave out what they did not understand
				m.Question, m.Answer = nil, nil
			}
			w.msg(m)
		})
		for _, brief := range []bool{false, true} {
			r, d := one(t, ask(t, Config{Brief: brief}, s))
			if want := rcodeName(rcode); r.Status != probe.Reply || d.Answer.Rcode != want {
				t.Errorf("%v %s, want %s", r.Status, d.Answer.Rcode, want)
			}
		}
	}
}

// The cookie of the server is sent back, and one that is not ours is not taken.
func TestCookies(t *testing.T) {
	const own = "0011223344556677"
	s := newServer(t, "127.0.0.1", func(_ *server, n int, q *dns.Msg, w writer) {
		m := respond(q)
		o := m.IsEdns0()
		var sent string
		for _, x := range q.IsEdns0().Option {
			if c, ok := x.(*dns.EDNS0_COOKIE); ok {
				sent = c.Cookie
			}
		}
		if n == 1 {
			m.Rcode = dns.RcodeBadCookie
		} else if !strings.HasSuffix(sent, own) {
			m.Rcode = dns.RcodeRefused
		}
		if n == 2 {
			forged := m.Copy()
			forged.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "ffffffffffffffff" + own}}
			w.msg(forged)
		}
		o.Option = append(o.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: sent[:16] + own})
		w.msg(m)
	})
	r, d := one(t, ask(t, Config{Options: Options{Cookie: true}}, s))
	if r.Status != probe.Reply || d.Answer.Rcode != "NOERROR" || len(d.Attempts) != 2 || d.Attempts[0].Rcode != "BADCOOKIE" {
		t.Errorf("%+v, %+v", d.Answer, d.Attempts)
	}
	if e := d.Answer.EDNS; !e.CookieOK || e.Cookie != own {
		t.Errorf("%+v", e)
	}
	if d.StrayN != 1 || d.Strays[0].Why != "wrong cookie" {
		t.Errorf("strays %+v", d.Strays)
	}
}

// Queries say what they were asked to say.
func TestOptionsOnTheWire(t *testing.T) {
	seen := make(chan *dns.Msg, 1)
	s := newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) {
		seen <- q
		w.msg(respond(q))
	})
	_, d := one(t, ask(t, Config{Options: Options{NoRecursion: true, CD: true, UDPSize: 4000, DO: true, Subnet: netip.MustParsePrefix("198.51.100.77/24")}}, s))
	q := <-seen
	o := q.IsEdns0()
	if q.RecursionDesired || !q.CheckingDisabled || q.AuthenticatedData || o.UDPSize() != 4000 || !o.Do() || len(o.Option) != 2 {
		t.Errorf("%v", q)
	}
	if sub, ok := o.Option[1].(*dns.EDNS0_SUBNET); !ok || sub.Address.String() != "198.51.100.0" || sub.SourceNetmask != 24 || sub.Family != 1 {
		t.Errorf("%v", o.Option)
	}
	if !d.Answer.EDNS.DO {
		t.Error("DO is not told")
	}
	_, _ = one(t, ask(t, Config{Options: Options{NoEDNS: true, DO: true}}, s))
	if q = <-seen; q.IsEdns0() != nil || !q.RecursionDesired {
		t.Errorf("%v", q)
	}
}

// Several servers are asked side by side, a dead one among them holds up nobody, and
// all have their own numbers.
func TestManyQueries(t *testing.T) {
	var servers []*server
	for range 4 {
		servers = append(servers, answering(t))
	}
	dead := newServer(t, "127.0.0.1", func(*server, int, *dns.Msg, writer) {})
	servers = append(servers, dead)
	var qs []Question
	for i := range 100 {
		qs = append(qs, question4(t, fmt.Sprintf("host%d.example.test", i), "A"))
	}
	got := ask(t, Config{Questions: qs, Count: 2, Timeout: 500 * ms, Window: 60}, servers...)
	seqs := map[int]map[uint64]bool{}
	for _, r := range got {
		id := r.Target.ID
		if seqs[id] == nil {
			seqs[id] = map[uint64]bool{}
		}
		seqs[id][r.Seq] = true
		d := r.Detail.(*probe.DNS)
		switch {
		case id == 4 && (r.Status != probe.Lost || r.Reason != probe.NoResponse):
			t.Fatalf("dead server: %v", r.Status)
		case id < 4 && (r.Status != probe.Reply || d.Answer.Answers[0].Name != d.Question.Name):
			t.Fatalf("server %d: %v, %+v", id, r.Status, d)
		}
	}
	for id := range servers {
		if len(seqs[id]) != 200 {
			t.Errorf("server %d: %d queries", id, len(seqs[id]))
		}
	}
}

// At a rate nothing is lost either.
func TestRate(t *testing.T) {
	s := answering(t)
	var qs []Question
	for i := range 1000 {
		qs = append(qs, question4(t, fmt.Sprintf("host%d.example.test", i), "A"))
	}
	began := time.Now()
	got := ask(t, Config{Questions: qs, Rate: 2000, Window: 10000, Brief: true, Timeout: 5 * time.Second}, s)
	if took := time.Since(began); took < 450*ms {
		t.Errorf("a thousand queries at 2000/s took %v", took)
	}
	if len(got) != 1000 {
		t.Fatalf("%d outcomes", len(got))
	}
	for _, r := range got {
		if r.Status != probe.Reply {
			t.Fatalf("query %d: %v %v", r.Seq, r.Status, r.Reason)
		}
	}
}

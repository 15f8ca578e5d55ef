package output_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// dnsRun is a recorded run of queries.
type dnsRun struct {
	name    string
	servers []string // "name transport"; the address is 192.0.2.53 and up, none after a !
	queries int
	rounds  int
	compare bool
	wanted  string
	result  []probe.Result
	end     output.End
}

// play shows the run in v.
func (s *dnsRun) play(v output.View) error {
	d := &output.DNSHeader{Queries: s.queries, Rounds: s.rounds, Expected: s.wanted, Timeout: 2 * time.Second}
	h := &output.Header{ID: "r1", Verb: "dns", Version: "1.0", Host: "prober", Start: start, Socket: "dgram", Clock: probe.Kernel, Planned: 3, DNS: d}
	for i, text := range s.servers {
		name, transport, _ := strings.Cut(text, " ")
		t := &probe.Target{ID: i, Addr: netip.AddrPortFrom(addr("192.0.2.53").Next(), 53)}
		t.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(53 + i)}), 53)
		if t.Name = name; strings.HasSuffix(transport, "!") {
			t.Addr, t.Err = netip.AddrPort{}, fmt.Errorf("no such host")
		}
		h.Targets = append(h.Targets, t)
		d.Transports = append(d.Transports, strings.TrimSuffix(transport, "!"))
	}
	d.Stats = stats.NewDNS(h.Targets, s.compare)
	r := output.NewReport(h, stats.New(h.Targets), v)
	if err := r.Begin(); err != nil {
		return err
	}
	for _, res := range s.result {
		res.Target = h.Targets[res.Target.ID]
		if res.From.IsValid() && res.From == addr("0.0.0.1") {
			res.From = res.Target.Addr.Addr()
		}
		if err := r.Record(&res); err != nil {
			return err
		}
	}
	return r.End(&s.end)
}

func question(name, typ string) probe.DNSQuestion {
	return probe.DNSQuestion{Name: name, Type: typ, Class: "IN"}
}

func rr(name, typ string, ttl uint32, data string) probe.DNSRecord {
	return probe.DNSRecord{Name: name, Class: "IN", Type: typ, TTL: ttl, Data: data}
}

// asked is the outcome of query seq to a server; From is filled in where it answered.
func queried(server int, seq uint64, status probe.Status, reason probe.Reason, d *probe.DNS) probe.Result {
	r := probe.Result{Target: &probe.Target{ID: server}, Seq: seq, Status: status, Reason: reason, Sent: start.Add(time.Duration(seq) * time.Second), Detail: d}
	if status == probe.Reply || status == probe.Late || status == probe.Refused {
		r.From, r.RTT, r.Clock, r.TTL = addr("0.0.0.1"), 412*time.Microsecond, probe.Kernel, 64
	}
	return r
}

// said is an answer by UDP.
func said(q probe.DNSQuestion, rcode string, answers ...probe.DNSRecord) *probe.DNS {
	return &probe.DNS{
		Question: q, Transport: "udp",
		Answer: &probe.DNSMessage{
			Rcode: rcode, Opcode: "QUERY", Flags: []string{"qr", "aa", "rd"}, Size: 87, Answers: answers,
			EDNS: &probe.DNSOptions{UDPSize: 1232},
		},
		Phases:   []probe.Step{{Name: "request", Took: 412 * time.Microsecond}},
		Attempts: []probe.DNSAttempt{{Transport: "udp", Status: probe.Reply, Reason: probe.DNSReply, Rcode: rcode, Sent: start, RTT: 412 * time.Microsecond, HasRTT: true, Clock: probe.Kernel, Size: 87}},
	}
}

func unheard(q probe.DNSQuestion, attempts int) *probe.DNS {
	d := &probe.DNS{Question: q, Transport: "udp"}
	for range attempts {
		d.Attempts = append(d.Attempts, probe.DNSAttempt{Transport: "udp", Status: probe.Lost, Reason: probe.NoResponse, Sent: start})
	}
	return d
}

func dnsRuns() []*dnsRun {
	www, mx := question("www.example.test.", "A"), question("example.test.", "MX")
	done := output.End{StoppedBy: "done", Time: start.Add(3 * time.Second)}
	return []*dnsRun{
		{name: "answers", servers: []string{"192.0.2.53 udp", "dns.example.test tls"}, queries: 2, rounds: 1, end: done, result: []probe.Result{
			queried(0, 1, probe.Reply, probe.DNSReply, said(www, "NOERROR", rr("www.example.test.", "A", 300, "192.0.2.7"), rr("www.example.test.", "A", 60, "192.0.2.8"))),
			queried(1, 1, probe.Reply, probe.DNSReply, overTLS(said(www, "NOERROR", rr("www.example.test.", "CNAME", 300, "web.example.test."), rr("web.example.test.", "A", 5, "192.0.2.9")))),
			queried(0, 2, probe.Reply, probe.DNSReply, denied(said(mx, "NXDOMAIN"))),
			queried(1, 2, probe.Reply, probe.DNSReply, referred(said(mx, "NOERROR"))),
		}},
		{name: "trouble", servers: []string{"a udp", "b tcp", "c udp", "nowhere udp!"}, queries: 3, rounds: 1, end: failedRun(), result: []probe.Result{
			queried(0, 1, probe.Lost, probe.NoResponse, unheard(www, 3)),
			queried(1, 1, probe.Lost, probe.BadReply, cutQuery(www)),
			queried(2, 1, probe.Refused, probe.PortUnreachable, unheard(www, 1)),
			queried(0, 2, probe.Lost, probe.BadReply, strayed(unheard(mx, 1))),
			queried(2, 2, probe.Reply, probe.DNSReply, truncated(said(mx, "NOERROR", rr("example.test.", "MX", 30, "10 mail.example.test.")))),
			unasked(2, 3, www),
			queried(0, 3, probe.Late, probe.DNSReply, retried(said(www, "SERVFAIL"))),
			queried(1, 3, probe.Pending, probe.Canceled, unheard(www, 0)),
		}},
		{name: "hostile", servers: []string{"evil\x1b[2J udp"}, queries: 1, rounds: 1, end: done, result: []probe.Result{
			queried(0, 1, probe.Reply, probe.DNSReply, hostileAnswer()),
		}},
		{name: "rounds", servers: []string{"192.0.2.53 udp", "192.0.2.54 udp"}, queries: 10, rounds: 10, end: done, result: rounds(www)},
		{name: "compare", servers: []string{"ns1 udp", "ns2 udp", "ns3 udp", "ns4 udp"}, queries: 2, rounds: 1, compare: true, end: failedRun(), result: compared()},
		{name: "studies", servers: []string{"the-root udp"}, queries: 5, rounds: 1, end: done, result: studies()},
		{name: "agree", servers: []string{"ns1 udp", "ns2 udp"}, queries: 1, rounds: 1, compare: true, wanted: "NXDOMAIN", end: done, result: []probe.Result{
			queried(0, 1, probe.Reply, probe.DNSReply, denied(said(www, "NXDOMAIN"))),
			queried(1, 1, probe.Reply, probe.DNSReply, denied(said(www, "NXDOMAIN"))),
		}},
	}
}

func failedRun() output.End {
	return output.End{StoppedBy: "done", Exit: 1, Time: start.Add(3 * time.Second), Notes: []string{"fail-if fired: a: loss>2%"}}
}

func overTLS(d *probe.DNS) *probe.DNS {
	d.Transport = "tls"
	d.Phases = []probe.Step{{Name: "resolve", Took: 3 * time.Millisecond}, {Name: "connect", Took: time.Millisecond}, {Name: "tls", Took: 2100 * time.Microsecond}, {Name: "request", Took: 800 * time.Microsecond}}
	d.Attempts[0].Transport, d.Attempts[0].Clock, d.Attempts[0].Phases = "tls", probe.User, d.Phases[1:]
	e := d.Answer.EDNS
	e.NSID, e.HasNSID, e.Cookie, e.CookieOK, e.DO = "ns1.fra", true, "0011223344556677", true, true
	e.Subnet, e.Scope, e.Padding = netip.MustParsePrefix("198.51.100.0/24"), 20, 128
	return d
}

func denied(d *probe.DNS) *probe.DNS {
	d.Answer.Authority = []probe.DNSRecord{rr("example.test.", "SOA", 60, "ns1.example.test. hostmaster.example.test. 2024050101 3600 600 86400 60")}
	d.Answer.EDNS.Errors = []probe.DNSError{{Code: 15, Name: "Blocked", Text: "by policy"}, {Code: 65000}}
	return d
}

func referred(d *probe.DNS) *probe.DNS {
	d.Answer.Authority = []probe.DNSRecord{rr("example.test.", "NS", 3600, "ns1.example.test.")}
	d.Answer.Additional = []probe.DNSRecord{rr("ns1.example.test.", "AAAA", 3600, "2001:db8::53")}
	return d
}

func cutQuery(q probe.DNSQuestion) *probe.DNS {
	return &probe.DNS{
		Question: q, Transport: "tcp", Phases: []probe.Step{{Name: "connect", Took: time.Millisecond}, {Name: "request", Took: 30 * time.Millisecond}},
		Attempts: []probe.DNSAttempt{{
			Transport: "tcp", Status: probe.Lost, Reason: probe.BadReply, Sent: start, Why: "connection closed without an answer",
			Phases: []probe.Step{{Name: "connect", Took: time.Millisecond}, {Name: "request", Took: 30 * time.Millisecond}},
		}},
	}
}

func strayed(d *probe.DNS) *probe.DNS {
	d.StrayN = 9
	d.Strays = []probe.DNSStray{
		{From: netip.MustParseAddrPort("198.51.100.66:53"), Why: "wrong source", At: 1500 * time.Microsecond},
		{From: netip.MustParseAddrPort("192.0.2.53:53"), Why: "wrong question", What: "evil.example. A", At: 2 * time.Millisecond},
	}
	return d
}

func truncated(d *probe.DNS) *probe.DNS {
	first := d.Attempts[0]
	first.Truncated = true
	d.Transport = "tcp"
	second := probe.DNSAttempt{Transport: "tcp", Status: probe.Reply, Reason: probe.DNSReply, Rcode: "NOERROR", Sent: start, RTT: 2 * time.Millisecond, HasRTT: true, Size: 4096,
		Phases: []probe.Step{{Name: "connect", Took: time.Millisecond}, {Name: "request", Took: time.Millisecond}}}
	d.Phases = second.Phases
	d.Attempts = []probe.DNSAttempt{first, second}
	return d
}

func retried(d *probe.DNS) *probe.DNS {
	d.Attempts[0].Status = probe.Late
	d.Attempts = append([]probe.DNSAttempt{{Transport: "udp", Status: probe.Lost, Reason: probe.NoResponse, Sent: start}}, d.Attempts...)
	d.Unmet = []string{"expected A 192.0.2.7, got none"}
	return d
}

func unasked(server int, seq uint64, q probe.DNSQuestion) probe.Result {
	r := queried(server, seq, probe.Failed, probe.NoRoute, &probe.DNS{Question: q, Transport: "udp"})
	r.Sent, r.Err = time.Time{}, os.NewSyscallError("sendmmsg", syscall.ENETUNREACH)
	return r
}

func hostileAnswer() *probe.DNS {
	d := said(question("\x1b[31mwww\u202e.example.test.", "TXT"), "NOERROR", rr("a\nb.example.test.", "TXT", 1, "\"\x1b]0;owned\x07\""), rr("x", "TYPE65280", 1, "a,b\" \x00"))
	d.Answer.EDNS.NSID, d.Answer.EDNS.HasNSID = "\x1b[2J", true
	d.Answer.EDNS.Errors = []probe.DNSError{{Code: 3, Name: "Stale Answer", Text: "line\nbreak\u2028"}}
	d.StrayN, d.Strays = 1, []probe.DNSStray{{From: netip.MustParseAddrPort("192.0.2.66:53"), Why: "malformed", What: "\x1b[1m", At: time.Millisecond}}
	return d
}

func rounds(q probe.DNSQuestion) []probe.Result {
	var all []probe.Result
	for i := range uint64(10) {
		r := queried(0, i+1, probe.Reply, probe.DNSReply, said(q, "NOERROR", rr(q.Name, "A", 300, "192.0.2.7")))
		r.RTT += time.Duration(i) * 100 * time.Microsecond
		all = append(all, r)
		switch i {
		case 3:
			all = append(all, queried(1, i+1, probe.Lost, probe.NoResponse, unheard(q, 1)))
		case 7:
			all = append(all, queried(1, i+1, probe.Reply, probe.DNSReply, said(q, "SERVFAIL")))
		default:
			all = append(all, queried(1, i+1, probe.Reply, probe.DNSReply, said(q, "NOERROR", rr(q.Name, "A", 299, "192.0.2.7"))))
		}
	}
	return all
}

func compared() []probe.Result {
	www, soa := question("www.example.test.", "A"), question("example.test.", "SOA")
	serial := func(n string) *probe.DNS {
		return said(soa, "NOERROR", rr("example.test.", "SOA", 300, "ns1.example.test. hostmaster.example.test. "+n+" 3600 600 86400 60"))
	}
	return []probe.Result{
		queried(0, 1, probe.Reply, probe.DNSReply, said(www, "NOERROR", rr("www.example.test.", "A", 300, "192.0.2.7"), rr("www.example.test.", "A", 300, "192.0.2.8"))),
		queried(1, 1, probe.Reply, probe.DNSReply, said(www, "NOERROR", rr("www.example.test.", "A", 17, "192.0.2.8"), rr("www.example.test.", "A", 17, "192.0.2.7"))),
		queried(2, 1, probe.Reply, probe.DNSReply, said(www, "NOERROR", rr("www.example.test.", "A", 300, "192.0.2.9"), rr("www.example.test.", "A", 300, "192.0.2.8"))),
		queried(3, 1, probe.Lost, probe.NoResponse, unheard(www, 3)),
		queried(0, 2, probe.Reply, probe.DNSReply, serial("2024050102")),
		queried(1, 2, probe.Reply, probe.DNSReply, serial("2024050101")),
		queried(2, 2, probe.Reply, probe.DNSReply, serial("2024050102")),
		queried(3, 2, probe.Reply, probe.DNSReply, said(soa, "REFUSED")),
	}
}

func studies() []probe.Result {
	www := question("www.example.test.", "A")
	a := rr("www.example.test.", "A", 300, "192.0.2.7")
	server := netip.MustParseAddrPort("192.0.2.53:53")
	walk := &probe.DNSWalk{
		Question: www, Rcode: "NOERROR", Answers: []probe.DNSRecord{a}, Zone: "example.test.", Queries: 4, Took: 30 * time.Millisecond,
		Steps: []probe.DNSStep{
			{Zone: ".", Addr: server, Name: www.Name, Type: "A", Kind: "referral", Rcode: "NOERROR", Took: 9 * time.Millisecond, To: "test.", Servers: []string{"ns1.test. 192.0.2.1", "ns2.test."}},
			{Zone: "test.", Server: "ns2.test.", Addr: server, Name: www.Name, Type: "A", Kind: "no answer", Why: "no answer within 2 s"},
			{Zone: "test.", Server: "ns1.test.", Addr: server, Name: "ns1.\x1bexample.test.", Type: "AAAA", Depth: 1, Kind: "lame", Rcode: "REFUSED", Took: time.Millisecond, Why: "it answered REFUSED"},
			{Zone: "example.test.", Server: "ns1.example.test.", Addr: server, Name: www.Name, Type: "A", Kind: "answer", Rcode: "NOERROR", AA: true, Took: 20 * time.Millisecond, Refused: []string{"evil.example. A: not of this \x1bzone"}},
		},
	}
	broke := &probe.DNSWalk{Question: www, Queries: 1, Took: time.Millisecond, Broke: "none of 1 servers answered", BrokeAt: "test.", Steps: walk.Steps[1:2]}
	secure := &probe.DNSVerdict{
		Question: www, Status: "secure", Rcode: "NOERROR", Answers: []probe.DNSRecord{a}, Until: start.Add(24 * time.Hour), Queries: 7, Took: 12 * time.Millisecond,
		Chain: []probe.DNSLink{
			{Zone: ".", Anchor: true, DS: []probe.DNSKeyID{{Tag: 20326, Algorithm: "RSASHA256", Digest: "SHA256"}}, Keys: []probe.DNSKeyID{{Tag: 20326, Algorithm: "RSASHA256", SEP: true, Used: true}, {Tag: 1, Algorithm: "RSASHA256"}}, Status: "secure", Until: start.Add(48 * time.Hour), Took: time.Millisecond},
			{Zone: "example.test.", DS: []probe.DNSKeyID{{Tag: 7, Algorithm: "ECDSAP256SHA256"}}, Keys: []probe.DNSKeyID{{Tag: 7, Algorithm: "ECDSAP256SHA256", SEP: true, Used: true}}, Status: "secure", Until: start.Add(24 * time.Hour)},
		},
	}
	bogus := &probe.DNSVerdict{
		Question: www, Status: "bogus", Why: "signature by 7 of www.example.test. A ended \x1b3 days ago", Rcode: "NOERROR", Answers: []probe.DNSRecord{a}, Queries: 7, Took: time.Millisecond,
		Chain: []probe.DNSLink{secure.Chain[0], {Zone: "example.test.", Status: "insecure", Why: "no DS"}},
	}
	detail := func(server int, seq uint64, status probe.Status, reason probe.Reason, d any) probe.Result {
		r := queried(server, seq, status, reason, nil)
		r.Detail = d
		return r
	}
	failed := detail(0, 5, probe.Failed, probe.ReasonOther, &probe.DNSWalk{Question: www, Broke: "no route from this host", BrokeAt: "."})
	failed.Sent, failed.Err = time.Time{}, fmt.Errorf("no route from this host")
	return []probe.Result{
		detail(0, 1, probe.Reply, probe.DNSReply, walk), detail(0, 2, probe.Lost, probe.NoResponse, broke),
		detail(0, 3, probe.Reply, probe.DNSReply, secure), detail(0, 4, probe.Reply, probe.DNSReply, bogus), failed,
	}
}

package lab

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// chaos sends n echoes 10 ms apart through a bad network and drains it.
func chaos(t *testing.T, target netip.Addr, seed uint64, n int) (*Log, []got) {
	bad := Link{Delay: 5 * ms, Jitter: 20 * ms, Loss: .3, Duplicate: .1, Reorder: .1, ReorderDelay: 35 * ms}
	hops := path(2)
	hops[0].Out, hops[1].Back = bad, bad
	c := newClient(t, Topology{Seed: seed, Hops: hops})
	for i := range n {
		c.echo(target, uint16(i), []byte("x"))
		time.Sleep(10 * ms)
	}
	var all []got
	for {
		g, ok := c.next(time.Minute)
		if !ok {
			return c.m.Log(), all
		}
		all = append(all, g)
	}
}

func TestCountMatchesWhatCame(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		const n = 2000
		log, all := chaos(t, target, 1, n)
		var want Counts
		want.Sent = n
		seen := make(map[int]bool)
		latest := -1
		for _, g := range all {
			switch {
			case seen[g.seq]:
				want.Duplicates++
				continue
			case g.seq < latest:
				want.Reordered++
			}
			want.Received++
			seen[g.seq] = true
			latest = max(latest, g.seq)
		}
		want.Lost = n - want.Received
		if c := log.Count(time.Minute, 0); c != want {
			t.Errorf("log counts %+v, the client %+v", c, want)
		}
		// 0.7 × 0.7 arrive, a few more through duplicates.
		if want.Received < n*45/100 || want.Received > n*62/100 || want.Duplicates == 0 || want.Reordered == 0 {
			t.Errorf("implausible: %+v", want)
		}
	})
}

func TestSeedRepeats(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		_, a := chaos(t, target, 1, 300)
		_, b := chaos(t, target, 1, 300)
		_, c := chaos(t, target, 2, 300)
		trace := func(all []got) []time.Duration {
			var l []time.Duration
			for _, g := range all {
				l = append(l, g.at, time.Duration(g.seq))
			}
			return l
		}
		if !slices.Equal(trace(a), trace(b)) {
			t.Error("the same seed gave two different runs")
		}
		if slices.Equal(trace(a), trace(c)) {
			t.Error("two seeds gave the same run")
		}
	})
}

func TestJitterKeepsOrder(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Back: Link{Delay: 10 * ms, Jitter: 50 * ms}})
		for i := range 100 {
			c.echo(target, uint16(i), nil)
			time.Sleep(ms)
		}
		for i := range 100 {
			if g := c.must(); g.seq != i {
				t.Fatalf("reply %d came at place %d", g.seq, i)
			}
		}
	})
}

func TestHook(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Back: Link{Delay: 10 * ms}, Hook: Each(map[int]Verdict{
			2: {Drop: true}, 3: {Delay: 1500 * ms}, 4: {Copies: 2}, 5: {Corrupt: true},
		})})
		for i := range 6 {
			c.echo(target, uint16(i+1), nil)
		}
		want := []struct {
			seq int
			at  time.Duration
		}{{1, 10 * ms}, {4, 10 * ms}, {4, 10 * ms}, {4, 10 * ms}, {6, 10 * ms}, {3, 1510 * ms}}
		for _, w := range want {
			if g := c.must(); g.seq != w.seq || g.at != w.at {
				t.Errorf("seq %d at %v, want %d at %v", g.seq, g.at, w.seq, w.at)
			}
		}
		c.silence()
		got := c.m.Log().Count(time.Second, time.Second)
		if want := (Counts{Sent: 6, Received: 3, Late: 1, Lost: 2, Duplicates: 2, Reordered: 1}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestCorruptReplyFailsItsChecksum(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Back: Link{Corrupt: 1}, Seed: 4})
		c.echo(target, 1, make([]byte, 56))
		if g := c.must(); g.checksum {
			t.Error("the checksum of a corrupted reply holds")
		}
	})
}

func TestReplyShapes(t *testing.T) {
	sent := []byte("0123456789")
	cases := []struct {
		name    string
		host    Host
		payload []byte
		flags   Flag
		request bool
		from    []netip.Addr
	}{
		{name: "truncated", host: Host{Payload: Truncated(4)}, payload: sent[:4], flags: Altered},
		{name: "zeroed", host: Host{Payload: Zeroed}, payload: make([]byte, 10), flags: Altered},
		{name: "foreign", host: Host{Payload: Foreign}, payload: Foreign(sent), flags: Altered},
		{name: "wrong source", host: Host{From: Addrs("203.0.113.99", "2001:db8:7::99")}, payload: sent,
			flags: Misaddress, from: Addrs("203.0.113.99", "2001:db8:7::99")},
		{name: "reflected", host: Host{Reflect: true}, payload: sent, flags: Forged, request: true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, target netip.Addr) {
				c := newClient(t, Topology{Hosts: []Host{tc.host}})
				c.echo(target, 1, sent)
				g := c.must()
				from := target
				if tc.from != nil {
					from = sameFamily(tc.from, target)
				}
				if !bytes.Equal(g.payload, tc.payload) || g.isRequest() != tc.request || g.from != from || !g.checksum || g.id != 7 {
					t.Errorf("got %+v", g)
				}
				c.silence()
				p := c.m.Log().Probes()[0]
				if p.Answers[0].Flags != tc.flags || p.Flags != 0 {
					t.Errorf("flags %v of the answer, %v of the request", p.Answers[0].Flags, p.Flags)
				}
			})
		})
	}
}

func TestForgeries(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		c := newClient(t, Topology{Hosts: []Host{{Delay: 20 * ms, Forge: []Forgery{
			{Shift: -5 * ms},
			{Shift: 5 * ms, Payload: Kept, Seq: 1},
			{Shift: 6 * ms, Payload: Kept, ID: 1, Request: true},
			{Shift: -time.Second, From: target.Next(), Error: HostUnreachable},
		}}}})
		c.echo(target, 1, []byte("genuine"))
		type answer struct {
			at      time.Duration
			from    netip.Addr
			id, seq int
			payload string
		}
		var answers []answer
		for range 5 {
			g := c.must()
			answers = append(answers, answer{g.at, g.from, g.id, g.seq, string(g.payload)})
		}
		want := []answer{
			{0, target.Next(), 0, 0, ""},
			{15 * ms, target, 7, 1, string(Foreign([]byte("genuine")))},
			{20 * ms, target, 7, 1, "genuine"},
			{25 * ms, target, 7, 2, "genuine"},
			{26 * ms, target, 8, 1, "genuine"},
		}
		if !slices.Equal(answers, want) {
			t.Errorf("got  %+v\nwant %+v", answers, want)
		}
		if got, want := c.m.Log().Count(time.Second, 0), (Counts{Sent: 1, Received: 1}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestErrors(t *testing.T) {
	cases := []struct {
		name   string
		err    ICMPError
		v4, v6 Code
	}{
		{"net", NetUnreachable, Code{3, 0}, Code{1, 0}},
		{"host", HostUnreachable, Code{3, 1}, Code{1, 3}},
		{"protocol", ProtoUnreachable, Code{3, 2}, Code{4, 1}},
		{"port", PortUnreachable, Code{3, 3}, Code{1, 4}},
		{"admin", AdminProhibited, Code{3, 13}, Code{1, 1}},
		{"reassembly", ReassemblyExceeded, Code{11, 1}, Code{3, 1}},
		{"parameter", ParameterProblem, Code{12, 0}, Code{4, 0}},
		{"too big", TooBig(1300), Code{3, 4}, Code{2, 0}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, target netip.Addr) {
				hops := path(1)
				hops[0].Error = tc.err
				hops[0].ErrorFor = []netip.Prefix{netip.PrefixFrom(target, target.BitLen())}
				c := newClient(t, Topology{Hops: hops})
				c.echo(target.Next(), 1, nil)
				if g := c.must(); !g.isReply() {
					t.Errorf("other target: %v", g.typ)
				}
				sent := c.echo(target, 1, nil)
				g := c.must()
				want := tc.v4
				if target.Is6() {
					want = tc.v6
				}
				typ := ipv4.ICMPType(want.Type) == g.typ || ipv6.ICMPType(want.Type) == g.typ
				if !typ || g.code != int(want.Code) || !bytes.Equal(g.quote, sent) || g.from != sameFamily(hops[0].Addrs, target) {
					t.Errorf("got %+v", g)
				}
				counts := c.m.Log().Count(time.Second, 0, target)
				if want := (Counts{Sent: 1, Errors: 1}); counts != want {
					t.Errorf("got %+v, want %+v", counts, want)
				}
			})
		})
	}
}

func TestQuotes(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		q := Quote{Transport: 8, Options: []byte{1, 1, 1}, Extensions: []Extension{HopByHop, DestOptions, Fragment}}
		c := newClient(t, Topology{Hosts: []Host{{Error: AdminProhibited, Quote: q}}})
		sent := c.echo(target, 0x1234, make([]byte, 56))
		g := c.must()
		if target.Is4() {
			h, err := ipv4.ParseHeader(g.quote)
			if err != nil || h.Len != 24 || h.TotalLen != len(sent)+4 || sum(g.quote[:24]) != 0xffff {
				t.Errorf("quoted header %v, %v", h, err)
			}
			if !bytes.Equal(g.quote[24:], sent[20:28]) {
				t.Errorf("quoted %x, want the first 8 octets of %x", g.quote[24:], sent[20:])
			}
			return
		}
		h, err := ipv6.ParseHeader(g.quote)
		if err != nil || h.NextHeader != 0 || h.PayloadLen != len(sent)-40+24 {
			t.Errorf("quoted header %v, %v", h, err)
		}
		if g.quote[40] != 60 || g.quote[48] != 44 || g.quote[56] != 58 || !bytes.Equal(g.quote[64:], sent[40:48]) {
			t.Errorf("quoted %x", g.quote[40:])
		}
	})
}

func TestRedirectThenReply(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].Redirect = Addrs("198.51.100.99", "2001:db8:100::99")
		c := newClient(t, Topology{Hops: hops})
		sent := c.echo(target, 1, []byte("12345678"))
		g := c.must()
		if !is(g, ipv4.ICMPTypeRedirect, ipv6.ICMPTypeRedirect) || !g.checksum {
			t.Fatalf("first came %+v", g)
		}
		body := g.raw[20:]
		if target.Is6() {
			body = g.raw[40:]
			if g.ttl != 255 || !g.from.IsLinkLocalUnicast() {
				t.Errorf("redirect with hop limit %d from %v", g.ttl, g.from)
			}
			if !bytes.Equal(body[8:24], netip.MustParseAddr("2001:db8:100::99").AsSlice()) || !bytes.Equal(body[24:40], target.AsSlice()) ||
				body[40] != 4 || int(body[41])*8 != len(body)-40 || !bytes.Equal(body[48:], sent) {
				t.Errorf("redirect %x", body)
			}
		} else if !bytes.Equal(body[4:8], []byte{198, 51, 100, 99}) || !bytes.Equal(body[8:], sent) {
			t.Errorf("redirect %x", body)
		}
		if g := c.must(); !g.isReply() {
			t.Errorf("second came %v", g.typ)
		}
		if got, want := c.m.Log().Count(time.Second, 0), (Counts{Sent: 1, Received: 1}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// cut cuts a packet into fragments of at most size payload bytes each.
func cut(raw []byte, size int) [][]byte {
	var all [][]byte
	head := 20
	if raw[0]>>4 == 6 {
		head = 40
	}
	body := raw[head:]
	for at := 0; at < len(body); at += size {
		part := body[at:min(at+size, len(body))]
		more := uint16(0)
		if at+size < len(body) {
			more = 1
		}
		f := bytes.Clone(raw[:head])
		if head == 20 {
			binary.BigEndian.PutUint16(f[2:], uint16(head+len(part)))
			binary.BigEndian.PutUint16(f[4:], 99)
			binary.BigEndian.PutUint16(f[6:], uint16(at/8)|more<<13)
			sumHeader4(f)
		} else {
			f[6] = byte(Fragment)
			binary.BigEndian.PutUint16(f[4:], uint16(8+len(part)))
			f = append(f, raw[6], 0, 0, 0, 0, 0, 0, 99)
			binary.BigEndian.PutUint16(f[42:], uint16(at)|more)
		}
		all = append(all, append(f, part...))
	}
	return all
}

func TestFragmentsAreJoined(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(1)
		hops[0].Out.MTU = 1300
		c := newClient(t, Topology{Hops: hops})
		h := header{src: c.m.Source(target), dst: target, ttl: 64}
		payload := Foreign(make([]byte, 3000))
		raw := bytes.Clone(c.packer.echo(h, EchoRequest, 7, 1, payload))
		pieces := cut(raw, 1200)
		slices.Reverse(pieces)
		for _, f := range pieces {
			if err := c.m.Send(f); err != nil {
				t.Fatal(err)
			}
		}
		if g := c.must(); !g.isReply() || !bytes.Equal(g.payload, payload) || !g.checksum {
			t.Errorf("got %v with %d bytes", g.typ, len(g.payload))
		}
		if n := len(c.m.Log().Probes()); n != 1 {
			t.Errorf("%d probes in the log, want 1", n)
		}
		if target.Is4() {
			return
		}
		pieces = cut(raw, 1400)
		for _, f := range pieces {
			if err := c.m.Send(f); err != nil {
				t.Fatal(err)
			}
		}
		g := c.must()
		if g.typ != ipv6.ICMPTypePacketTooBig || !bytes.Equal(g.quote[40:60], pieces[0][40:60]) {
			t.Errorf("fragments beyond the MTU: %+v", g)
		}
	})
}

func TestHopAnswersItsOwnAddress(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		hops := path(2)
		c := newClient(t, Topology{Hops: hops, Hosts: []Host{}})
		c.echo(sameFamily(hops[1].Addrs, target), 1, nil)
		if g := c.must(); !g.isReply() || g.ttl != 254 || g.at != 20*ms {
			t.Errorf("got %+v", g)
		}
		c.echo(target, 1, nil)
		c.silence()
		if e := c.m.Log().Probes(target)[0]; e.Fate != NoHost {
			t.Errorf("%v, want no-host", e)
		}
	})
}

func TestLongestPrefixWins(t *testing.T) {
	families(t, func(t *testing.T, target netip.Addr) {
		near, _ := target.Prefix(target.BitLen() - 8)
		c := newClient(t, Topology{Hosts: []Host{
			{TTL: 1}, {At: []netip.Prefix{near}, TTL: 2}, {At: []netip.Prefix{netip.PrefixFrom(target, target.BitLen())}, TTL: 3},
		}})
		far := netip.MustParseAddr("192.0.2.77")
		if target.Is6() {
			far = netip.MustParseAddr("2001:db8:99::1")
		}
		for i, a := range []netip.Addr{far, target.Next(), target} {
			c.echo(a, 1, nil)
			if g := c.must(); g.ttl != i+1 {
				t.Errorf("%v: host %d answered", a, g.ttl)
			}
		}
	})
}

func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Topology{})
		c.m.Storm(10_000, 2*time.Second)
		n := 0
		for {
			g, ok := c.next(time.Second)
			if !ok {
				break
			}
			if !g.checksum {
				t.Fatalf("bad checksum in %x", g.raw)
			}
			n++
		}
		if total := c.m.Log().Totals(); n != 20_000 || total.Storm != 20_000 || total.Overflow != 0 {
			t.Errorf("%d packets, log %+v", n, total)
		}
	})
}

func TestMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Topology{})
		whole := bytes.Clone(c.packer.echo(header{src: c.m.Source(targets[0]), dst: targets[0], ttl: 1}, EchoRequest, 1, 1, nil))
		for n := range len(whole) {
			if c.m.Send(whole[:n]) == nil && n < 20 {
				t.Errorf("%d bytes were taken for a packet", n)
			}
		}
		if err := c.m.Send([]byte{0x75}); err == nil {
			t.Error("IP version 7 was taken")
		}
		c.m.Close()
		if err := c.m.Send(whole); err == nil {
			t.Error("a closed network took a packet")
		}
	})
}

func TestValidate(t *testing.T) {
	bad := map[string]Topology{
		"loss":       {Out: Link{Loss: 1.1}},
		"delay":      {Hosts: []Host{{Back: Link{Delay: -1}}}},
		"two of one": {Prober: Addrs("192.0.2.1", "192.0.2.2")},
		"mapped":     {Hops: []Hop{{Addrs: Addrs("::ffff:192.0.2.1")}}},
		"prefix":     {Hosts: []Host{{At: []netip.Prefix{{}}}}},
		"options":    {Hosts: []Host{{Quote: Quote{Options: make([]byte, 41)}}}},
		"limit":      {Hops: []Hop{{RateLimit: RateLimit{PerSecond: -1}}}},
	}
	for name, topo := range bad {
		if topo.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (&Topology{}).Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkMemory(b *testing.B) {
	for _, target := range targets {
		name := "IPv6"
		if target.Is4() {
			name = "IPv4"
		}
		b.Run(name, func(b *testing.B) {
			m := Topology{Hops: path(0), LogLimit: 1}.Memory()
			defer m.Close()
			raw := bytes.Clone(new(packer).echo(header{src: m.Source(target), dst: target, ttl: 64}, EchoRequest, 7, 1, make([]byte, 56)))
			b.ReportAllocs()
			for b.Loop() {
				if err := m.Send(raw); err != nil {
					b.Fatal(err)
				}
				<-m.Receive()
			}
		})
	}
}

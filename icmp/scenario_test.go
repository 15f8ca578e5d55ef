package icmp

import (
	"testing"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
)

// host returns a network of one kind of host, 10 ms away.
func host(h lab.Host) lab.Topology {
	return lab.Topology{Out: lab.Link{Delay: 5 * ms}, Back: lab.Link{Delay: 5 * ms}, Hosts: []lab.Host{h}}
}

// hopError returns a network whose only hop refuses everything.
func hopError(e lab.ICMPError, q lab.Quote) lab.Topology {
	return lab.Topology{Hops: []lab.Hop{{Addrs: lab.Addrs("198.51.100.1", "2001:db8:100::1"), Error: e, Quote: q}}}
}

// forge returns a host that answers after 20 ms and forges beside that.
func forge(fs ...lab.Forgery) lab.Topology { return host(lab.Host{Delay: 10 * ms, Forge: fs}) }

// forgeFrom returns a network of hosts like h for which somebody else forges.
func forgeFrom(h lab.Host, f lab.Forgery) lab.Topology {
	topo := host(h)
	topo.Hosts = append(topo.Hosts, h)
	for i, at := range []string{"203.0.113.0/24", "2001:db8:7::/64"} {
		f.From = elsewhere[i]
		topo.Hosts[i].At, topo.Hosts[i].Forge = lab.At(at), []lab.Forgery{f}
	}
	return topo
}

// withHop adds a hop to the front of a topology.
func withHop(h lab.Hop, topo lab.Topology) lab.Topology {
	topo.Hops = append([]lab.Hop{h}, topo.Hops...)
	return topo
}

var (
	elsewhere = lab.Addrs("198.51.100.99", "2001:db8:99::1")
	hop1      = lab.Addrs("198.51.100.1", "2001:db8:100::1")
)

func TestScenarios(t *testing.T) {
	// The run ends with the last answer: what comes after that one is not seen.
	replies := tally{Sent: 3, Received: 3}
	lost := tally{Sent: 3, Lost: 3}
	errs := tally{Sent: 3, Errors: 3}
	cases := []struct {
		name   string
		topo   lab.Topology
		size   int
		want   tally
		reason probe.Reason
		flags  probe.Flags // of every outcome
		strays uint64
		told   time.Duration // when the outcome of the first probe comes; 0 to skip
	}{
		{"answers", host(lab.Host{}), 56, replies, probe.EchoReply, 0, 0, 10 * ms},
		{"no payload", host(lab.Host{}), 0, replies, probe.EchoReply, 0, 0, 10 * ms},
		{"half a cookie", host(lab.Host{}), 4, replies, probe.EchoReply, 0, 0, 0},
		{"a cookie but for one octet", host(lab.Host{}), 7, replies, probe.EchoReply, 0, 0, 0},
		{"a cookie and no more", host(lab.Host{}), 8, replies, probe.EchoReply, 0, 0, 0},
		{"the largest", host(lab.Host{}), 65507, replies, probe.EchoReply, 0, 0, 0},
		{"silence", host(lab.Host{Silent: true}), 56, lost, probe.NoResponse, 0, 0, 300 * ms},

		{"truncated, cookie kept", host(lab.Host{Payload: lab.Truncated(20)}), 56, replies, probe.EchoReply, probe.Truncated, 0, 10 * ms},
		{"truncated to the cookie", host(lab.Host{Payload: lab.Truncated(8)}), 56, replies, probe.EchoReply, probe.Truncated, 0, 0},
		{"truncated within the cookie", host(lab.Host{Payload: lab.Truncated(7)}), 56, lost, probe.BadReply, probe.Truncated, 0, 300 * ms},
		{"emptied", host(lab.Host{Payload: lab.Truncated(0)}), 56, lost, probe.BadReply, probe.Truncated, 0, 0},
		{"zeroed", host(lab.Host{Payload: lab.Zeroed}), 56, lost, probe.BadReply, probe.Corrupt, 0, 300 * ms},
		{"foreign", host(lab.Host{Payload: lab.Foreign}), 56, lost, probe.BadReply, probe.Corrupt, 0, 0},
		{"foreign, half a cookie", host(lab.Host{Payload: lab.Foreign}), 4, lost, probe.BadReply, probe.Corrupt, 0, 0},
		{"longer", host(lab.Host{Payload: func(b []byte) []byte { return append(append([]byte{}, b...), 1) }}), 56, replies, probe.EchoReply, probe.Corrupt, 0, 0},
		{"altered behind the cookie", host(lab.Host{Payload: spoil(30)}), 56, replies, probe.EchoReply, probe.Corrupt, 0, 0},
		{"altered in the cookie", host(lab.Host{Payload: spoil(3)}), 56, lost, probe.BadReply, probe.Corrupt, 0, 0},

		{"wrong source", host(lab.Host{From: elsewhere}), 56, replies, probe.EchoReply, probe.WrongSource, 0, 10 * ms},
		{"wrong source, too small to prove itself", host(lab.Host{From: elsewhere}), 7, lost, probe.NoResponse, 0, 3, 0},
		{"wrong source and zeroed", host(lab.Host{From: elsewhere, Payload: lab.Zeroed}), 56, lost, probe.NoResponse, 0, 3, 0},
		{"reflected requests", host(lab.Host{Reflect: true}), 56, lost, probe.NoResponse, 0, 0, 0},

		{"forged before", forge(lab.Forgery{Shift: -5 * ms}), 56, replies, probe.EchoReply, 0, 0, 20 * ms},
		{"forged after", forge(lab.Forgery{Shift: 5 * ms}), 56, replies, probe.EchoReply, 0, 2, 20 * ms},
		{"forged only", host(lab.Host{Silent: true, Forge: []lab.Forgery{{}}}), 56, lost, probe.BadReply, probe.Corrupt, 0, 0},
		{"forged from elsewhere before", forgeFrom(lab.Host{Delay: 10 * ms}, lab.Forgery{Shift: -5 * ms}), 56, replies, probe.EchoReply, 0, 3, 20 * ms},
		{"wrong id", forge(lab.Forgery{Shift: -5 * ms, ID: 1, Payload: lab.Kept}), 56, replies, probe.EchoReply, 0, 0, 20 * ms},
		{"wrong sequence", forge(lab.Forgery{Shift: -5 * ms, Seq: 0x8000, Payload: lab.Kept}), 56, replies, probe.EchoReply, 0, 3, 20 * ms},
		{"forged request", forge(lab.Forgery{Shift: -5 * ms, Request: true, Payload: lab.Kept}), 56, replies, probe.EchoReply, 0, 0, 20 * ms},
		{"replayed", forge(lab.Forgery{Shift: 5 * ms, Payload: lab.Kept}), 56, tally{Sent: 3, Received: 3, Duplicates: 2}, probe.EchoReply, 0, 0, 20 * ms},

		{"duplicates", lab.Topology{Back: lab.Link{Duplicate: 1}}, 56, tally{Sent: 3, Received: 3, Duplicates: 3}, probe.EchoReply, 0, 0, 0},
		{"redirect then reply", withHop(lab.Hop{Addrs: hop1, Redirect: lab.Addrs("198.51.100.5", "2001:db8:100::5")}, host(lab.Host{})), 56, replies, probe.EchoReply, 0, 0, 10 * ms},

		{"error with a full quote", hopError(lab.HostUnreachable, lab.Quote{}), 56, errs, probe.HostUnreachable, 0, 0, 0},
		{"error with 16 octets", hopError(lab.HostUnreachable, lab.Quote{Transport: 16}), 56, errs, probe.HostUnreachable, 0, 0, 0},
		{"error with 8 octets is held", hopError(lab.HostUnreachable, lab.Quote{Transport: 8}), 56, errs, probe.HostUnreachable, 0, 0, 200 * ms},
		{"error with 7 octets is nothing", hopError(lab.HostUnreachable, lab.Quote{Transport: 7}), 56, lost, probe.NoResponse, 0, 0, 300 * ms},
		{"error about a small packet is held", hopError(lab.HostUnreachable, lab.Quote{}), 4, errs, probe.HostUnreachable, 0, 0, 200 * ms},
		{"options and extensions quoted", hopError(lab.AdminProhibited, lab.Quote{
			Options: []byte{7, 7, 4, 0, 0, 0, 0}, Extensions: []lab.Extension{lab.HopByHop, lab.Routing, lab.Fragment, lab.DestOptions},
		}), 56, errs, probe.AdminProhibited, 0, 0, 0},
		{"the same with 8 octets", hopError(lab.AdminProhibited, lab.Quote{
			Transport: 8, Options: make([]byte, 40), Extensions: []lab.Extension{lab.HopByHop, lab.DestOptions},
		}), 56, errs, probe.AdminProhibited, 0, 0, 200 * ms},
		{"a reply beats an error that proves nothing", forgeFrom(lab.Host{Delay: 20 * ms, Quote: lab.Quote{Transport: 8}}, lab.Forgery{Shift: -10 * ms, Error: lab.HostUnreachable}), 56, replies, probe.EchoReply, 0, 0, 30 * ms},
		{"an error after the reply", forge(lab.Forgery{Shift: 5 * ms, Error: lab.HostUnreachable}), 56, replies, probe.EchoReply, 0, 2, 20 * ms},
		{"the hop's TTL ends", withHop(lab.Hop{Addrs: hop1, Error: lab.TimeExceeded}, host(lab.Host{})), 56, errs, probe.TTLExceeded, 0, 0, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				cfg := Config{Targets: targets(addr), Count: 3, Interval: 50 * ms, Timeout: 200 * ms, Late: 100 * ms, Size: tc.size}
				rehearse(t, tc.topo, cfg, func(t *testing.T, p *play) {
					got := p.tally()
					if tc.name == "duplicates" && got.Duplicates == 2 {
						got.Duplicates = 3 // the last one may come when the run is over
					}
					if got != tc.want {
						t.Errorf("counted %+v, want %+v", got, tc.want)
					}
					for i, r := range p.results {
						if !r.Outcome() {
							continue
						}
						if r.Reason != tc.reason || r.Flags != tc.flags {
							t.Errorf("probe %d: %v, flags %v; want %v, %v", r.Seq, r.Reason, r.Flags.AppendNames(nil), tc.reason, tc.flags.AppendNames(nil))
						}
						if r.Seq == 1 && tc.told != 0 && p.at[i] != tc.told {
							t.Errorf("told at %v, want %v", p.at[i], tc.told)
						}
					}
					if got := p.Counters().Strays; got != tc.strays {
						t.Errorf("%d strays, want %d", got, tc.strays)
					}
				})
			})
		})
	}
}

// spoil returns a function that flips a bit of octet i.
func spoil(i int) func([]byte) []byte {
	return func(sent []byte) []byte {
		b := append([]byte(nil), sent...)
		b[i] ^= 1
		return b
	}
}

func TestRedirectsAreCounted(t *testing.T) {
	topo := withHop(lab.Hop{Addrs: hop1, Redirect: lab.Addrs("198.51.100.5")}, host(lab.Host{}))
	rehearse(t, topo, Config{Targets: targets(target4), Count: 3, Interval: 50 * ms, Size: 56}, func(t *testing.T, p *play) {
		if c := p.Counters(); c.Redirects != 3 || c.Strays != 0 {
			t.Errorf("counters %+v", c)
		}
		p.wantLogged()
	})
}

// A reply says how it looked when it arrived.
func TestReplyFields(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		topo := host(lab.Host{TTL: 60})
		topo.Hops = []lab.Hop{{Addrs: hop1}, {}}
		rehearse(t, topo, Config{Targets: targets(addr), Count: 1, Size: 56}, func(t *testing.T, p *play) {
			r := p.results[0]
			typ := uint8(0)
			if !r.From.Is4() {
				typ = 129
			}
			if r.TTL != 58 || r.Size != 64 || r.Type != typ || r.Code != 0 || r.MTU != 0 || r.From != r.Target.Addr.Addr() {
				t.Errorf("got %+v", r)
			}
		})
	})
}

// Loss, duplicates, reordering and jitter at once: the counts are exact.
func TestCountsAreExact(t *testing.T) {
	wild := func(back bool) lab.Link {
		l := lab.Link{Delay: 10 * ms, Jitter: 30 * ms, Loss: .15, Duplicate: .1, Reorder: .2, ReorderDelay: 120 * ms}
		if back {
			l.Reorder = .1
		}
		return l
	}
	for seed := range uint64(5) {
		topo := lab.Topology{Seed: seed, Out: wild(false), Back: wild(true), Hops: []lab.Hop{{Addrs: hop1, Out: lab.Link{Loss: .05}}}}
		cfg := Config{Targets: crowd(20), Count: 100, Interval: 20 * ms, Timeout: 150 * ms, Late: 100 * ms, Size: 56}
		rehearse(t, topo, cfg, func(t *testing.T, p *play) {
			p.wantLogged()
			got := p.tally()
			if got.Lost < 400 || got.Late == 0 || got.Duplicates == 0 || got.Reordered == 0 {
				t.Errorf("seed %d: %+v is too tame", seed, got)
			}
		})
	}
}

// Bits that flip on the way make no answer out of none, and no reply without a
// flag out of a broken one.
func TestCorruption(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		topo := lab.Topology{Seed: 7, Back: lab.Link{Corrupt: .5}, Out: lab.Link{Corrupt: .1}}
		cfg := Config{Targets: targets(addr), Count: 1000, Interval: 10 * ms, Timeout: 100 * ms, Late: 50 * ms, Size: 56}
		rehearse(t, topo, cfg, func(t *testing.T, p *play) {
			clean := 0
			for _, r := range p.outcomes() {
				if r.Status == probe.Reply && !r.Flags.Has(probe.Corrupt) {
					clean++
				}
			}
			want := p.mem.Log().Count(cfg.Timeout, cfg.Late)
			if clean != want.Received || want.Received > 550 {
				t.Errorf("%d clean replies, want %d", clean, want.Received)
			}
			if got := p.tally(); got.Sent != 1000 || got.Errors != 0 || got.Received+got.Lost != 1000 {
				t.Errorf("counted %+v", got)
			}
		})
	})
}

// Errors whose quote is not of our packet change nothing.
func TestForeignQuotes(t *testing.T) {
	cases := []struct {
		name  string
		alter func(quote []byte) []byte // IP header of 20 or 40 octets first
	}{
		{"wrong cookie", func(q []byte) []byte { q[transport(q)+8+3] ^= 1; return q }},
		{"wrong destination", func(q []byte) []byte { q[transport(q)-1] ^= 1; return q }},
		{"wrong destination, 8 octets", func(q []byte) []byte { q[transport(q)-1] ^= 1; return q[:transport(q)+8] }},
		{"wrong id", func(q []byte) []byte { q[transport(q)+4] ^= 0x10; return q }},
		{"wrong sequence", func(q []byte) []byte { q[transport(q)+6] ^= 0x10; return q }},
		{"a reply quoted", func(q []byte) []byte {
			q[transport(q)] = 0
			if q[0]>>4 == 6 {
				q[transport(q)] = 129
			}
			return q
		}},
		{"another protocol", func(q []byte) []byte {
			q[9] = 17
			if q[0]>>4 == 6 {
				q[9], q[6] = 0, 17
			}
			return q
		}},
		{"a later fragment", func(q []byte) []byte { q[7] |= 1; return q }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				if tc.name == "a later fragment" && addr == target6 {
					return // that is the hop limit there
				}
				topo := hopError(lab.HostUnreachable, lab.Quote{})
				topo.Hook = func(p *lab.Packet) lab.Verdict {
					if p.Dir == lab.Back && p.Kind == lab.Error {
						at := transport(p.Raw) + 8
						tail := tc.alter(append([]byte(nil), p.Raw[at:]...))
						copy(p.Raw[at:], tail)
						p.Raw = p.Raw[:at+len(tail)]
						mend(p.Raw)
					}
					return lab.Verdict{}
				}
				cfg := Config{Targets: targets(addr), Count: 2, Interval: 50 * ms, Timeout: 100 * ms, Size: 56}
				rehearse(t, topo, cfg, func(t *testing.T, p *play) {
					if got, want := p.tally(), (tally{Sent: 2, Lost: 2}); got != want {
						t.Errorf("counted %+v, want %+v", got, want)
					}
				})
			})
		})
	}
}

// transport is the length of a plain IP header.
func transport(raw []byte) int {
	if raw[0]>>4 == 6 {
		return 40
	}
	return 20
}

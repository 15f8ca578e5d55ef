package trace

import (
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// unprivileged makes of a reply what a UDP socket's error queue shows: the
// payload, if it was quoted, and no header.
func unprivileged(r *rawsock.Reply) {
	if r.Event != rawsock.Error {
		return
	}
	r.HasN, r.HasIPID = false, false
	r.Quoted = rawsock.Quoted{Dst: r.Quoted.Dst}
}

// Without privileges, routers that quote only eight octets do not say which
// probe they answer. They are asked by flows of their own.
func TestShortQuotesUnprivileged(t *testing.T) {
	for _, addr := range []string{target4, target6} {
		t.Run(addr, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				topo := line(9, 5*ms)
				for _, n := range []int{2, 3, 7} {
					topo.Hops[n-1].Quote.Transport = 8
				}
				topo.Hops[4].Silent = true
				p := newRehearsal(t, topo, Config{Targets: targets(addr), Proto: rawsock.UDP})
				p.conn.alter = unprivileged
				p.run(t.Context())
				path := p.paths[0]
				if !path.Reached() || len(path.Hops) != 10 {
					t.Fatalf("stop %v after %d hops", path.Stop, len(path.Hops))
				}
				for n := 1; n <= 9; n++ {
					want := hopOf(n, addr)
					if n == 5 {
						want = ""
					}
					wantRow(t, path, n, want)
				}
				for _, n := range []int{2, 3, 7} {
					lost := 0
					for _, r := range path.Hops[n-1].Probes {
						if r.Status == probe.Lost {
							lost++
						}
					}
					if lost > 0 {
						t.Errorf("hop %d: %d probes are lost", n, lost)
					}
				}
				if p.Counters().Unidentified != 9 {
					t.Errorf("%d unidentified answers", p.Counters().Unidentified)
				}
			})
		})
	}
}

// foreignPayload makes of a UDP service's answer one that does not repeat what
// was sent.
func foreignPayload(r *rawsock.Reply) {
	if r.Event == rawsock.Echo {
		r.Cookie ^= 0x5555
	}
}

// A UDP service that answers something is the target, at its own distance.
func TestUDPService(t *testing.T) {
	for name, alter := range map[string]func(*rawsock.Reply){"an echo": nil, "something else": foreignPayload} {
		for _, addr := range []string{target4, target6} {
			t.Run(name+" "+addr, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					topo := line(9, 5*ms)
					topo.Hops[8].Delay = 30 * ms // the last router answers after the target
					topo.Hosts[0].UDP = []uint16{53}
					p := newRehearsal(t, topo, Config{Targets: targets(addr), Proto: rawsock.UDP, Port: 53})
					p.conn.alter = alter
					p.run(t.Context())
					path := p.paths[0]
					if !path.Reached() || len(path.Hops) != 10 {
						t.Fatalf("stop %v after %d hops", path.Stop, len(path.Hops))
					}
					for n := 1; n <= 9; n++ {
						wantRow(t, path, n, hopOf(n, addr))
					}
					wantRow(t, path, 10, addr)
					if end := p.ends[0]; end.Reason != probe.UDPReply {
						t.Errorf("reached by %v", end.Reason)
					}
				})
			})
		}
	}
}

// A service that does not stop talking is held no oftener than it was asked.
func TestTalkativeService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topo := line(4, 5*ms)
		topo.Hosts[0].UDP = []uint16{53}
		topo.Hook = func(p *lab.Packet) lab.Verdict {
			if p.Dir == lab.Back && p.Kind == lab.UDP {
				return lab.Verdict{Copies: 100}
			}
			return lab.Verdict{}
		}
		p := newRehearsal(t, topo, Config{Targets: targets(target4), Proto: rawsock.UDP, Port: 53})
		p.conn.alter = foreignPayload
		p.run(t.Context())
		if path := p.paths[0]; !path.Reached() || len(path.Hops) != 5 {
			t.Fatalf("stop %v after %d hops", path.Stop, len(path.Hops))
		}
		if p.took > time.Second || p.Counters().Strays < 1000 {
			t.Errorf("took %v, %d strays", p.took, p.Counters().Strays)
		}
	})
}

package icmp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// The table against a map, under registrations and decisions in any order:
// nothing open is ever lost or mixed up, and memory follows what is in flight.
func TestFlightsAgainstMap(t *testing.T) {
	for _, ids := range []int{1, 2, 3, 16} {
		t.Run(fmt.Sprint(ids), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, uint64(ids)))
			fs := flights{wires: wires{ids: make([]uint16, ids)}}
			model := map[uint64]uint64{} // open probes and what was stored with them
			var open []uint64
			limit := 100
			for step := range 400_000 {
				if step%20_000 == 0 {
					limit = []int{100, 1000, 5000, 30_000}[rnd.IntN(4)]
				}
				if len(open) < limit && rnd.IntN(5) < 3 {
					f := fs.add()
					if f == nil {
						t.Fatalf("step %d: no room with %d open of %d", step, len(open), fs.space())
					}
					f.seq = rnd.Uint64()
					model[f.n] = f.seq
					open = append(open, f.n)
				} else if len(open) > 0 {
					i := rnd.IntN(min(len(open), 50))
					n := open[i]
					open = append(open[:i], open[i+1:]...)
					key, index, seq := fs.wire(n)
					f := fs.onWire(index, seq)
					if f == nil || f.n != n || f.seq != model[n] || !f.open() || fs.byWire(key) != f || fs.at(n) != f {
						t.Fatalf("step %d: probe %d is %+v", step, n, f)
					}
					f.state = []state{answered, decided}[rnd.IntN(2)]
					delete(model, n)
				}
			}
			for n, seq := range model {
				if f := fs.at(n); f == nil || f.seq != seq || !f.open() {
					t.Fatalf("probe %d is %+v", n, f)
				}
			}
		})
	}
}

// A full wire space refuses more, and takes them again once the oldest is decided.
func TestFlightsFull(t *testing.T) {
	fs := flights{wires: wires{ids: make([]uint16, 1)}}
	for range fs.space() {
		if fs.add() == nil {
			t.Fatalf("no room after %d", fs.n)
		}
	}
	if f := fs.add(); f != nil {
		t.Fatalf("probe %d shares a wire number with an open one", f.n)
	}
	fs.at(1).state = decided
	f := fs.add()
	if f == nil || f.n != fs.space()+1 {
		t.Fatalf("got %+v", f)
	}
	if fs.at(1) != nil || fs.onWire(0, 1) != f {
		t.Error("the old probe is still there")
	}
	if fs.onWire(1, 0) != nil || fs.byWire(1<<16) != nil || (&flights{}).byWire(0) != nil || (&flights{}).at(1) != nil {
		t.Error("found what is not there")
	}
}

// A flight is small: a run may have a million of them.
func TestFlightSize(t *testing.T) {
	if n := unsafe.Sizeof(flight{}); n > 56 {
		t.Errorf("%d bytes", n)
	}
}

// More probes in flight than one identifier has sequence numbers.
func TestManyInFlight(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 70_000
	}
	topo := lab.Topology{Out: lab.Link{Delay: 3 * time.Second, Jitter: 2 * ms}, LogLimit: 1 << 19}
	cfg := Config{Targets: crowd(n), Count: 1, Timeout: 4 * time.Second, Size: 8}
	rehearse(t, topo, cfg, func(t *testing.T, p *play) {
		if got, want := p.tally(), (tally{Sent: n, Received: n}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if c := p.Counters(); c.Strays != 0 {
			t.Errorf("%d strays", c.Strays)
		}
		for f, l := range p.lanes {
			if len(l.table) > 1<<17 {
				t.Errorf("IPv%d: a table of %d for %d in flight", f, len(l.table), n/2)
			}
		}
		for _, r := range p.results {
			if r.RTT < 3*time.Second || r.RTT > 3*time.Second+2*ms {
				t.Fatalf("RTT %v", r.RTT)
			}
		}
	})
}

// A long run of few targets keeps a small table, and sequence numbers wrap.
func TestLongRun(t *testing.T) {
	topo := lab.Topology{Seed: 3, Out: lab.Link{Delay: ms, Loss: .01}, LogLimit: 1}
	cfg := Config{Targets: targets(target4), Count: 70_000, Interval: ms, Timeout: 20 * ms, Late: 20 * ms, Size: 16}
	rehearse(t, topo, cfg, func(t *testing.T, p *play) {
		got := p.tally()
		if got.Sent != 70_000 || got.Lost < 500 || got.Lost > 900 || got.Received+got.Lost != got.Sent {
			t.Errorf("counted %+v", got)
		}
		if l := p.lanes[rawsock.IPv4]; len(l.table) > 256 {
			t.Errorf("table of %d for about 40 in flight", len(l.table))
		}
	})
}

// More in flight than there are wire numbers: the rest waits, none is lost or
// mixed up, and the run goes on as soon as there is room.
func TestMoreThanTheWireHolds(t *testing.T) {
	n := 70_000
	topo := lab.Topology{Out: lab.Link{Delay: 100 * ms}, LogLimit: 1 << 19}
	var ts []*probe.Target
	for i := range n {
		ts = append(ts, targetAt(i, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff)))
	}
	cfg := Config{Targets: ts, Count: 1, Interval: 10 * ms, Timeout: time.Second, Size: 8}
	synctest.Test(t, func(t *testing.T) {
		p := newPlayWithout(t, topo, cfg)
		p.addSockets(1)
		p.run(t.Context())
		if got, want := p.tally(), (tally{Sent: n, Received: n}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if p.ended > 300*ms {
			t.Errorf("took %v: nobody told the sender that there is room", p.ended)
		}
	})
}

// Datagram sockets have one identifier each; several together have many.
func TestSeveralPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topo := lab.Topology{Seed: 2, Out: lab.Link{Delay: 150 * ms, Loss: .05, Duplicate: .05}, Back: lab.Link{Jitter: 30 * ms}}
		cfg := Config{Targets: targets(target4), Count: 70_000, Interval: 100 * time.Microsecond, Timeout: 500 * ms, Size: 8}
		p := newPlayWithout(t, topo, cfg)
		l := p.lane(rawsock.IPv4)
		for _, id := range []uint16{7, 8, 0xffff} { // neighbours
			c := p.socket(l.family, id, 1)
			c.dgram = true
			p.addPort(l, c)
		}
		p.run(t.Context())
		p.wantLogged()
		used := map[uint16]bool{}
		for _, e := range p.mem.Log().Entries() {
			used[e.ID] = true
		}
		if len(used) != 2 { // as many as it takes
			t.Errorf("identifiers %v", used)
		}
		if c := p.Counters(); c.Strays != 0 {
			t.Errorf("%d strays", c.Strays)
		}
	})
}

// Where the system does not filter, another port's identifier is a stray.
func TestIdentifierOfNoPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlayWithout(t, rtt20, Config{Targets: targets(target4), Count: 1, Size: 56})
		defer p.network.close()
		l := p.lane(rawsock.IPv4)
		for _, id := range []uint16{100, 500} {
			p.addPort(l, p.socket(rawsock.IPv4, id, 1))
		}
		for range 3 {
			l.add().t = p.cfg.Targets[0]
		}
		for id, want := range map[uint16]bool{99: false, 100: true, 101: false, 500: false} {
			m := rawsock.Message{ID: id, Seq: 2}
			if got := l.ports[0].flightOf(&m) != nil; got != want {
				t.Errorf("identifier %d: found %v, want %v", id, got, want)
			}
		}
	})
}

func TestIDsNeeded(t *testing.T) {
	many := make([]*probe.Target, 40_000)
	cases := []struct {
		cfg  Config
		want uint16
	}{
		{Config{Targets: many[:1]}, 1},
		{Config{Targets: many}, manyIDs},
		{Config{Targets: many, Pace: Lockstep}, manyIDs},
		{Config{Targets: many, Rate: 1000}, 1},
		{Config{Targets: many[:1000]}, 1},
		{Config{Targets: many[:1000], Interval: 10 * ms}, manyIDs},
		{Config{Targets: many[:1000], Interval: 10 * ms, Pace: Lockstep}, 1},
	}
	for _, tc := range cases {
		e, err := newEngine(tc.cfg, newTimerAlarm())
		if err != nil {
			t.Fatal(err)
		}
		if got := e.idsNeeded(); got != tc.want {
			t.Errorf("%d targets every %v at %v/s: %d identifiers, want %d", len(tc.cfg.Targets), tc.cfg.Interval, tc.cfg.Rate, got, tc.want)
		}
	}
	for _, n := range []uint16{1, 16} {
		for range 10_000 {
			if id := randomID(n); id == 0 || id%n != 0 || int(id)+int(n) > 1<<16 {
				t.Fatalf("%d identifiers from %d on", n, id)
			}
		}
	}
}

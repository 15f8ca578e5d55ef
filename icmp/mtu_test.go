package icmp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

var router = netip.MustParseAddr("198.51.100.1")

// mtuPath is a path as a search sees it.
type mtuPath struct {
	link, truth int                                // bytes of an IP packet
	answer      func(truth, size int) probe.Result // what comes back for what does not fit
}

// fragNeeded answers with the MTU that name returns.
func fragNeeded(name func(truth, size int) int) func(truth, size int) probe.Result {
	return func(truth, size int) probe.Result {
		return probe.Result{Status: probe.Unreachable, Reason: probe.FragNeeded, From: router, MTU: name(truth, size)}
	}
}

// mtuAnswers are the ways of a path to say that a packet is too large, with how
// many probes a search may take.
var mtuAnswers = []struct {
	name   string
	most   int
	hole   bool
	answer func(truth, size int) probe.Result
}{
	{"named", 3, false, fragNeeded(func(truth, _ int) int { return truth })},
	{"not named", 26, false, fragNeeded(func(int, int) int { return 0 })},
	{"names the packet's own size", 26, false, fragNeeded(func(_, size int) int { return size })},
	{"names more", 26, false, fragNeeded(func(_, size int) int { return size + 100 })},
	{"names one less each time", 35, false, fragNeeded(func(_, size int) int { return size - 1 })},
	{"names far too much", 26, false, fragNeeded(func(int, int) int { return 1 << 20 })},
	{"names less than a header", 26, false, fragNeeded(func(int, int) int { return 27 })},
	{"names what is too large too", 35, false, fragNeeded(func(truth, size int) int { return (truth + size + 1) / 2 })},
	{"black hole", 75, true, func(int, int) probe.Result { return probe.Result{Status: probe.Lost, Reason: probe.NoResponse} }},
	{"prohibited", 75, true, func(int, int) probe.Result {
		return probe.Result{Status: probe.Unreachable, Reason: probe.AdminProhibited, From: router}
	}},
}

// search runs m over path and returns how many probes it took.
func (path mtuPath) search(t *testing.T, m *mtuSearch, most int) int {
	t.Helper()
	for n := 0; ; n++ {
		if m.done {
			return n
		}
		if n > most {
			t.Fatalf("link %d, truth %d: not done after %d probes, at %+v", path.link, path.truth, n, m)
		}
		if m.size <= m.headers || m.size > maxPacket {
			t.Fatalf("link %d, truth %d: a packet of %d bytes", path.link, path.truth, m.size)
		}
		var r probe.Result
		switch {
		case m.size > path.link:
			r = probe.Result{Status: probe.Failed, Reason: probe.FragNeeded, MTU: path.link}
		case m.size <= path.truth:
			r = probe.Result{Status: probe.Reply}
		default:
			r = path.answer(path.truth, m.size)
		}
		m.learn(&r)
	}
}

func TestMTUSearch(t *testing.T) {
	links := []int{68, 576, 1280, 1500, 9000, 65535}
	var truths []int
	for n := 68; n < 1600; n += 7 {
		truths = append(truths, n)
	}
	truths = append(truths, commonMTUs...)
	truths = append(truths, 84, 85, 86, 1499, 1501, 4000, 8999, 9001, 20_000, 65_534)
	for _, a := range mtuAnswers {
		t.Run(a.name, func(t *testing.T) {
			worst := 0
			for _, link := range links {
				for _, truth := range truths {
					if truth > link {
						continue
					}
					m := newMTUSearch(rawsock.IPv4, link)
					n := mtuPath{link, truth, a.answer}.search(t, m, 1000)
					worst = max(worst, n)
					got, want := m.found, probe.PathMTU{MTU: truth, Local: truth == link, BlackHole: a.hole && truth < link}
					got.From = netip.Addr{}
					if truth < 84 && a.hole && truth != link {
						want = probe.PathMTU{} // not even the first packet was answered
					}
					if got != want {
						t.Errorf("link %d, truth %d: found %+v after %d probes", link, truth, m.found, n)
					}
					if named := m.found.From == router; named != (truth < link && !a.hole) {
						t.Errorf("link %d, truth %d: named by %v", link, truth, m.found.From)
					}
				}
			}
			if worst > a.most {
				t.Errorf("up to %d probes, want at most %d", worst, a.most)
			}
		})
	}
}

// A router that names less than what fits is taken at its word.
func TestMTUNamedTooLow(t *testing.T) {
	m := newMTUSearch(rawsock.IPv4, 1500)
	mtuPath{1500, 1400, fragNeeded(func(int, int) int { return 1000 })}.search(t, m, 4)
	if want := (probe.PathMTU{MTU: 1000, From: router}); m.found != want {
		t.Errorf("found %+v, want %+v", m.found, want)
	}
}

// Two limits on one path, each named by its router.
func TestMTUTwoLimits(t *testing.T) {
	m := newMTUSearch(rawsock.IPv6, 9000)
	mtuPath{9000, 1300, fragNeeded(func(truth, size int) int {
		if size > 1480 {
			return 1480
		}
		return truth
	})}.search(t, m, 5)
	if m.found.MTU != 1300 || m.found.From != router {
		t.Errorf("found %+v", m.found)
	}
}

// A target that never answers has no path to measure; one that answers only
// now and then does not make its path smaller.
func TestMTUOfAnUncertainTarget(t *testing.T) {
	m := newMTUSearch(rawsock.IPv4, 1500)
	if n := (mtuPath{1500, 0, mtuAnswers[8].answer}).search(t, m, 3); n != mtuTries || m.found != (probe.PathMTU{}) {
		t.Errorf("%d probes, found %+v", n, m.found)
	}
	m = newMTUSearch(rawsock.IPv4, 1500)
	for i := 0; !m.done && i < 100; i++ {
		if i%3 < 2 {
			m.learn(&probe.Result{Status: probe.Lost})
			continue
		}
		r := probe.Result{Status: probe.Late}
		if m.size > 1400 {
			r = probe.Result{Status: probe.Unreachable, Reason: probe.FragNeeded, MTU: 1400, From: router}
		}
		m.learn(&r)
	}
	if want := (probe.PathMTU{MTU: 1400, From: router}); m.found != want {
		t.Errorf("found %+v, want %+v", m.found, want)
	}
}

func TestMTUOverTheLab(t *testing.T) {
	cases := []struct {
		name string
		hop  lab.Hop
		want probe.PathMTU // From true where valid
	}{
		{"named", lab.Hop{Addrs: hop1, Out: lab.Link{MTU: 1380}}, probe.PathMTU{MTU: 1380, From: router}},
		{"silent router", lab.Hop{Addrs: hop1, Silent: true, Out: lab.Link{MTU: 1380}}, probe.PathMTU{MTU: 1380, BlackHole: true}},
		{"black hole", lab.Hop{Addrs: hop1, Out: lab.Link{MTU: 1333, BlackHole: true}}, probe.PathMTU{MTU: 1333, BlackHole: true}},
		{"our own link", lab.Hop{Addrs: hop1}, probe.PathMTU{MTU: 1500, Local: true}},
		{"8 octets quoted", lab.Hop{Addrs: hop1, Quote: lab.Quote{Transport: 8}, Out: lab.Link{MTU: 1380}}, probe.PathMTU{MTU: 1380, From: router}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				synctest.Test(t, func(t *testing.T) {
					topo := rtt20
					topo.Hops = []lab.Hop{tc.hop}
					p := newPlay(t, topo, Config{
						Targets: targets(addr), Pace: Lockstep, Timeout: 200 * ms, MinGap: 10 * ms,
						Sizer: NewMTUSearch(func(*probe.Target) int { return 1500 }),
					})
					for _, c := range p.socks {
						c.df = true
					}
					p.run(t.Context())
					for i, r := range p.results {
						if (r.Detail != nil) != (i == len(p.results)-1) {
							t.Errorf("result %d of %d: detail %+v", i+1, len(p.results), r.Detail)
						}
					}
					got, ok := p.results[len(p.results)-1].Detail.(*probe.PathMTU)
					want := tc.want
					if want.From.IsValid() {
						want.From = same(addr, "198.51.100.1", "2001:db8:100::1")
					}
					if !ok || *got != want {
						t.Errorf("found %+v, want %+v", got, want)
					}
				})
			})
		})
	}
}

func TestSweep(t *testing.T) {
	cases := []struct {
		first, last, step int
		want              []int
	}{
		{0, 3, 1, []int{0, 1, 2, 3, 0, 1}},
		{10, 20, 5, []int{10, 15, 20, 10}},
		{10, 19, 5, []int{10, 15, 10}},
		{7, 7, 0, []int{7, 7}},
		{7, 7, -3, []int{7, 7}},
		{100, 50, 50, []int{100, 100}},
		{100, 50, 1, []int{100, 100}},
	}
	for _, tc := range cases {
		s := NewSizes(tc.first, tc.last, tc.step)
		for i, want := range tc.want {
			if got, ok := s.Size(nil, uint64(i+1)); got != want || !ok {
				t.Errorf("sweep %d to %d by %d, probe %d: %d, %v; want %d", tc.first, tc.last, tc.step, i+1, got, ok, want)
			}
		}
	}
}

func TestSweepOverTheLab(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		cfg := Config{Targets: targets(addr), Count: 130, Interval: ms, Timeout: time.Second, Sizer: NewSizes(0, 1280, 10)}
		rehearse(t, rtt20, cfg, func(t *testing.T, p *play) {
			for _, r := range p.results {
				if want := int(r.Seq-1) % 129 * 10; r.Status != probe.Reply || r.Size != 8+want || r.Flags != 0 {
					t.Errorf("probe %d: %v of %d bytes, flags %v; want %d", r.Seq, r.Status, r.Size, r.Flags, want)
				}
			}
		})
	})
}

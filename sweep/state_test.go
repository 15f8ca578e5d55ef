package sweep

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"netprobe/probe"
)

// plan is a sweep that can be repeated: a Config with what File has.
type plan struct {
	Config
	text string
}

// config returns the plan's Config, its File from the start and checked.
func (p plan) config(t *testing.T) Config {
	t.Helper()
	c := p.Config
	if p.text == "" {
		return c
	}
	c.FileName, c.Steady, c.File = "targets.txt", true, strings.NewReader(p.text)
	var err error
	if c.Listing, err = Check(c); err != nil {
		t.Fatal(err)
	}
	c.File = strings.NewReader(p.text)
	return c
}

// take runs a sweep until it is over or has handed out limit hosts, and returns
// them and the state to go on from. Of the last hosts handed out some are left
// undecided, as rng has it: they are in the state, not among those returned.
func take(t *testing.T, c Config, limit int, rng *rand.Rand) ([]probe.Candidate, *State) {
	t.Helper()
	var taken []probe.Candidate
	var state *State
	synctest.Test(t, func(t *testing.T) {
		taken = nil
		h := newHosts(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		wake := make(chan struct{}, 1)
		h.Notify(func() { wake <- struct{}{} })
		for len(taken) < limit {
			c, supply := h.Next()
			if supply == probe.Over {
				break
			}
			if supply == probe.Later {
				<-wake
				continue
			}
			taken = append(taken, c)
		}
		var undecided []uint64
		if limit != math.MaxInt && rng.IntN(3) > 0 {
			for range rng.IntN(20) {
				if len(taken) == 0 {
					break
				}
				i := len(taken) - 1 - rng.IntN(min(len(taken), 50))
				undecided = append(undecided, taken[i].Index)
				taken = slices.Delete(taken, i, i+1)
			}
		}
		if rng.IntN(2) == 0 {
			state = h.State(undecided)
			cancel()
		} else {
			h.Stop()
			state = h.State(undecided)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		cancel()
	})
	return taken, state
}

// resumable returns sweeps of all kinds.
func resumable(t *testing.T, rng *rand.Rand) plan {
	p := plan{Config: Config{
		batch: 37, Seed: rng.Uint64(), Ordered: rng.IntN(3) == 0,
		Lookup: func(_ context.Context, h probe.Host) ([]netip.Addr, error) {
			var a [4]byte
			fmt.Sscanf(h.Lookup, "h%d-%d.test", &a[2], &a[3])
			if a[3]%7 == 0 {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.AddrFrom4([4]byte{198, 18, a[2], a[3]})}, nil
		},
	}}
	p.Specs = specs(t, "10.0.0.0/25", "10.0.0.100-10.0.1.20", "h0-1.test", "h0-2.test", "2001:db8::/122")
	if rng.IntN(2) == 0 {
		p.Exclude = excludes(t, "10.0.0.17", "10.0.0.64/28", "10.1.0.9")
	}
	if n := rng.Uint64N(4); n > 0 {
		p.Shard = probe.Shard{I: 1 + rng.Uint64N(n), N: n}
	}
	if rng.IntN(3) > 0 {
		var b strings.Builder
		for i := range 300 {
			switch rng.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "h1-%d.test\n", i%256)
			case 1:
				fmt.Fprintf(&b, "10.1.%d.0/29 # some\n", i%256)
			default:
				fmt.Fprintf(&b, "10.1.0.%d 10.2.%d.7\r\n", i%256, i%256)
			}
		}
		p.text = b.String()
	}
	return p
}

// TestResume cuts sweeps anywhere, time and again, with some hosts undecided:
// all runs together decide each host once.
func TestResume(t *testing.T) {
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 3))
		p := resumable(t, rng)
		whole, _ := take(t, p.config(t), math.MaxInt, rng)
		want := make(map[probe.Candidate]int)
		for _, c := range whole {
			want[c]++
		}
		got := make(map[probe.Candidate]int)
		var from *State
		for run := 0; ; run++ {
			c := p.config(t)
			c.From = from
			limit := rng.IntN(len(whole) / 2)
			if run > 12 {
				limit = math.MaxInt
			}
			part, state := take(t, c, limit, rng)
			for _, c := range part {
				got[c]++
			}
			if limit == math.MaxInt {
				break
			}
			from = rewritten(t, state)
		}
		for c, n := range got {
			if n != 1 || want[c] != 1 {
				t.Fatalf("seed %d: %v decided %d times, of %d", seed, c, n, want[c])
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d of %d hosts decided", seed, len(got), len(want))
		}
	}
}

// rewritten returns s as it comes back from a file.
func rewritten(t *testing.T, s *State) *State {
	t.Helper()
	b, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if s, err = parseState(b); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestResumePlanned counts what is left.
func TestResumePlanned(t *testing.T) {
	c := Config{Specs: specs(t, "10.0.0.0/24"), Seed: 9, Shard: probe.Shard{I: 2, N: 2}}
	h := newHosts(t, c)
	var undecided []uint64
	for range 50 {
		c, _ := h.Next()
		undecided = append(undecided, c.Index)
	}
	c.From = rewritten(t, h.State(undecided[:5]))
	h = newHosts(t, c)
	if n, known := h.Planned(); n != 127-50+5 || !known {
		t.Errorf("planned %d (%t)", n, known)
	}
	if n := len(drain(t, h)); n != 127-50+5 {
		t.Errorf("took %d", n)
	}
	c.From = rewritten(t, h.State(nil))
	h = newHosts(t, c)
	if n, _ := h.Planned(); n != 0 || len(drain(t, h)) != 0 {
		t.Errorf("there are %d left after the end", n)
	}
}

// TestResumeOther goes on with what is not the same sweep.
func TestResumeOther(t *testing.T) {
	p := plan{Config: Config{Specs: specs(t, "10.0.0.0/24", "web"), Seed: 4}, text: "10.0.1.0/24\n"}
	h := newHosts(t, p.config(t))
	h.Next()
	s := h.State([]uint64{3})
	for name, change := range map[string]func(*plan){
		"targets":   func(p *plan) { p.Specs = specs(t, "10.0.0.0/25", "web") },
		"name":      func(p *plan) { p.Specs = specs(t, "10.0.0.0/24", "www") },
		"order of":  func(p *plan) { p.Specs = specs(t, "web", "10.0.0.0/24") },
		"exclude":   func(p *plan) { p.Exclude = excludes(t, "10.0.0.1") },
		"file":      func(p *plan) { p.text = "10.0.2.0/24\n" },
		"no file":   func(p *plan) { p.text = "" },
		"broadcast": func(p *plan) { p.Parser.Broadcast = true },
		"family":    func(p *plan) { p.Parser.Family = 4 },
		"addresses": func(p *plan) { p.All = true },
		"seed":      func(p *plan) { p.Seed = 5 },
		"ordered":   func(p *plan) { p.Ordered = true },
		"shard":     func(p *plan) { p.Shard = probe.Shard{I: 1, N: 2} },
	} {
		other := p
		change(&other)
		c := other.config(t)
		c.From = s
		if _, err := New(c); !errors.Is(err, ErrOtherSweep) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := p.config(t)
	c.From = s
	if _, err := New(c); err != nil {
		t.Error(err)
	}
	for name, damage := range map[string]func(s *State){
		"position":    func(s *State) { s.Position = 510 },
		"host":        func(s *State) { s.Undecided = []uint64{509} },
		"count":       func(s *State) { s.Position, s.Undecided = 1, []uint64{1, 2} },
		"far host":    func(s *State) { s.Undecided = []uint64{math.MaxUint64} },
		"other shard": func(s *State) { s.Undecided = []uint64{2}; s.Shard = probe.Shard{I: 2, N: 2} },
	} {
		damaged := *s
		damage(&damaged)
		c := p.config(t)
		c.From, c.Shard = &damaged, damaged.Shard
		if _, err := New(c); err == nil {
			t.Errorf("went on from a damaged %s", name)
		}
	}
}

// TestResumeNeverHandedOut: what a state calls undecided, but what was never
// handed out, comes once, in its turn.
func TestResumeNeverHandedOut(t *testing.T) {
	c := Config{Specs: specs(t, "10.0.0.0/26"), Ordered: true}
	h := newHosts(t, c)
	for range 10 {
		h.Next()
	}
	c.From = h.State([]uint64{3, 12})
	h = newHosts(t, c)
	all := drain(t, h)
	if planned, _ := h.Planned(); len(all) != 62-10+1 || planned != uint64(len(all)) {
		t.Errorf("took %d, planned %d", len(all), planned)
	}
}

func TestPipeHasNoState(t *testing.T) {
	c := Config{File: strings.NewReader("10.0.0.1")}
	h := newHosts(t, c)
	if s := h.State(nil); s != nil {
		t.Errorf("state %+v", s)
	}
	if err := WriteState(filepath.Join(t.TempDir(), "state"), h.State(nil)); err == nil {
		t.Error("wrote no state")
	}
	c.From = &State{}
	if _, err := New(c); err == nil {
		t.Error("went on with a pipe")
	}
	c.Steady = true
	if _, err := New(c); err == nil {
		t.Error("went on with a file nobody checked")
	}
}

func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	s := &State{
		Digest: "d", Seed: math.MaxUint64, Ordered: true, Shard: probe.Shard{I: 3, N: 4},
		Position: 1 << 40, Undecided: []uint64{0, 1, 7, 1 << 40, math.MaxUint64 - 1},
	}
	for range 2 {
		if err := WriteState(path, s); err != nil {
			t.Fatal(err)
		}
		got, err := ReadState(path)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind %v", files)
	}
	if info, _ := os.Stat(path); info.Size() > 300 {
		t.Errorf("%d bytes", info.Size())
	}
	if err := WriteState(filepath.Join(dir, "no", "state"), s); err == nil {
		t.Error("wrote into a folder that is not there")
	}
	if err := WriteState(dir, s); err == nil {
		t.Error("replaced a folder")
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := WriteState(os.DevNull, s); err == nil {
		t.Error("replaced a device")
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	s.Position = 5
	if err := WriteState(link, s); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadState(path); err != nil || got.Position != 5 {
		t.Errorf("through a link: %+v, %v", got, err)
	}
}

func TestReadStateErrors(t *testing.T) {
	for name, tt := range map[string]struct{ in, err string }{
		"empty":            {"", "not the state"},
		"text":             {"10.0.0.0/8\n", "not the state"},
		"other JSON":       {`{"v":1}`, "not the state"},
		"a list":           {`[1]`, "not the state"},
		"version":          {`{"netprobe_sweep":2}`, "version 2"},
		"no shard":         {`{"netprobe_sweep":1}`, "damaged"},
		"shard":            {`{"netprobe_sweep":1,"shard":3,"shards":2}`, "damaged"},
		"negative":         {`{"netprobe_sweep":1,"shard":1,"shards":1,"position":-1}`, "not the state"},
		"base64":           {`{"netprobe_sweep":1,"shard":1,"shards":1,"undecided":"?"}`, "damaged"},
		"number cut off":   {`{"netprobe_sweep":1,"shard":1,"shards":1,"undecided":"gA=="}`, "damaged"},
		"number too large": {`{"netprobe_sweep":1,"shard":1,"shards":1,"undecided":"////////////AQ=="}`, "damaged"},
		"sum too large":    {`{"netprobe_sweep":1,"shard":1,"shards":1,"undecided":"AP///////////wE="}`, "damaged"},
		"large":            {strings.Repeat(" ", maxState+1), "too large"},
	} {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(tt.in), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := ReadState(path); err == nil || !strings.Contains(err.Error(), tt.err) || s != nil {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if _, err := ReadState(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func FuzzReadState(f *testing.F) {
	f.Add([]byte(`{"netprobe_sweep":1,"digest":"d","seed":1,"shard":1,"shards":1,"position":3,"undecided":"AAEC"}`))
	f.Add([]byte(`{"netprobe_sweep":1,"shard":3,"shards":2}`))
	f.Add([]byte(`{"netprobe_sweep":1,"shard":1,"shards":1,"undecided":"////////////AQ=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b)
		if err != nil {
			return
		}
		if !s.Shard.Valid() || !slices.IsSorted(s.Undecided) || len(slices.Compact(slices.Clone(s.Undecided))) != len(s.Undecided) {
			t.Fatalf("%+v", s)
		}
		if again, err := unpack(pack(s.Undecided)); err != nil || !slices.Equal(again, s.Undecided) {
			t.Fatalf("%v, then %v, %v", s.Undecided, again, err)
		}
		// Whatever a state says, each host comes at most once.
		c := Config{Specs: []Spec{{Range: ranged("192.0.2.0", "192.0.2.99")}}, From: s}
		s.Digest, c.Seed, c.Ordered, c.Shard = c.digest(), s.Seed, s.Ordered, s.Shard
		h, err := New(c)
		if err != nil {
			return
		}
		seen := make(map[uint64]bool)
		for _, c := range drain(t, h) {
			if seen[c.Index] {
				t.Fatalf("%+v: %d twice", s, c.Index)
			}
			seen[c.Index] = true
		}
	})
}

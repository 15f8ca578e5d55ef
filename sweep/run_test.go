package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"netprobe/probe"
)

// follower takes what a sweep hands out, as soon as it does.
type follower struct {
	h     *Hosts
	start time.Time
	got   []string // "address time" or "name=address time"
	done  chan struct{}
}

// follow starts to take from h.
func follow(h *Hosts) *follower {
	f := &follower{h: h, start: time.Now(), done: make(chan struct{})}
	wake := make(chan struct{}, 1)
	h.Notify(func() { wake <- struct{}{} })
	go func() {
		defer close(f.done)
		for {
			c, supply := h.Next()
			switch supply {
			case probe.Over:
				return
			case probe.Later:
				<-wake
			default:
				text := c.Addr.String()
				if c.Name != "" {
					text = c.Name + "=" + text
				}
				f.got = append(f.got, fmt.Sprintf("%s %v", text, time.Since(f.start)))
			}
		}
	}()
	return f
}

// want checks what was handed out, and when.
func (f *follower) want(t *testing.T, want ...string) {
	t.Helper()
	<-f.done
	slices.Sort(want)
	if slices.Sort(f.got); !slices.Equal(f.got, want) {
		t.Errorf("got  %q\nwant %q", f.got, want)
	}
}

// table is a Lookup that knows some names, each after a time.
type table map[string]struct {
	after time.Duration
	addrs string // separated by blanks
}

func (names table) lookUp(ctx context.Context, h probe.Host) ([]netip.Addr, error) {
	n := names[h.Lookup]
	if !sleep(ctx, n.after) {
		return nil, ctx.Err()
	}
	var addrs []netip.Addr
	for s := range strings.FieldsSeq(n.addrs) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	if addrs == nil {
		return nil, errors.New("no such host")
	}
	return addrs, nil
}

// bads collects what Bad is told.
type bads struct {
	all  []string
	busy sync.Mutex
	t    *testing.T
}

func (b *bads) tell(line int, text string, err error) {
	if !b.busy.TryLock() {
		b.t.Error("two calls of Bad at once")
		return
	}
	defer b.busy.Unlock()
	b.all = append(b.all, fmt.Sprintf("%d %s: %v", line, text, err))
}

func (b *bads) want(t *testing.T, want ...string) {
	t.Helper()
	if slices.Sort(b.all); !slices.Equal(b.all, want) {
		t.Errorf("got  %q\nwant %q", b.all, want)
	}
}

// TestPipe has targets asked while a pipe is still open.
func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		bad := bads{t: t}
		h := newHosts(t, Config{Specs: specs(t, "192.0.2.1"), File: r, Ordered: true, Bad: bad.tell})
		f := follow(h)
		go func() {
			time.Sleep(time.Second)
			fmt.Fprint(w, "192.0.2.2 192.0.2.3\n192.0.2.4")
			time.Sleep(time.Second)
			fmt.Fprint(w, "0\nno/thing\n192.0.2.2\n")
			time.Sleep(time.Second)
			fmt.Fprint(w, "192.0.2.5")
			w.Close()
		}()
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
		f.want(t, "192.0.2.1 0s", "192.0.2.2 1.02s", "192.0.2.3 1.02s", "192.0.2.40 2.02s", "192.0.2.5 3s")
		bad.want(t, "3 no/thing: not a network: no address before the slash")
		if n, known := h.Planned(); n != 5 || !known {
			t.Errorf("planned %d (%t)", n, known)
		}
	})
}

// TestPipeCut ends a run while its pipe may bring more: how many hosts there are
// stays unknown, so that nobody takes those asked for all.
func TestPipeCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		h := newHosts(t, Config{File: r})
		f := follow(h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go fmt.Fprint(w, "192.0.2.1\n192.0.2.2")
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		f.want(t, "192.0.2.1 20ms")
		if n, known := h.Planned(); n != 1 || known {
			t.Errorf("planned %d (%t)", n, known)
		}
	})
}

// TestPipeDrip writes so often that it is never quiet: nothing waits longer than
// 200 ms all the same.
func TestPipeDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		h := newHosts(t, Config{File: r})
		f := follow(h)
		const lines = 200
		go func() {
			for i := range lines {
				fmt.Fprintf(w, "192.0.2.%d\n", i+1)
				time.Sleep(10 * time.Millisecond)
			}
			w.Close()
		}()
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
		<-f.done
		for i, s := range f.got {
			var addr string
			var at string
			fmt.Sscan(s, &addr, &at)
			when, err := time.ParseDuration(at)
			written := time.Duration(netip.MustParseAddr(addr).As4()[3]-1) * 10 * time.Millisecond
			if err != nil || when < written || when > written+maxAge {
				t.Errorf("%d: %s, written at %v", i, s, written)
			}
		}
		if len(f.got) != lines {
			t.Errorf("got %d", len(f.got))
		}
	})
}

// counting counts the lines read of it.
type counting struct {
	mu    sync.Mutex
	lines int
}

func (c *counting) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n+40 < len(b) {
		n += copy(b[n:], fmt.Sprintf("2001:db8::%x:%x\n", c.lines>>16, c.lines&0xffff))
		c.lines++
	}
	return n, nil
}

// TestReadAhead reads an endless pipe that nobody takes from, and stops.
func TestReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endless := new(counting)
		h := newHosts(t, Config{File: endless, batch: 1000})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		time.Sleep(time.Hour)
		endless.mu.Lock()
		// Two batches wait, one is full, and pieces of 32 KB hold about 2,000 lines.
		if endless.lines > 3*1000+4*3000 {
			t.Errorf("%d lines read ahead", endless.lines)
		}
		endless.mu.Unlock()
		for range 5500 {
			if _, supply := h.Next(); supply == probe.Later {
				time.Sleep(time.Millisecond)
			}
		}
		if n, known := h.Planned(); known || n < 5000 {
			t.Errorf("planned %d (%t)", n, known)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, supply := h.Next(); supply != probe.Over {
			t.Error("more after the end of ctx")
		}
	})
}

// TestStuckPipe ends a run whose pipe says nothing.
func TestStuckPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	h := newHosts(t, Config{File: r})
	ctx, cancel := context.WithCancel(t.Context())
	h.Notify(func() {})
	if _, supply := h.Next(); supply != probe.Later {
		t.Fatal(supply)
	}
	cancel()
	if err := h.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestRunReadError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		h := newHosts(t, Config{FileName: "list", File: io.MultiReader(strings.NewReader("192.0.2.1\n192.0.2"), iotest.ErrReader(broken))})
		f := follow(h)
		if err := h.Run(t.Context()); !errors.Is(err, broken) || err.Error() != "list: broken" {
			t.Error(err)
		}
		f.want(t, "192.0.2.1 0s")
	})
}

// TestRunSteady reads a file whose batches depend on what it has alone.
func TestRunSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plan{Config: Config{batch: 2}, text: "192.0.2.1 192.0.2.2\n192.0.2.3\n"}
		c := p.config(t)
		c.File = iotest.OneByteReader(c.File)
		h := newHosts(t, c)
		if n, known := h.Planned(); n != 3 || !known {
			t.Errorf("planned %d (%t)", n, known)
		}
		f := follow(h)
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
		f.want(t, "192.0.2.1 0s", "192.0.2.2 0s", "192.0.2.3 0s")

		c = p.config(t)
		c.File = strings.NewReader("192.0.2.1 192.0.2.2\n192.0.2.4\n")
		h = newHosts(t, c)
		f = follow(h)
		if err := h.Run(t.Context()); !errors.Is(err, ErrChanged) {
			t.Errorf("a file that changed: %v", err)
		}
		<-f.done
	})
}

// TestNames looks names up beside addresses, which do not wait.
func TestNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := table{
			"fast": {time.Millisecond, "192.0.2.10 192.0.2.11"}, "slow": {4 * time.Second, "2001:db8::1 ::ffff:192.0.2.12"},
			"never": {time.Hour, ""}, "none": {time.Second, ""}, "mine": {0, "192.0.2.99"}, "group": {0, "224.0.0.1"},
			"some": {0, "192.0.2.99 192.0.2.98 192.0.2.98"},
		}
		list := specs(t, "slow", "never", "192.0.2.1", "fast", "FAST.", "none", "mine", "group", "some")
		for _, tt := range []struct {
			all  bool
			want []string
		}{
			{false, []string{"192.0.2.1 0s", "fast=192.0.2.10 1ms", "slow=2001:db8::1 4s", "some=192.0.2.98 0s"}},
			{true, []string{"192.0.2.1 0s", "fast=192.0.2.10 1ms", "fast=192.0.2.11 1ms", "slow=2001:db8::1 4s",
				"slow=192.0.2.12 4s", "some=192.0.2.98 0s"}},
		} {
			bad := bads{t: t}
			h := newHosts(t, Config{Specs: list, Lookup: names.lookUp, All: tt.all, Bad: bad.tell, Exclude: excludes(t, "192.0.2.99")})
			f := follow(h)
			if err := h.Run(t.Context()); err != nil {
				t.Error(err)
			}
			f.want(t, tt.want...)
			bad.want(t, "0 group: resolves to 224.0.0.1: not the address of one host: multicast",
				"0 mine: resolves to 192.0.2.99, which is excluded", "0 never: name not resolved within 5s", "0 none: no such host")
			if n, _ := h.Planned(); n != uint64(len(tt.want)) || h.Taken() != n {
				t.Errorf("planned %d, taken %d", n, h.Taken())
			}
		}
	})
}

// TestNamesFamily leaves out addresses of the other family.
func TestNamesFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := table{"both": {0, "192.0.2.1 2001:db8::1"}, "four": {0, "192.0.2.4"}}
		bad := bads{t: t}
		h := newHosts(t, Config{Specs: specs(t, "both", "four"), Lookup: names.lookUp, Bad: bad.tell, Parser: Parser{Family: 6}})
		f := follow(h)
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
		f.want(t, "both=2001:db8::1 0s")
		bad.want(t, "0 four: no such host, or it has no IPv6 address")
	})
}

// TestNamesBounds looks up 256 names at once, those of its own shard.
func TestNamesBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most, all := 0, 0, 0
		lookUp := func(context.Context, probe.Host) ([]netip.Addr, error) {
			mu.Lock()
			now, all = now+1, all+1
			most = max(most, now)
			n := all
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})}, nil
		}
		var text strings.Builder
		for i := range 2000 {
			fmt.Fprintf(&text, "h%d\n", i)
		}
		h := newHosts(t, Config{File: strings.NewReader(text.String()), Lookup: lookUp, Shard: probe.Shard{I: 2, N: 2}})
		f := follow(h)
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
		<-f.done
		if len(f.got) != 1000 || all != 1000 || most != maxLookups || time.Since(f.start) != 4*time.Second {
			t.Errorf("%d names of %d looked up, %d at once, in %v", len(f.got), all, most, time.Since(f.start))
		}
	})
}

// TestNamesCut ends a run while a name is looked up: it is no name without
// address, but one to ask later.
func TestNamesCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := bads{t: t}
		h := newHosts(t, Config{Specs: specs(t, "192.0.2.1", "slow"), Ordered: true, Bad: bad.tell, Lookup: table{"slow": {4 * time.Second, "192.0.2.2"}}.lookUp})
		f := follow(h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		f.want(t, "192.0.2.1 0s")
		bad.want(t)
		if s := h.State(nil); s.Position != 2 || !slices.Equal(s.Undecided, []uint64{1}) {
			t.Errorf("state %+v", s)
		}
	})
}

// TestPipeTooMany skips what is too many, and goes on.
func TestPipeTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := bads{t: t}
		text := "192.0.2.1\n2001:db8::/64 192.0.2.2\n192.0.2.1-5\n192.0.2.3\n" + strings.Repeat("x", maxLine+1)
		h := newHosts(t, Config{File: strings.NewReader(text), MaxHosts: 3, Bad: bad.tell})
		f := follow(h)
		if err := h.Run(t.Context()); err != nil {
			t.Error(err)
		}
		f.want(t, "192.0.2.1 0s", "192.0.2.2 0s", "192.0.2.3 0s")
		bad.want(t, "2 2001:db8::/64: 2001:db8::/64 has 18,446,744,073,709,551,616 addresses, more than 3",
			"3 192.0.2.1-5: with 192.0.2.1-5 there are 5 addresses, more than 3",
			"5 "+strings.Repeat("x", maxText)+": line longer than 4096 bytes")
	})
}

func TestCheck(t *testing.T) {
	check := func(text string, c Config) (*Listing, error) {
		c.File, c.FileName = strings.NewReader(text), "list"
		return Check(c)
	}
	l, err := check("192.0.2.0/24 # x\n192.0.2.5\nweb\n2001:db8::/112\n", Config{Specs: specs(t, "192.0.2.7"), batch: 1})
	if err != nil || l.Hosts != 254+1+65536 {
		t.Errorf("%+v, %v", l, err)
	}
	for text, want := range map[string]string{
		"192.0.2.1\n\n10.0.0.300\n":  `list:3: "10.0.0.300": not an IP address`,
		"192.0.2.1\n2001:db8::/64\n": `list:2: "2001:db8::/64": 2001:db8::/64 has 18,446,744,073,709,551,616 addresses, more than 16,777,216`,
		strings.Repeat("a", 5000):    `list:1: "` + strings.Repeat("a", 256) + `": line longer than 4096 bytes`,
	} {
		_, err := check(text, Config{})
		if e, ok := errors.AsType[*LineError](err); !ok || e.Error() != want {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := Check(Config{Specs: specs(t, "10.0.0.0/7")}); err == nil {
		t.Error("took too many")
	} else if _, ok := errors.AsType[*TooManyError](err); !ok {
		t.Error(err)
	}
	broken := errors.New("broken")
	if _, err := Check(Config{File: iotest.ErrReader(broken), FileName: "list"}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestPipeUntaken writes slowly while nobody takes: small batches join into one.
func TestPipeUntaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		h := newHosts(t, Config{File: r, Ordered: true})
		done := make(chan error)
		go func() { done <- h.Run(t.Context()) }()
		for i := range 50 {
			fmt.Fprintf(w, "192.0.2.%d\n", i+1)
			time.Sleep(time.Second)
		}
		w.Close()
		synctest.Wait()
		if len(h.queue) != 2 || h.queue[0].hosts != 1 || h.queue[1].hosts != 49 {
			t.Errorf("%d batches", len(h.queue))
		}
		if n := len(drain(t, h)); n != 50 {
			t.Errorf("took %d", n)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestNamesHoldBatches does not begin a batch while too many names of earlier
// ones are looked up.
func TestNamesHoldBatches(t *testing.T) {
	h := newHosts(t, Config{Specs: specs(t, "192.0.2.1")})
	for i := range uint64(maxOpen) {
		h.names.running[i] = probe.Host{}
	}
	if _, supply := h.Next(); supply != probe.Later {
		t.Error(supply)
	}
	delete(h.names.running, 0)
	if _, supply := h.Next(); supply != probe.Ready {
		t.Error(supply)
	}
}

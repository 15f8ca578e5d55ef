package rounds

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

const ms = time.Millisecond

// A network is an Asker that needs none: answer says what becomes of a try.
type network struct {
	answer func(t crew.Try) (crew.Answer, time.Duration) // after how long, at most the try's timeout
	start  time.Time

	mu    sync.Mutex
	asked []asked
	open  int
	most  int
}

type asked struct {
	to netip.AddrPort
	at time.Duration
}

func (n *network) Ask(ctx context.Context, t crew.Try) crew.Answer {
	n.mu.Lock()
	n.open++
	n.most = max(n.most, n.open)
	n.asked = append(n.asked, asked{t.To, time.Since(n.start)})
	a, after := n.answer(t)
	n.mu.Unlock()
	sent := time.Now()
	if after > 0 { // inside a bubble the race detector of Go 1.26 crashes on a timer that is due at once
		select {
		case <-time.After(after):
		case <-ctx.Done():
			a = crew.Answer{Result: pending}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open--
	if a.Status != probe.Failed {
		a.Sent = sent
	}
	return a
}

func reply(t crew.Try, after time.Duration) (crew.Answer, time.Duration) {
	return crew.Answer{Result: probe.Result{Status: probe.Reply, Reason: probe.Connected, From: t.To.Addr()}}, after
}

func alive(t crew.Try) (crew.Answer, time.Duration) { return reply(t, 5*ms) }

func mute(t crew.Try) (crew.Answer, time.Duration) {
	return crew.Answer{Result: probe.Result{Status: probe.Lost, Reason: probe.NoResponse}}, t.Timeout
}

func failed(why probe.Reason) (crew.Answer, time.Duration) {
	return crew.Answer{Result: probe.Result{Status: probe.Failed, Reason: why, Err: errors.New("none left")}}, 0
}

// told is a Result and when it was emitted.
type told struct {
	probe.Result
	at time.Duration
}

// play runs cfg over targets with answer inside a bubble, at most for limit,
// and hands all that was told to check. meanwhile, if not nil, runs beside it.
func play(t *testing.T, cfg Config, targets []*probe.Target, limit time.Duration, answer func(crew.Try) (crew.Answer, time.Duration),
	meanwhile func(e *Engine), check func(t *testing.T, e *Engine, n *network, got []told, end time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: answer, start: time.Now()}
		cfg.Asker = func() crew.Asker { return n }
		e := New(cfg)
		e.SetTargets(targets)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		var beside sync.WaitGroup
		if meanwhile != nil {
			beside.Go(func() { meanwhile(e) })
		}
		var got []told
		if err := e.Probe(ctx, func(r probe.Result) { got = append(got, told{r, time.Since(n.start)}) }); err != nil {
			t.Error(err)
		}
		end := time.Since(n.start)
		beside.Wait()
		single(t, got)
		check(t, e, n, got, end)
	})
}

// single checks that each probe has one outcome, after its interim if it has one.
func single(t *testing.T, got []told) {
	t.Helper()
	type key struct {
		id  int
		seq uint64
	}
	outcomes, interims := map[key]int{}, map[key]int{}
	for _, r := range got {
		k := key{r.Target.ID, r.Seq}
		if r.Interim {
			interims[k]++
			if outcomes[k] > 0 || interims[k] > 1 || r.Status != probe.Lost {
				t.Errorf("%v seq %d: interim %v number %d after %d outcomes", r.Target.Name, r.Seq, r.Status, interims[k], outcomes[k])
			}
			continue
		}
		outcomes[k]++
		if (r.Status == probe.Failed) != (r.Err != nil) || r.Status == probe.Lost && interims[k] == 0 {
			t.Errorf("%v seq %d: %v %v, error %v, %d interims", r.Target.Name, r.Seq, r.Status, r.Reason, r.Err, interims[k])
		}
	}
	for k, n := range outcomes {
		if n != 1 {
			t.Errorf("target %d seq %d has %d outcomes", k.id, k.seq, n)
		}
	}
	for k := range interims {
		if outcomes[k] == 0 {
			t.Errorf("target %d seq %d has no outcome", k.id, k.seq)
		}
	}
}

// targets returns n targets on port 443.
func targets(n int) []*probe.Target {
	var ts []*probe.Target
	a := netip.MustParseAddr("192.0.2.1")
	for i := range n {
		ts = append(ts, &probe.Target{ID: i, Name: a.String(), Addr: netip.AddrPortFrom(a, 443)})
		a = a.Next()
	}
	return ts
}

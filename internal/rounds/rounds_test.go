package rounds

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
)

// say is one Result in short.
type say struct {
	seq     uint64
	status  probe.Status
	interim bool
	at      time.Duration
}

func said(got []told) []say {
	var all []say
	for _, r := range got {
		all = append(all, say{r.Seq, r.Status, r.Interim, r.at})
	}
	return all
}

func expect(t *testing.T, got []told, want ...say) {
	t.Helper()
	if s := said(got); !slices.Equal(s, want) {
		t.Errorf("got\n%v\nwant\n%v", s, want)
	}
}

// Probes leave on an absolute schedule, whatever becomes of those before.
func TestSchedule(t *testing.T) {
	cfg := Config{Count: 4, Interval: 100 * ms, Timeout: 250 * ms, Late: 110 * ms}
	answer := func(tr crew.Try) (crew.Answer, time.Duration) {
		switch tr.N {
		case 1:
			return mute(tr)
		case 2:
			return reply(tr, 300*ms) // late
		}
		return alive(tr)
	}
	play(t, cfg, targets(1), time.Minute, answer, nil, func(t *testing.T, e *Engine, n *network, got []told, end time.Duration) {
		expect(t, got,
			say{3, probe.Reply, false, 205 * ms},
			say{1, probe.Lost, true, 250 * ms},
			say{4, probe.Reply, false, 305 * ms},
			say{2, probe.Lost, true, 350 * ms},
			say{1, probe.Lost, false, 360 * ms},
			say{2, probe.Late, false, 400 * ms},
		)
		for i, a := range n.asked {
			if a.at != time.Duration(i)*100*ms {
				t.Errorf("probe %d left at %v", i+1, a.at)
			}
		}
		for _, r := range got {
			if r.Sent.Sub(e.start) != time.Duration(r.Seq-1)*100*ms || r.Lag != 0 {
				t.Errorf("seq %d, %v: sent at %v, lag %v", r.Seq, r.Status, r.Sent.Sub(e.start), r.Lag)
			}
		}
		if r := got[5]; r.RTT != 300*ms || e.Counters() != (Counters{Sent: 4}) || end != 400*ms {
			t.Errorf("rtt %v, counters %+v, end %v", r.RTT, e.Counters(), end)
		}
	})
}

// Without a late window silence is told when the timeout passes: first as no
// answer yet, then as lost.
func TestNoLateWindow(t *testing.T) {
	play(t, Config{Count: 1, Timeout: 250 * ms}, targets(1), time.Minute, mute, nil, func(t *testing.T, e *Engine, _ *network, got []told, _ time.Duration) {
		expect(t, got, say{1, probe.Lost, true, 250 * ms}, say{1, probe.Lost, false, 250 * ms})
	})
}

// Whether an answer is late is a matter of the wait, and of that of the network
// alone where the first packet was answered.
func TestLate(t *testing.T) {
	cases := []struct {
		name      string
		rtt, host time.Duration
		retrans   uint8
		want      probe.Status
	}{
		{"in time", 900 * ms, 0, 0, probe.Reply},
		{"late", 1100 * ms, 0, 0, probe.Late},
		{"in time, but noticed late", 900 * ms, 300 * ms, 0, probe.Reply},
		{"asked again in time", 10 * ms, 900 * ms, 1, probe.Reply},
		{"asked again too late", 10 * ms, 1100 * ms, 1, probe.Late},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			answer := func(tr crew.Try) (crew.Answer, time.Duration) {
				a, _ := alive(tr)
				a.RTT, a.Host, a.Retrans = tc.rtt, tc.host, tc.retrans
				return a, tc.rtt + tc.host
			}
			play(t, Config{Count: 1, Timeout: time.Second, Late: time.Second}, targets(1), time.Minute, answer, nil,
				func(t *testing.T, _ *Engine, _ *network, got []told, _ time.Duration) {
					if r := got[len(got)-1]; r.Status != tc.want || r.RTT != tc.rtt {
						t.Errorf("%v after %v", r.Status, r.RTT)
					}
				})
		})
	}
}

// Many targets are spread over the interval, and each keeps its phase.
func TestManyTargets(t *testing.T) {
	const rows = 500
	play(t, Config{Count: 3}, targets(rows), time.Minute, alive, nil, func(t *testing.T, _ *Engine, _ *network, got []told, end time.Duration) {
		if len(got) != 3*rows || end >= 3*time.Second {
			t.Errorf("%d results, end %v", len(got), end)
		}
		for _, r := range got {
			want := time.Duration(r.Seq-1)*time.Second + probe.Phase(r.Target.ID, rows, time.Second, rowGap)
			if left := r.at - r.RTT; left < want || left > want+20*ms || r.Lag != left-want {
				t.Fatalf("probe %d of row %d left at %v, lag %v, want %v", r.Seq, r.Target.ID, left, r.Lag, want)
			}
		}
	})
}

// The cap moves what is planned: what waits for it is not late.
func TestRate(t *testing.T) {
	play(t, Config{Count: 2, Interval: 100 * ms, Rate: 10}, targets(5), time.Minute, alive, nil,
		func(t *testing.T, e *Engine, n *network, _ []told, _ time.Duration) {
			for i, a := range n.asked {
				if a.at != time.Duration(i)*100*ms {
					t.Errorf("probe %d left at %v", i+1, a.at)
				}
			}
			if len(n.asked) != 10 || e.Counters().Lag != 0 {
				t.Errorf("%d tries, %+v", len(n.asked), e.Counters())
			}
		})
}

// No more are asked at a time than allowed: what must wait says how long.
func TestLimit(t *testing.T) {
	play(t, Config{Count: 1, Timeout: 100 * ms, Limit: 2}, targets(4), time.Minute, mute, nil,
		func(t *testing.T, e *Engine, n *network, got []told, end time.Duration) {
			if n.most != 2 || end != 210*ms {
				t.Errorf("%d at a time, end %v", n.most, end)
			}
			for _, r := range got {
				if want := 80 * ms * time.Duration(r.Target.ID/2); !r.Interim && r.Lag != want {
					t.Errorf("%v: lag %v, want %v", r.Target.Name, r.Lag, want)
				}
			}
			if c := e.Counters(); c.Waited != 2 || c.Lag != 80*ms {
				t.Errorf("counters %+v", c)
			}
		})
}

// Adaptive goes on when the last probe is decided or overdue, at the latest
// after the interval.
func TestAdaptive(t *testing.T) {
	answer := func(tr crew.Try) (crew.Answer, time.Duration) {
		switch tr.N {
		case 2:
			return mute(tr)
		case 4:
			return reply(tr, 150*ms)
		case 5:
			return failed(probe.Permission)
		}
		return alive(tr)
	}
	cfg := Config{Count: 6, Interval: 200 * ms, Timeout: 50 * ms, Late: 200 * ms, Adaptive: true}
	play(t, cfg, targets(1), time.Minute, answer, nil, func(t *testing.T, _ *Engine, n *network, _ []told, _ time.Duration) {
		var at []time.Duration
		for _, a := range n.asked {
			at = append(at, a.at)
		}
		if want := []time.Duration{0, 5 * ms, 55 * ms, 60 * ms, 110 * ms, 310 * ms}; !slices.Equal(at, want) {
			t.Errorf("left at %v, want %v", at, want)
		}
	})
}

// What this host lacks is waited for, and is our failure in the end, never the
// target's silence.
func TestShortage(t *testing.T) {
	for _, why := range []probe.Reason{probe.NoDescriptors, probe.NoLocalPort, probe.NoBuffers} {
		for tries, want := range map[int]told{
			3:  {probe.Result{Status: probe.Reply, Lag: 30 * ms}, 35 * ms},
			99: {probe.Result{Status: probe.Failed, Reason: why}, 10*ms + 20*ms + 40*ms + 80*ms + 160*ms + 320*ms + 500*ms + 500*ms},
		} {
			t.Run(why.String(), func(t *testing.T) {
				n := 0
				answer := func(tr crew.Try) (crew.Answer, time.Duration) {
					if n++; n < tries {
						return failed(why)
					}
					return alive(tr)
				}
				play(t, Config{Count: 1, Timeout: 15 * ms}, targets(1), time.Minute, answer, nil,
					func(t *testing.T, e *Engine, n *network, got []told, _ time.Duration) {
						if len(got) != 1 {
							t.Fatal(said(got)) // it is not overdue while it waits
						}
						r := got[0]
						if r.Status != want.Status || r.at != want.at || r.Lag != want.Lag || want.Status == probe.Failed && r.Reason != why {
							t.Errorf("%v %v at %v, lag %v", r.Status, r.Reason, r.at, r.Lag)
						}
						if c := e.Counters(); c.Shortages != uint64(min(tries-1, 9)) {
							t.Errorf("counters %+v", c)
						}
					})
			})
		}
	}
}

// Where only so many can be asked at a time, the others wait and none is lost.
func TestShortageOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const there = 10
		n := &network{start: time.Now()}
		n.answer = func(tr crew.Try) (crew.Answer, time.Duration) {
			if n.open > there {
				return failed(probe.NoDescriptors)
			}
			return reply(tr, 500*ms)
		}
		e := New(Config{Count: 3, Interval: 2 * time.Second, Targets: targets(200), Asker: func() crew.Asker { return n }})
		var got []told
		_ = e.Probe(t.Context(), func(r probe.Result) { got = append(got, told{Result: r}) })
		single(t, got)
		for _, r := range got {
			if r.Status != probe.Reply {
				t.Errorf("%v seq %d: %v %v", r.Target.Name, r.Seq, r.Status, r.Reason)
			}
		}
		if len(got) != 600 || e.Counters().Shortages == 0 {
			t.Errorf("%d results, %+v", len(got), e.Counters())
		}
	})
}

// When the run ends, what is past its timeout is lost, and the rest pending.
func TestCanceled(t *testing.T) {
	play(t, Config{Interval: 100 * ms, Timeout: 250 * ms, Late: time.Second}, targets(1), 420*ms, mute, nil,
		func(t *testing.T, _ *Engine, _ *network, got []told, end time.Duration) {
			slices.SortStableFunc(got, func(a, b told) int { return int(a.at-b.at) + int(a.Seq) - int(b.Seq) })
			expect(t, got,
				say{1, probe.Lost, true, 250 * ms},
				say{2, probe.Lost, true, 350 * ms},
				say{1, probe.Lost, false, 420 * ms},
				say{2, probe.Lost, false, 420 * ms},
				say{3, probe.Pending, false, 420 * ms},
				say{4, probe.Pending, false, 420 * ms},
				say{5, probe.Pending, false, 420 * ms},
			)
		})
}

// A run that ends while a try waits for a descriptor never asked.
func TestCanceledShort(t *testing.T) {
	answer := func(crew.Try) (crew.Answer, time.Duration) { return failed(probe.NoDescriptors) }
	play(t, Config{Count: 1, Timeout: ms}, targets(1), 15*ms, answer, nil, func(t *testing.T, _ *Engine, _ *network, got []told, _ time.Duration) {
		expect(t, got, say{1, probe.Pending, false, 15 * ms})
		if !got[0].Sent.IsZero() {
			t.Error("it never left")
		}
	})
}

// A row follows its name, and one that gets its address late gets its count.
func TestRetarget(t *testing.T) {
	ts := targets(2)
	late := *ts[1]
	ts[1] = &probe.Target{ID: 1, Name: late.Name, Err: errors.New("not yet")}
	moved := *ts[0]
	moved.Addr = targets(9)[8].Addr
	meanwhile := func(e *Engine) {
		e.Expect(true)
		time.Sleep(150 * ms)
		e.Retarget(&moved)
		time.Sleep(400 * ms)
		e.Retarget(&late)
		e.Expect(false)
		e.Retarget(&probe.Target{ID: 7}) // no such row
	}
	play(t, Config{Count: 3, Interval: 100 * ms}, ts, time.Minute, alive, meanwhile,
		func(t *testing.T, e *Engine, n *network, got []told, end time.Duration) {
			want := []asked{
				{targets(1)[0].Addr, 0}, {targets(1)[0].Addr, 100 * ms}, {moved.Addr, 200 * ms},
				{late.Addr, 550 * ms}, {late.Addr, 650 * ms}, {late.Addr, 750 * ms},
			}
			if !slices.Equal(n.asked, want) || end != 755*ms {
				t.Errorf("%v until %v", n.asked, end)
			}
			e.Retarget(&late) // the run is over
		})
}

// With Await a run whose only name has no address waits for one.
func TestAwait(t *testing.T) {
	there := targets(1)[0]
	none := []*probe.Target{{Name: there.Name, Err: errors.New("no such host")}}
	play(t, Config{Await: true}, none, 500*ms, alive, nil, func(t *testing.T, _ *Engine, _ *network, got []told, end time.Duration) {
		if len(got) != 0 || end != 500*ms {
			t.Errorf("%v, end %v", said(got), end)
		}
	})
	play(t, Config{}, none, time.Minute, alive, nil, func(t *testing.T, _ *Engine, _ *network, got []told, end time.Duration) {
		if len(got) != 0 || end != 0 {
			t.Errorf("%v, end %v", said(got), end)
		}
	})
	back := func(e *Engine) {
		time.Sleep(70 * ms)
		e.Retarget(there)
	}
	play(t, Config{Await: true, Count: 1}, none, time.Minute, alive, back, func(t *testing.T, _ *Engine, _ *network, got []told, end time.Duration) {
		expect(t, got, say{1, probe.Reply, false, 75 * ms})
		if end != 75*ms {
			t.Errorf("end %v", end)
		}
	})
}

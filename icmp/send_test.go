package icmp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/internal/lab"
	"netprobe/probe"
	"netprobe/rawsock"
)

// refuse is the error of a send as rawsock wraps it.
func refuse(errno syscall.Errno) error {
	return fmt.Errorf("rawsock: %w", os.NewSyscallError("sendmmsg", errno))
}

// A send that fails is our failure, says why, and the run goes on and recovers.
func TestSendFails(t *testing.T) {
	cases := []struct {
		errno  syscall.Errno
		v4, v6 probe.Reason
	}{
		{syscall.EPERM, probe.Permission, probe.Permission},
		{syscall.EACCES, probe.Permission, probe.Permission},
		{syscall.ENETUNREACH, probe.NoRoute, probe.NoRoute},
		{syscall.EHOSTUNREACH, probe.NoRoute, probe.NoRoute},
		{syscall.EADDRNOTAVAIL, probe.NoRoute, probe.NoRoute},
		{syscall.ENETDOWN, probe.LinkDown, probe.LinkDown},
		{syscall.ENODEV, probe.LinkDown, probe.LinkDown},
		{syscall.EMSGSIZE, probe.FragNeeded, probe.PacketTooBig},
		{syscall.EIO, probe.ReasonOther, probe.ReasonOther},
	}
	for _, tc := range cases {
		t.Run(tc.errno.Error(), func(t *testing.T) {
			families(t, func(t *testing.T, addr string) {
				synctest.Test(t, func(t *testing.T) {
					p := newPlay(t, rtt20, Config{Targets: targets(addr), Count: 6, Interval: 50 * ms, Size: 56})
					p.cfg.Socket.Source = same(addr, "192.0.2.1", "2001:db8::1")
					p.network.fail = func(rawsock.Packet) error {
						if since := time.Since(p.start); since >= 100*ms && since < 200*ms {
							return refuse(tc.errno)
						}
						return nil
					}
					p.run(t.Context())
					if got, want := p.tally(), (tally{Sent: 4, Received: 4, Failed: 2}); got != want {
						t.Errorf("counted %+v, want %+v", got, want)
					}
					want := tc.v6
					if rawsock.FamilyOf(netip.MustParseAddr(addr)) == rawsock.IPv4 {
						want = tc.v4
					}
					for _, r := range p.results {
						if failed := r.Status == probe.Failed; failed != (r.Seq == 3 || r.Seq == 4) {
							t.Errorf("probe %d: %v", r.Seq, r.Status)
						} else if failed && (r.Reason != want || !errors.Is(r.Err, tc.errno) || r.Err.Error() == "") {
							t.Errorf("probe %d: %v, %v; want %v", r.Seq, r.Reason, r.Err, want)
						}
					}
				})
			})
		})
	}
}

// In a batch only the packets that cannot leave fail.
func TestBatchWithFailuresInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := crowd(60)
		p := newPlay(t, rtt20, Config{Targets: ts, Count: 3, Interval: 2 * ms, Size: 16})
		bad := map[netip.Addr]bool{}
		for _, i := range []int{0, 7, 8, 30, 58, 59} {
			bad[ts[i].Addr.Addr()] = true
		}
		p.network.fail = func(pkt rawsock.Packet) error {
			if bad[pkt.To] {
				return refuse(syscall.ENETUNREACH)
			}
			return nil
		}
		p.run(t.Context())
		if got, want := p.tally(), (tally{Sent: 162, Received: 162, Failed: 18}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		for _, r := range p.results {
			if (r.Status == probe.Failed) != bad[r.Target.Addr.Addr()] {
				t.Errorf("%v: %v", r.Target.Name, r.Status)
			}
		}
	})
}

// A queue that is full for a moment costs time, not the probe.
func TestFullQueueIsTriedAgain(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t, rtt20, Config{Targets: targets(target4, target6), Count: 3, Interval: 100 * ms, Size: 56})
			p.network.fail = func(rawsock.Packet) error {
				if since := time.Since(p.start); since >= 100*ms && since < 106*ms {
					return refuse(errno)
				}
				return nil
			}
			p.run(t.Context())
			if got, want := p.tally(), (tally{Sent: 6, Received: 6}); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
			if c := p.Counters(); c.Retried != 3 { // at 0, 1 and 3 ms; 7 ms is after
				t.Errorf("%d sends repeated, want 3", c.Retried)
			}
			for _, r := range p.results {
				lag := time.Duration(0)
				if r.Target.ID == 0 && r.Seq == 2 {
					lag = 7 * ms
				}
				if r.RTT != 20*ms || r.Lag != lag {
					t.Errorf("%v, probe %d: RTT %v, lag %v; want 20 ms, %v", r.Target.Name, r.Seq, r.RTT, r.Lag, lag)
				}
			}
		})
	}
}

// A queue that stays full is our failure.
func TestFullQueueForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, rtt20, Config{Targets: targets(target4), Count: 3, Interval: time.Second, Size: 56})
		p.network.fail = func(rawsock.Packet) error {
			if time.Since(p.start) < 900*ms {
				return refuse(syscall.ENOBUFS)
			}
			return nil
		}
		p.run(t.Context())
		if got, want := p.tally(), (tally{Sent: 2, Received: 2, Failed: 1}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if r := p.results[0]; r.Reason != probe.NoBuffers || !errors.Is(r.Err, syscall.ENOBUFS) || p.at[0] > fullLimit*2 {
			t.Errorf("after %v: %+v", p.at[0], r)
		}
	})
}

// A family without a socket fails alone, with the reason for which it has none.
func TestFamilyWithoutSocket(t *testing.T) {
	reason := errors.New("no IPv6 here")
	for _, known := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlayWithout(t, rtt20, Config{Targets: targets(target4, target6), Count: 3, Interval: 100 * ms, Size: 56})
			p.addPort(p.lane(rawsock.IPv4), p.socket(rawsock.IPv4, 0x4000, 1))
			if known {
				p.lanes[rawsock.IPv6] = &lane{family: rawsock.IPv6, err: reason}
			}
			p.run(t.Context())
			if got, want := p.tally(), (tally{Sent: 3, Received: 3, Failed: 3}); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
			for _, r := range p.results {
				if r.Status == probe.Failed && (r.Target.ID != 1 || r.Reason != probe.NoRoute || errors.Is(r.Err, reason) != known) {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// A reader that fails for good ends the run with its error.
func TestReaderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlayWithout(t, rtt20, Config{Targets: targets(target4), Interval: 100 * ms})
		broken := &brokenConn{labConn: p.socket(rawsock.IPv4, 0x4000, 1), err: refuse(syscall.EBADF)}
		p.addPort(p.lane(rawsock.IPv4), broken)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := p.Probe(ctx, func(probe.Result) {})
		p.network.close()
		if !errors.Is(err, syscall.EBADF) {
			t.Errorf("run ended with %v", err)
		}
	})
}

// brokenConn is a socket that fails for good when it is drained the third time.
type brokenConn struct {
	*labConn
	err    error
	drains int
}

func (c *brokenConn) Drain(visit func(*rawsock.Message)) error {
	if c.drains++; c.drains >= 3 {
		return c.err
	}
	return c.labConn.Drain(visit)
}

// Targets without an address are left out, and the run ends without them.
func TestUnresolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := targets(target4, target6, target4)
		ts[1] = &probe.Target{ID: 1, Name: "nowhere.example", Err: errors.New("no such host")}
		p := newPlayWithout(t, rtt20, Config{Targets: ts, Count: 2, Interval: 50 * ms, Size: 56})
		p.addPort(p.lane(rawsock.IPv4), p.socket(rawsock.IPv4, 0x4000, 1))
		p.run(t.Context())
		if got, want := p.tally(), (tally{Sent: 4, Received: 4}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

// A name that resolves later joins in; with its last probe the run ends.
func TestAwaitAndRetarget(t *testing.T) {
	families(t, func(t *testing.T, addr string) {
		synctest.Test(t, func(t *testing.T) {
			ts := []*probe.Target{{ID: 0, Name: "later.example", Err: errors.New("not yet")}}
			p := newPlayWithout(t, rtt20, Config{Targets: ts, Count: 3, Interval: 100 * ms, Size: 56, Await: true})
			f := rawsock.FamilyOf(netip.MustParseAddr(addr))
			p.addPort(p.lane(f), p.socket(f, 0x4000, 1))
			go func() {
				time.Sleep(warmUp + 5*time.Second)
				p.Retarget(targetAt(0, addr))
			}()
			p.run(t.Context())
			if got := p.departures(0); len(got) != 3 || got[0] != 5*time.Second || got[2] != 5200*ms {
				t.Errorf("probes left at %v", got)
			}
			if p.ended != 5220*ms {
				t.Errorf("ended at %v", p.ended)
			}
		})
	})
}

// While addresses are expected the run goes on, though what it has is probed; a
// row that gets its address late has all its probes. When no more is expected
// the run ends.
func TestExpect(t *testing.T) {
	late := func(id int) *probe.Target {
		return &probe.Target{ID: id, Name: "later.example", Err: errors.New("not yet")}
	}
	for _, tt := range []struct {
		name    string
		targets []*probe.Target
		learn   func(p *play)
		want    tally
		ended   time.Duration
	}{
		{"an address", []*probe.Target{targetAt(0, target4), late(1)}, func(p *play) {
			time.Sleep(warmUp + 5*time.Second)
			p.Retarget(targetAt(1, target4))
			p.Expect(false)
		}, tally{Sent: 4, Received: 4}, 5120 * ms},
		{"none", []*probe.Target{targetAt(0, target4), late(1)}, func(p *play) {
			time.Sleep(warmUp + 5*time.Second)
			p.Retarget(late(1))
			p.Expect(false)
		}, tally{Sent: 2, Received: 2}, 5 * time.Second},
		{"none at all", []*probe.Target{late(0)}, func(p *play) {
			time.Sleep(warmUp + 5*time.Second)
			p.Expect(false)
		}, tally{}, 5 * time.Second},
		{"before the run", []*probe.Target{late(0)}, func(p *play) {
			p.Retarget(targetAt(0, target4))
			p.Expect(false)
		}, tally{Sent: 2, Received: 2}, 120 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlayWithout(t, rtt20, Config{Targets: tt.targets, Count: 2, Interval: 100 * ms, Size: 56})
				p.addPort(p.lane(rawsock.IPv4), p.socket(rawsock.IPv4, 0x4000, 1))
				p.Expect(true)
				go tt.learn(p)
				p.run(t.Context())
				if got := p.tally(); got != tt.want {
					t.Errorf("counted %+v, want %+v", got, tt.want)
				}
				if p.ended != tt.ended {
					t.Errorf("ended at %v, want %v", p.ended, tt.ended)
				}
			})
		})
	}
}

// A target that moves keeps its row: what is in flight is still matched, what
// follows goes to the new address, of either family.
func TestRetargetWhileProbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topo := lab.Topology{Out: lab.Link{Delay: 80 * ms}, Back: lab.Link{Delay: 80 * ms}}
		p := newPlay(t, topo, Config{Targets: targets(target4, target6), Count: 6, Interval: 100 * ms, Size: 56})
		moved := targetAt(0, "2001:db8:7::99")
		go func() {
			time.Sleep(warmUp + 250*ms)
			p.Retarget(moved)
			p.Retarget(targetAt(9, target4)) // no such row
		}()
		p.run(t.Context())
		p.wantLogged()
		for _, r := range p.outcomes() {
			if want := r.Target.ID == 0 && r.Seq > 3; (r.Target == moved) != want || r.Status != probe.Reply {
				t.Errorf("row %d, probe %d: %v from %v", r.Target.ID, r.Seq, r.Status, r.From)
			}
		}
	})
}

// A row may lose its address and get another one.
func TestRetargetDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, rtt20, Config{Targets: targets(target4), Count: 6, Interval: 100 * ms, Size: 56, Await: true})
		go func() {
			time.Sleep(warmUp + 250*ms)
			p.Retarget(&probe.Target{Name: "gone", Err: errors.New("gone")})
			time.Sleep(time.Second)
			p.Retarget(targetAt(0, "203.0.113.8"))
		}()
		p.run(t.Context())
		if got, want := p.tally(), (tally{Sent: 6, Received: 6}); got != want {
			t.Errorf("counted %+v, want %+v", got, want)
		}
		if got := p.departures(0); got[3] != 1250*ms {
			t.Errorf("probes left at %v", got)
		}
	})
}

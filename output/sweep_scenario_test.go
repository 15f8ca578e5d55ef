package output_test

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// sweepRun is a recorded sweep: its header and its Results, in the order in
// which they came. The ID of a target is its index.
type sweepRun struct {
	name   string
	header output.Header
	sweep  output.SweepHeader
	result []probe.Result
	end    output.End
}

// swept returns a Result of a host asked tries times.
func swept(address string, tries uint64, status probe.Status, reason probe.Reason) probe.Result {
	t := &probe.Target{}
	if address != "" {
		t.Addr = netip.AddrPortFrom(addr(address), 0)
	}
	return probe.Result{Target: t, Seq: tries, Status: status, Reason: reason, Sent: start.Add(time.Duration(tries) * 250 * time.Millisecond)}
}

// found returns the answer of a host to its tries'th probe.
func found(address string, tries uint64, rtt time.Duration) probe.Result {
	r := swept(address, tries, probe.Reply, probe.EchoReply)
	r.From, r.RTT, r.TTL, r.Clock = r.Target.Addr.Addr(), rtt, 64, probe.Kernel
	return r
}

// gone returns a host of which nothing was heard.
func gone(address string, tries uint64) probe.Result {
	return swept(address, tries, probe.Lost, probe.NoResponse)
}

// rejected returns a host about which somebody sent an ICMP error.
func rejected(address, from string, reason probe.Reason) probe.Result {
	r := swept(address, 1, probe.Unreachable, reason)
	r.From, r.RTT, r.TTL = addr(from), 3*time.Millisecond, 255
	return r
}

// notSent returns a host that could not be tested.
func notSent(address string, reason probe.Reason, err error) probe.Result {
	r := swept(address, 0, probe.Failed, reason)
	r.Sent, r.Err = time.Time{}, err
	return r
}

func fromElse(from string) func(*probe.Result) {
	return func(r *probe.Result) {
		r.From = addr(from)
		r.Flags |= probe.WrongSource
	}
}

// answeredBy makes r the outcome of an address for which n others answered.
func answeredBy(n int, addrs ...string) func(*probe.Result) {
	return func(r *probe.Result) {
		d := &probe.Responders{Count: n}
		for _, a := range addrs {
			d.Addrs = append(d.Addrs, addr(a))
		}
		r.Detail, r.From = d, d.Addrs[0]
		r.Flags |= probe.WrongSource
	}
}

func named(name string) func(*probe.Result) {
	return func(r *probe.Result) { r.Target.Name = name }
}

// on makes r the answer of a port.
func on(port uint16, reason probe.Reason) func(*probe.Result) {
	return func(r *probe.Result) {
		r.Target.Addr = netip.AddrPortFrom(r.Target.Addr.Addr(), port)
		r.Reason, r.TTL = reason, 0
	}
}

func status(s probe.Status) func(*probe.Result) {
	return func(r *probe.Result) { r.Status = s }
}

// further makes r an extra answer.
func further(r *probe.Result) { r.Flags |= probe.Dup }

// tooLate makes r an answer after the verdict.
func tooLate(r *probe.Result) { r.Interim, r.Status, r.RTT = true, probe.Late, 4*time.Second }

func sweeps() []*sweepRun {
	all := []*sweepRun{
		mixedSweep(), subnetSweep(), namesSweep(), sixSweep(), cascadeSweep(), crowdSweep(),
		cutSweep(), emptySweep(), failedSweep(),
	}
	for _, s := range all {
		h := &s.header
		h.ID, h.Verb, h.Version, h.Host, h.Start = "r1", "sweep", "0.1.0", "box", start
		h.Socket, h.Clock, h.Planned = "raw", probe.Kernel, int64(len(s.result))
		if s.end.StoppedBy == "" {
			s.end.StoppedBy = "done"
		}
		s.end.Time = start.Add(2310 * time.Millisecond)
	}
	return all
}

func mixedSweep() *sweepRun {
	return &sweepRun{
		name:  "mixed",
		sweep: output.SweepHeader{Targets: "192.0.2.0/24 198.51.100.7"},
		result: []probe.Result{
			found("192.0.2.1", 1, 310*time.Microsecond), gone("192.0.2.2", 2), found("192.0.2.3", 2, 1201*time.Microsecond),
			rejected("192.0.2.4", "192.0.2.254", probe.HostUnreachable),
			with(found("192.0.2.5", 1, 20*time.Microsecond), fromElse("192.0.2.254")),
			with(found("192.0.2.5", 1, 25*time.Microsecond), further),
			with(found("192.0.2.6", 2, 1200*time.Millisecond), status(probe.Late)),
			gone("192.0.2.7", 2), with(found("192.0.2.7", 1, 0), tooLate), with(found("192.0.2.7", 2, 0), tooLate),
			with(found("192.0.2.255", 1, time.Millisecond), answeredBy(17, "192.0.2.1", "192.0.2.3")),
			with(rejected("192.0.2.8", "203.0.113.1", probe.TTLExceeded), status(probe.Expired)),
			with(found("192.0.2.9", 1, 12345*time.Microsecond), func(r *probe.Result) { r.Flags |= probe.Corrupt | probe.Truncated }),
			notSent("198.51.100.7", probe.NoRoute, os.NewSyscallError("sendmmsg", syscall.ENETUNREACH)),
			notSent("198.51.100.8", probe.NoRoute, os.NewSyscallError("sendmmsg", syscall.ENETUNREACH)),
			notSent("198.51.100.9", probe.Permission, errors.New("send: operation not permitted")),
		},
		end: output.End{Exit: 3, Notes: []string{"a note"}},
	}
}

func subnetSweep() *sweepRun {
	return &sweepRun{
		name:  "subnets",
		sweep: output.SweepHeader{Targets: "-f list", By4: 24, By6: 64, IPv6: true},
		result: []probe.Result{
			found("198.51.100.1", 1, time.Millisecond), found("192.0.2.9", 1, time.Millisecond),
			found("2001:db8:0:1::1", 1, time.Millisecond), found("2001:db8::1", 1, time.Millisecond),
			rejected("192.0.2.77", "192.0.2.254", probe.AdminProhibited), gone("192.0.2.78", 1),
			notSent("203.0.113.1", probe.NoRoute, syscall.EHOSTUNREACH),
			with(notSent("", probe.ResolveFailed, errors.New("no such host")), named("nosuch.example")),
		},
		end: output.End{Exit: 3},
	}
}

func namesSweep() *sweepRun {
	return &sweepRun{
		name:   "names",
		header: output.Header{Args: []string{"sweep", "-f", "\x1b[2J"}},
		sweep:  output.SweepHeader{Targets: "www.example.net, \x1b]0;owned\x07 \u202e \xff", Names: true},
		result: []probe.Result{
			with(found("192.0.2.7", 1, time.Millisecond), named("www.example.net")),
			with(found("192.0.2.8", 1, time.Millisecond), named("\x1b[2J\nevil\u202e \"quoted\", \xff")),
			with(found("192.0.2.9", 1, time.Millisecond), named("名前.example")),
			found("192.0.2.10", 1, time.Millisecond),
			with(gone("192.0.2.11", 1), named("a\rb c")), with(found("192.0.2.11", 1, 0), tooLate, named("a\rb c")),
			with(found("192.0.2.255", 1, time.Millisecond), answeredBy(2, "192.0.2.7", "192.0.2.8"), named("all\x07")),
			with(notSent("", probe.ResolveFailed, errors.New("bad\x1b[31m\nnews")), named("no\x1bsuch")),
		},
		end: output.End{Exit: 3},
	}
}

func sixSweep() *sweepRun {
	return &sweepRun{
		name:  "ipv6",
		sweep: output.SweepHeader{Targets: "2001:db8::/112", IPv6: true},
		result: []probe.Result{
			found("2001:db8::1", 1, 210*time.Microsecond), found("2001:db8:1234:5678:9abc:def0:1234:5678", 1, 99*time.Millisecond),
			found("fe80::1%eth0", 1, time.Millisecond), rejected("2001:db8::2", "2001:db8::fe", probe.NoRoute), gone("2001:db8::3", 3),
		},
		end: output.End{Exit: 1},
	}
}

func cascadeSweep() *sweepRun {
	refused := func(r *probe.Result) { r.Status, r.TTL = probe.Refused, 0 }
	return &sweepRun{
		name:  "cascade",
		sweep: output.SweepHeader{Targets: "192.0.2.0/29", Sent: func() uint64 { return 21 }},
		result: []probe.Result{
			found("192.0.2.1", 1, time.Millisecond),
			with(found("192.0.2.2", 1, 2*time.Millisecond), on(443, probe.Connected)),
			with(found("192.0.2.3", 1, 3*time.Millisecond), on(443, probe.RST), refused),
			with(found("192.0.2.4", 2, 4*time.Millisecond), on(53, probe.UDPReply)),
			with(found("192.0.2.5", 1, 5*time.Millisecond), on(53, probe.PortUnreachable), refused),
			with(found("192.0.2.6", 1, 5*time.Millisecond), refused, func(r *probe.Result) { r.Reason = probe.PortUnreachable }),
			with(gone("192.0.2.7", 2), func(r *probe.Result) { r.Target.Addr = netip.AddrPortFrom(r.Target.Addr.Addr(), 443) }),
			with(rejected("192.0.2.8", "192.0.2.254", probe.HostProhibited), on(443, probe.HostProhibited)),
		},
		end: output.End{Exit: 1},
	}
}

// crowdSweep has more of everything than a line names.
func crowdSweep() *sweepRun {
	s := &sweepRun{name: "crowd", sweep: output.SweepHeader{Targets: "192.0.2.0/24"}, end: output.End{Exit: 1}}
	host := func(i int) string { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String() }
	for i := range 13 {
		s.result = append(s.result, with(found(host(i), 1, time.Millisecond), answeredBy(2+i, "198.51.100.1", "198.51.100.2")))
	}
	for i := range 15 {
		s.result = append(s.result, gone(host(100+i), 1), with(found(host(100+i), 1, 0), tooLate))
	}
	s.result = append(s.result, found(host(200), 1, time.Millisecond))
	for i := range 3 {
		s.result = append(s.result, with(found(host(200), 1, time.Millisecond), further, fromElse(host(210+i))))
	}
	return s
}

func cutSweep() *sweepRun {
	return &sweepRun{
		name: "interrupted",
		sweep: output.SweepHeader{Targets: "10.0.0.0/12", Progress: func() output.Progress {
			return output.Progress{Asked: 4, Decided: 4, Planned: 1_048_576, Known: true}
		}},
		result: []probe.Result{
			found("10.0.0.1", 1, time.Millisecond), gone("10.0.0.2", 2),
			swept("10.0.0.3", 2, probe.Pending, probe.Canceled),
			with(swept("10.0.0.4", 0, probe.Pending, probe.Canceled), func(r *probe.Result) { r.Sent = time.Time{} }),
		},
		end: output.End{StoppedBy: "signal", Exit: 1},
	}
}

func emptySweep() *sweepRun {
	return &sweepRun{name: "empty", sweep: output.SweepHeader{Targets: "-f /dev/null"}, end: output.End{Exit: 0}}
}

func failedSweep() *sweepRun {
	return &sweepRun{
		name:  "all-failed",
		sweep: output.SweepHeader{Targets: "198.51.100.0/30"},
		result: []probe.Result{
			notSent("198.51.100.1", probe.NoRoute, syscall.ENETUNREACH), notSent("198.51.100.2", probe.NoRoute, syscall.ENETUNREACH),
		},
		end: output.End{Exit: 3},
	}
}

// play shows s in views. The target of a Result is valid only while it is
// recorded, as with engines.
func (s *sweepRun) play(change func(*output.Header), views ...output.View) (*stats.Sweep, error) {
	h, sweep := s.header, s.sweep
	h.Sweep = &sweep
	sweep.Stats = stats.NewSweep(sweep.By4, sweep.By6)
	if change != nil {
		change(&h)
	}
	r := output.NewReport(&h, nil, views...)
	if err := r.Begin(); err != nil {
		return nil, err
	}
	var t probe.Target
	var d probe.Responders
	for i := range s.result {
		res := s.result[i]
		t, res.Target = *res.Target, &t
		if given, ok := res.Detail.(*probe.Responders); ok {
			d.Count, d.Addrs = given.Count, append(d.Addrs[:0], given.Addrs...)
			res.Detail = &d
		}
		if err := r.Record(&res); err != nil {
			return nil, err
		}
		t = probe.Target{ID: -1, Name: "stale", Addr: netip.MustParseAddrPort("203.0.113.99:9")}
		for i := range d.Addrs {
			d.Addrs[i] = t.Addr.Addr()
		}
	}
	e := s.end
	return sweep.Stats, r.End(&e)
}

package output_test

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// scenario is a recorded run: its header and its Results, in the order in which
// they came.
type scenario struct {
	name   string
	header output.Header
	target []*probe.Target
	result []probe.Result
	end    output.End
}

// start is when every recorded run starts.
var start = time.Date(2024, 5, 1, 12, 0, 0, 123456000, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// host is a target with an address, or without one if address is empty.
func host(id int, name, address string) *probe.Target {
	t := &probe.Target{ID: id, Name: name}
	if address == "" {
		t.Err = &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
		return t
	}
	t.Addr = netip.AddrPortFrom(addr(address), 0)
	return t
}

// at returns a Result of probe seq to t, sent seq-1 seconds after start.
func at(t *probe.Target, seq uint64, status probe.Status, reason probe.Reason) probe.Result {
	return probe.Result{
		Target: t, Seq: seq, Status: status, Reason: reason, Size: 64,
		Sent: start.Add(time.Duration(seq-1) * time.Second), Lag: 12 * time.Microsecond,
	}
}

func reply(t *probe.Target, seq uint64, rtt time.Duration, flags ...probe.Flags) probe.Result {
	r := at(t, seq, probe.Reply, probe.EchoReply)
	r.From, r.RTT, r.TTL, r.Clock, r.Host = t.Addr.Addr(), rtt, 57, probe.Kernel, 41*time.Microsecond
	if r.From.Is6() {
		r.Type = 129
	}
	for _, f := range flags {
		r.Flags |= f
	}
	return r
}

func late(t *probe.Target, seq uint64, rtt time.Duration) probe.Result {
	r := reply(t, seq, rtt)
	r.Status = probe.Late
	return r
}

func overdue(t *probe.Target, seq uint64) probe.Result {
	r := at(t, seq, probe.Lost, probe.NoResponse)
	r.Interim = true
	return r
}

func lost(t *probe.Target, seq uint64) probe.Result { return at(t, seq, probe.Lost, probe.NoResponse) }

func pending(t *probe.Target, seq uint64) probe.Result {
	return at(t, seq, probe.Pending, probe.Canceled)
}

func failed(t *probe.Target, seq uint64, reason probe.Reason, err error) probe.Result {
	r := at(t, seq, probe.Failed, reason)
	r.Sent, r.Lag, r.Err = time.Time{}, 0, err
	return r
}

func icmpError(t *probe.Target, seq uint64, s probe.Status, reason probe.Reason, from string, typ, code uint8) probe.Result {
	r := at(t, seq, s, reason)
	r.From, r.RTT, r.TTL, r.Type, r.Code, r.Size = addr(from), 3*time.Millisecond, 63, typ, code, 36
	return r
}

func tooBig(t *probe.Target, seq uint64, reason probe.Reason, from string, typ, code uint8, mtu int) probe.Result {
	r := icmpError(t, seq, probe.Unreachable, reason, from, typ, code)
	r.MTU = mtu
	return r
}

func with(r probe.Result, changes ...func(r *probe.Result)) probe.Result {
	for _, change := range changes {
		change(&r)
	}
	return r
}

// scenarios returns all recorded runs.
func scenarios() []*scenario {
	all := []*scenario{
		replies(), names(), silence(), everything(), several(), hostile(), pathMTU(), interrupted(),
		connects(), layers(), datagrams(),
	}
	for _, s := range all {
		h := &s.header
		h.Verb = cmp.Or(h.Verb, "ping")
		h.ID, h.Version, h.Host, h.Start, h.Targets = "r1", "0.1.0", "box", start, s.target
		h.Size, h.Interval, h.Timeout = 56, time.Second, time.Second
		h.Socket, h.Clock = cmp.Or(h.Socket, "raw"), probe.Kernel
		if h.Planned == 0 {
			h.Planned = int64(len(s.result))
		}
		if s.end.StoppedBy == "" {
			s.end.StoppedBy = "done"
		}
		s.end.Time = start.Add(6 * time.Second)
	}
	return all
}

func replies() *scenario {
	t := host(0, "192.0.2.1", "192.0.2.1")
	return &scenario{
		name: "replies", target: []*probe.Target{t},
		header: output.Header{Args: []string{"ping", "-c", "4", "192.0.2.1"}},
		result: []probe.Result{
			reply(t, 1, 10_550*time.Microsecond), reply(t, 2, 951*time.Microsecond),
			reply(t, 3, 124_841*time.Microsecond), reply(t, 4, 9_994_999*time.Nanosecond),
		},
	}
}

func names() *scenario {
	a, b := host(0, "www.example.net", "192.0.2.7"), host(1, "www6.example.net", "2001:db8::7")
	return &scenario{
		name: "names", target: []*probe.Target{a, b},
		header: output.Header{Source: "192.0.2.1", Interface: "eth0"},
		result: []probe.Result{
			reply(a, 1, time.Millisecond), reply(b, 1, 1500*time.Microsecond),
			icmpError(a, 2, probe.Unreachable, probe.HostUnreachable, "192.0.2.254", 3, 1),
			icmpError(b, 2, probe.Refused, probe.PortUnreachable, "2001:db8::7", 1, 4),
		},
	}
}

func silence() *scenario {
	t := host(0, "2001:db8::9", "2001:db8::9")
	return &scenario{
		name: "silence", target: []*probe.Target{t},
		result: []probe.Result{overdue(t, 1), lost(t, 1), overdue(t, 2), lost(t, 2), lost(t, 3)},
		end:    output.End{Exit: 1, Notes: []string{"2001:db8::9: loss>2% (100%)"}},
	}
}

// everything has each status and each flag.
func everything() *scenario {
	t := host(0, "192.0.2.1", "192.0.2.1")
	other := func(r *probe.Result) { r.From = addr("198.51.100.77") }
	short := func(r *probe.Result) { r.Size = 32 }
	return &scenario{
		name: "everything", target: []*probe.Target{t},
		result: []probe.Result{
			reply(t, 1, 10*time.Millisecond), reply(t, 1, 12*time.Millisecond, probe.Dup),
			reply(t, 3, 11*time.Millisecond), reply(t, 2, 1100*time.Millisecond, probe.Reordered),
			overdue(t, 4), late(t, 4, 1200*time.Millisecond),
			icmpError(t, 5, probe.Unreachable, probe.AdminProhibited, "203.0.113.1", 3, 13),
			icmpError(t, 6, probe.Expired, probe.TTLExceeded, "203.0.113.2", 11, 0),
			icmpError(t, 7, probe.Refused, probe.PortUnreachable, "192.0.2.1", 3, 3),
			overdue(t, 8), lost(t, 8),
			failed(t, 9, probe.LinkDown, errors.New("send: network is down")),
			reply(t, 10, 9*time.Millisecond, probe.Corrupt),
			with(reply(t, 11, 9*time.Millisecond, probe.Truncated), short),
			with(reply(t, 12, 9*time.Millisecond, probe.WrongSource), other),
			with(reply(t, 13, 9*time.Millisecond), func(r *probe.Result) { r.Clock, r.Host = probe.User, 0 }),
			pending(t, 14),
		},
		end: output.End{StoppedBy: "signal", Exit: 0},
	}
}

func several() *scenario {
	a, b, c := host(0, "192.0.2.1", "192.0.2.1"), host(1, "gone.example", "198.51.100.1"), host(2, "2001:db8:1::2", "2001:db8:1::2")
	d, e := host(3, "nosuch.example", ""), host(4, "203.0.113.9", "203.0.113.9")
	s := &scenario{name: "several", target: []*probe.Target{a, b, c, d, e}, end: output.End{Exit: 3}}
	noRoute := &net.OpError{Op: "send", Net: "ip4:icmp", Err: syscall.ENETUNREACH}
	for seq := uint64(1); seq <= 5; seq++ {
		s.result = append(s.result, reply(a, seq, time.Duration(10+seq%3)*time.Millisecond))
		if seq == 3 || seq == 4 {
			s.result = append(s.result, icmpError(c, seq, probe.Unreachable, probe.NoRoute, "2001:db8::1", 1, 0))
		} else {
			s.result = append(s.result, reply(c, seq, 250*time.Microsecond))
		}
		s.result = append(s.result, overdue(b, seq), lost(b, seq), failed(e, seq, probe.NoRoute, noRoute))
	}
	return s
}

// hostile has names that try to move the cursor, end lines and turn text around.
func hostile() *scenario {
	a := host(0, "\x1b[2J\x1b]0;owned\x07evil", "192.0.2.1")
	b := host(1, "two\nlines, \"quoted\"\t\u202egnp.exe\u2028\xff\u009b31m", "192.0.2.2")
	c := host(2, "=cmd|'/C calc'!A1 名前", "192.0.2.3")
	d := host(3, "a\rb", "")
	return &scenario{
		name: "hostile", target: []*probe.Target{a, b, c, d},
		header: output.Header{Args: []string{"ping", a.Name, b.Name, "\xfe\x00"}, Interface: "et\x1bh0"},
		result: []probe.Result{
			reply(a, 1, time.Millisecond), overdue(b, 1), lost(b, 1),
			failed(c, 1, probe.ReasonOther, errors.New("bad\x1b[31m\nnews")),
		},
		end: output.End{Exit: 3, Notes: []string{"note\x07 with \u202e"}},
	}
}

func pathMTU() *scenario {
	a, b := host(0, "192.0.2.1", "192.0.2.1"), host(1, "2001:db8::7", "2001:db8::7")
	c, d := host(2, "198.51.100.1", "198.51.100.1"), host(3, "203.0.113.1", "203.0.113.1")
	found := func(m probe.PathMTU) func(*probe.Result) {
		return func(r *probe.Result) { r.Detail = m }
	}
	return &scenario{
		name: "path-mtu", target: []*probe.Target{a, b, c, d},
		result: []probe.Result{
			tooBig(a, 1, probe.FragNeeded, "192.0.2.254", 3, 4, 1400),
			with(reply(a, 2, time.Millisecond), found(probe.PathMTU{MTU: 1400, From: addr("192.0.2.254")})),
			tooBig(b, 1, probe.PacketTooBig, "2001:db8::fe", 2, 0, 1280),
			with(reply(b, 2, time.Millisecond), found(probe.PathMTU{MTU: 1500, Local: true})),
			lost(c, 1),
			with(reply(c, 2, time.Millisecond), found(probe.PathMTU{MTU: 1452, BlackHole: true})),
			with(lost(d, 1), found(probe.PathMTU{})),
		},
		end: output.End{Exit: 1},
	}
}

// interrupted stops before anything was decided.
func interrupted() *scenario {
	t := host(0, "192.0.2.1", "192.0.2.1")
	return &scenario{
		name: "interrupted", target: []*probe.Target{t}, header: output.Header{Planned: -1},
		result: []probe.Result{pending(t, 1)},
		end:    output.End{StoppedBy: "signal", Exit: 1},
	}
}

// play shows s in views; between, if not nil, is called after each Result.
func (s *scenario) play(between func(r *output.Report, i int), views ...output.View) error {
	h := s.header
	r := output.NewReport(&h, stats.New(s.target), views...)
	if err := r.Begin(); err != nil {
		return err
	}
	for i := range s.result {
		if err := r.Record(&s.result[i]); err != nil {
			return err
		}
		if between != nil {
			between(r, i)
		}
	}
	e := s.end
	return r.End(&e)
}

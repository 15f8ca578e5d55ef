package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// What the flags say arrives at the sockets, and --wait changes what was not given.
func TestTCPConfig(t *testing.T) {
	parse := func(line string) (*tcpFlags, *session) {
		t.Helper()
		f := &tcpFlags{}
		cmd := newTCP(nil)
		cmd.ResetFlags()
		f.define(cmd)
		if err := cmd.ParseFlags(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		s, err := f.session(cmd, cmd.Flags().Args())
		if err != nil {
			t.Fatal(err)
		}
		return f, s
	}
	f, s := parse("-c 5 -i 0.2 -W 2s --late 0 -t 9 --dscp ef -S 127.0.0.1 --mark 3 127.0.0.1:80 b:81")
	if c := f.dial(); c.TTL != 9 || c.TOS != 46<<2 || c.Source.String() != "127.0.0.1" || c.Mark != 3 {
		t.Errorf("%+v", c)
	}
	if !s.marks || s.planned != 5 || s.wait != 0 || len(s.hosts) != 2 || f.timeout != 2*time.Second || f.late != 0 {
		t.Errorf("%+v", f)
	}
	if f, s = parse("a:80"); f.timeout != tcpTimeout || f.interval != time.Second || s.marks || f.deadline != 0 {
		t.Errorf("%+v", f)
	}
	if f, s = parse("--wait 30s a:80"); s.wait != 30*time.Second || f.deadline != s.wait || f.interval != waitInterval || f.reResolve != time.Second {
		t.Errorf("%+v", f)
	}
	if f, _ = parse("--wait 30s -i 2 --re-resolve 5 a:80"); f.interval != 2*time.Second || f.reResolve != 5*time.Second {
		t.Errorf("%+v", f)
	}
}

// A wait is over when each target has been open, at the same time or not.
func TestWaitForAll(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	u := &untilSink{Sink: nobody{}, up: true, all: 2, stop: stop}
	a, b := &probe.Target{ID: 0, Name: "a:1"}, &probe.Target{ID: 1, Name: "b:1"}
	for i, r := range []probe.Result{
		{Target: a, Seq: 1, Status: probe.Reply}, {Target: a, Seq: 2, Status: probe.Reply}, {Target: a, Seq: 3, Status: probe.Refused},
		{Target: b, Seq: 1, Status: probe.Failed}, {Target: b, Seq: 2, Status: probe.Refused}, {Target: b, Seq: 3, Status: probe.Lost, Interim: true},
	} {
		if err := u.Record(&r); err != nil || u.met || ctx.Err() != nil {
			t.Fatalf("after result %d: met %v, %v", i, u.met, err)
		}
	}
	if err := u.Record(&probe.Result{Target: b, Seq: 4, Status: probe.Late}); err != nil || !u.met || context.Cause(ctx) != errUntil {
		t.Errorf("met %v, %v", u.met, err)
	}
}

type nobody struct{}

func (nobody) Record(*probe.Result) error { return nil }

// A wait says once of each target that it opened, or why it never did.
func TestWaitView(t *testing.T) {
	var targets []*probe.Target
	for i, name := range []string{"open:1", "refused:1", "silent:1", "broken:1", "evil\x1b[2J:1", "never:1", "asked:1"} {
		targets = append(targets, &probe.Target{ID: i, Name: name})
	}
	targets[4].Err = errText("no \x1b such host")
	from := probe.Result{Reason: probe.RST, From: netip.MustParseAddr("192.0.2.1")}
	for _, quiet := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			v, err := waitDisplay().view("wait", &out, output.Options{Quiet: quiet})
			if err != nil {
				t.Fatal(err)
			}
			set := stats.New(targets)
			h := &output.Header{Start: time.Now(), Targets: targets}
			r := output.NewReport(h, set, v)
			_ = r.Begin()
			time.Sleep(1500 * time.Millisecond)
			for _, res := range []probe.Result{
				{Target: targets[0], Seq: 1, Status: probe.Refused, Reason: from.Reason, From: from.From},
				{Target: targets[0], Seq: 2, Status: probe.Reply}, {Target: targets[0], Seq: 3, Status: probe.Reply},
				{Target: targets[1], Seq: 1, Status: probe.Lost}, {Target: targets[1], Seq: 2, Status: probe.Refused, Reason: from.Reason, From: from.From},
				{Target: targets[1], Seq: 3, Status: probe.Pending},
				{Target: targets[2], Seq: 1, Status: probe.Lost, Reason: probe.NoResponse},
				{Target: targets[5], Seq: 1, Status: probe.Pending}, {Target: targets[6], Seq: 1, Status: probe.Pending, Sent: time.Now()},
				{Target: targets[3], Seq: 1, Status: probe.Failed, Err: errText("no route from this host")},
			} {
				_ = r.Record(&res)
			}
			_ = r.End(&output.End{Time: h.Start.Add(2 * time.Second)})
			want := `open:1 is open after 1.50 s
refused:1 is not open after 2.00 s: rst by 192.0.2.1
silent:1 is not open after 2.00 s: no answer
broken:1 is not open after 2.00 s: not tested: no route from this host
evil\x1b[2J:1 is not open after 2.00 s: no \x1b such host
never:1 is not open after 2.00 s: not decided
asked:1 is not open after 2.00 s: no answer yet
`
			if quiet {
				want = ""
			}
			if out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), want)
			}
		})
	}
}

type errText string

func (e errText) Error() string { return string(e) }

// What is asked above a connection to a name starts with looking that up, each time.
func TestTCPResolves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello\n"))
			_ = c.Close()
		}
	}()
	at := netip.MustParseAddrPort(l.Addr().String())
	f := &tcpFlags{}
	cmd := newTCP(nil)
	cmd.ResetFlags()
	f.define(cmd)
	if err := cmd.ParseFlags([]string{"--banner", "-c", "3", "-i", "0.01", "-W", "10"}); err != nil {
		t.Fatal(err)
	}
	s, err := f.session(cmd, []string{fmt.Sprintf("www.example.test:%d", at.Port())})
	if err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	s.stdout = &stdout
	var asked atomic.Int32
	s.lookup = func(_ context.Context, _, name string) ([]netip.Addr, error) {
		switch asked.Add(1) {
		case 1, 2: // before the run, and by the first probe
			return []netip.Addr{at.Addr()}, nil
		case 3:
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	eng, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	r := rehearse(t, t.Context(), s, eng, &stdout)
	for _, want := range []string{
		`: seq=\d time=\S+ ms resolve=\S+ ms banner=\S+ ms "hello", then closed\n`,
		`: seq=\d time=\S+ ms resolve=\S+ ms banner=\S+ ms the name is now 192\.0\.2\.7, "hello", then closed\n`,
		`seq=\d failed at resolve: no such host \(time=\S+ ms resolve=\S+ ms\)\n`,
		"3 probes transmitted, 2 received, \\+1 errors",
	} {
		if !regexp.MustCompile(want).MatchString(r.stdout) {
			t.Errorf("no %s in\n%s", want, r.stdout)
		}
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("looked up %d times", n)
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"netprobe/dnsprobe"
	"netprobe/output"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/stats"
)

// A dnsRun is one run of queries, from opening the sockets to the exit code.
type dnsRun struct {
	common
	f         *dnsFlags
	questions []dnsprobe.Question
	servers   []dnsprobe.Server
	tls       dnsprobe.TLS

	// lookup is for tests; nil asks the system.
	lookup func(ctx context.Context, network, name string) ([]netip.Addr, error)

	set   *stats.Set
	stats *stats.DNS
	judge *dnsJudge
}

// run is the whole life of a run. Its error is a *failure or a status.
func (s *dnsRun) run(ctx context.Context) error {
	ctx, stop, end := s.limit(ctx)
	defer end()
	defer s.watchSignals(func() (last bool) { stop(errSignal); return true })()
	s.slowDown()
	eng, err := s.open()
	if err != nil {
		return openFailure(err, s.flags)
	}
	defer eng.Close()
	out, err := s.settle(stop)
	if err != nil {
		return err
	}
	servers := s.resolve(ctx)
	eng.SetServers(servers)
	if err := s.announce(out, eng, servers); err != nil {
		return err
	}
	runErr := s.drive(ctx, eng)
	over, err := s.finish(ctx, out, runErr)
	out.lines.drain(ctx) // results are worth waiting for whoever reads them slowly
	outErr := out.close(s.stderr)
	s.sayFew(s.judge.notes)
	s.sayFew(droppedDoubt(eng.Counters().Dropped))
	s.tell(s.log, eng)
	switch {
	case outErr != nil:
		return outErr
	case err != nil:
		return err
	}
	return status(over.Exit)
}

// A dnsProber is what queries are made by.
type dnsProber interface {
	probe.Prober
	SetServers([]dnsprobe.Asked)
	Clock() probe.Clock
	Counters() dnsprobe.Counters
	Close() error
}

// open opens sockets, or says why there could be none.
func (s *dnsRun) open() (dnsProber, error) {
	if s.f.studies() {
		cfg := s.f.study(s)
		return dnsprobe.NewStudy(cfg), rawsock.CheckDial(cfg.Socket)
	}
	hosts := make([]probe.Host, len(s.servers))
	for i, v := range s.servers {
		hosts[i] = v.Host
	}
	return dnsprobe.Open(s.f.config(s), s.f.families(hosts)...)
}

// slowDown leaves one processor to a run by udp alone, which does little and often:
// see pingFlags.open.
func (s *dnsRun) slowDown() {
	streams := slices.ContainsFunc(s.servers, func(v dnsprobe.Server) bool { return v.Transport != dnsprobe.UDP })
	if os.Getenv("GOMAXPROCS") == "" && !streams {
		runtime.GOMAXPROCS(1)
	}
}

// resolve looks up the names of servers, all at once, and times each.
func (s *dnsRun) resolve(ctx context.Context) []dnsprobe.Asked {
	if s.f.trace {
		name := "the root"
		if s.f.root.IsValid() {
			name = s.f.root.String()
		}
		return []dnsprobe.Asked{{Target: &probe.Target{Name: name, Addr: s.f.root}}}
	}
	answers, took := make([]probe.Answer, len(s.servers)), make([]time.Duration, len(s.servers))
	r := probe.Resolver{Network: s.f.network(), Lookup: s.lookup, Limit: 1}
	var wg sync.WaitGroup
	for i, v := range s.servers {
		wg.Go(func() {
			began := time.Now()
			answers[i] = r.Resolve(ctx, []probe.Host{v.Host})[0]
			if !v.Host.Addr.IsValid() {
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	var asked []dnsprobe.Asked
	for i, v := range s.servers {
		for _, t := range probe.Targets(answers[i:i+1], s.f.all) {
			t.ID, t.Name = len(asked), v.Text
			if t.Err == nil {
				t.Addr = netip.AddrPortFrom(t.Addr.Addr(), v.Port)
			}
			asked = append(asked, dnsprobe.Asked{Server: v, Target: t, Lookup: took[i]})
		}
		s.log.Debug("looked up", "server", v.Text, "addrs", answers[i].Addrs, "err", answers[i].Err, "took", took[i])
	}
	return asked
}

// announce sets up what shows the run.
func (s *dnsRun) announce(out *outlets, eng dnsProber, servers []dnsprobe.Asked) error {
	var targets []*probe.Target
	h := s.header()
	queries := len(s.questions) * s.f.count
	d := &output.DNSHeader{Queries: queries, Rounds: s.f.count, Expected: s.f.expectRcode, Timeout: s.f.timeout}
	h.Socket, h.Clock, h.Planned, h.Interval = "connect", eng.Clock(), 0, s.f.interval
	var unknown []string
	for _, a := range servers {
		targets = append(targets, a.Target)
		d.Transports = append(d.Transports, a.Server.Transport.String())
		if a.Server.Transport == dnsprobe.UDP {
			h.Socket = "dgram"
		}
		if a.Target.Err != nil {
			unknown = append(unknown, unresolvedLine(a.Target))
		} else {
			h.Planned += int64(queries)
		}
	}
	s.sayFew(unknown)
	s.set, s.stats = stats.New(targets), stats.NewDNS(targets, s.f.compare)
	h.Targets, h.DNS, d.Stats = targets, d, s.stats
	views, err := out.views(s.flags, s.display, s.flags.quiet, len(targets))
	if err != nil {
		return untested(err)
	}
	report := output.NewReport(h, s.set, views...)
	s.report.Store(report)
	s.judge = &dnsJudge{Sink: report, header: d, questions: len(s.questions), said: s.flags.format == "short", rows: make([][]heard, len(targets))}
	return nil
}

// drive lets the engine ask. It returns the error that ended the run, nil if it
// ended as it should.
func (s *dnsRun) drive(ctx context.Context, eng dnsProber) error {
	if err := s.report.Load().Begin(); err != nil {
		return &probe.SinkError{Err: err}
	}
	return probe.Run(ctx, eng, s.judge)
}

// finish judges the run and shows its end. Its error is that of a run that failed
// as a whole.
func (s *dnsRun) finish(ctx context.Context, out *outlets, runErr error) (*output.End, error) {
	var fired []string
	var summaries []stats.Summary
	for _, row := range s.set.Rows() {
		sum := row.Summary()
		summaries = append(summaries, sum)
		if s.flags.failIf == nil {
			continue
		}
		if clause, ok := s.flags.failIf.Fired(sum); ok {
			fired = append(fired, fmt.Sprintf("fail-if fired: %s: %s", output.Escape(sum.Target.Name), clause))
		}
	}
	how := judge(ctx, runErr)
	end := &output.End{StoppedBy: how.by, Exit: s.exitCode(summaries, how, len(fired) > 0), Time: time.Now(), Notes: fired}
	_ = s.report.Load().End(end) // closing the output meets the same error
	if out.tty == nil {
		s.sayFew(fired)
	}
	if how.failed {
		return end, untested(fmt.Errorf("the run stopped: %w", runErr))
	}
	return end, nil
}

// exitCode is the contract's: 3 wins over 1.
func (s *dnsRun) exitCode(summaries []stats.Summary, how stopped, fired bool) int {
	silent := s.judge.silent()
	for _, sum := range summaries {
		if sum.Verdict() == stats.Untested || sum.Failed > 0 {
			return exitUntested
		}
		silent = silent || !sum.Answered()
	}
	_, differ, _ := s.stats.Differences()
	switch {
	case how.broken:
		return exitUntested
	case fired, differ > 0, s.judge.failed, silent:
		return exitSilent
	}
	return exitAnswered
}

func (s *dnsRun) tell(log *slog.Logger, eng dnsProber) {
	c := eng.Counters()
	log.Info("counters", "sent", c.Sent, "retried", c.Retried, "connections", c.Streams, "strays", c.Strays, "dropped", c.Dropped)
}

// A dnsJudge passes Results on and holds answers against what is wanted.
type dnsJudge struct {
	probe.Sink
	header    *output.DNSHeader
	questions int
	said      bool // notes are wanted: the output has no place for them

	rows   [][]heard // by server, then question
	failed bool      // an answer was not as wanted
	notes  []string
}

// heard is what came of a question to a server so far.
type heard uint8

const (
	unanswered heard = iota + 1 // 0 is not asked yet
	answered
)

// maxNotes is how many notes are kept; more are not shown anyway, but counted.
const maxNotes = 1000

func (j *dnsJudge) Record(r *probe.Result) error {
	err := j.Sink.Record(r)
	if !r.Outcome() || r.Status == probe.Pending {
		return err
	}
	got := false
	switch d := r.Detail.(type) {
	case *probe.DNS:
		got = d.Answer != nil
		j.failed = j.failed || got && (d.Answer.Rcode != j.wanted() || len(d.Unmet) > 0)
	case *probe.DNSWalk:
		got = d.Broke == ""
		j.failed = j.failed || got && d.Rcode != j.wanted()
	case *probe.DNSVerdict:
		got = d.Rcode != ""
		j.failed = j.failed || got && d.Rcode != j.wanted() || d.Status != "secure" && d.Status != "insecure"
	}
	if j.said && len(j.notes) < maxNotes {
		if note := output.DNSNote(j.header, r); note != "" {
			j.notes = append(j.notes, note)
		}
	}
	id, q := r.Target.ID, int(r.Seq-1)%j.questions
	if j.rows[id] == nil {
		j.rows[id] = make([]heard, j.questions)
	}
	now := unanswered
	if got {
		now = answered
	}
	j.rows[id][q] = max(j.rows[id][q], now)
	return err
}

func (j *dnsJudge) wanted() string {
	if j.header.Expected == "" {
		return "NOERROR"
	}
	return j.header.Expected
}

// silent reports whether a server was asked a question and never answered it: of
// several queries for the same one may be lost.
func (j *dnsJudge) silent() bool {
	return slices.ContainsFunc(j.rows, func(row []heard) bool { return slices.Contains(row, unanswered) })
}

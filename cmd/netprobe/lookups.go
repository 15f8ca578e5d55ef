package main

import (
	"context"
	"errors"
	"time"

	"netprobe/probe"
)

// Names that take their time do not hold up what can be probed: the run begins
// grace after the first address is known, and the rest joins in later. Without
// any address there is nothing to probe, but something to show at the latest
// after patience: by then the first lookups are over.
const (
	grace    = 250 * time.Millisecond
	patience = 6 * time.Second
)

// lookups are those of a run. Each takes some seconds at most, and they may be
// under way until end or join returns.
type lookups struct {
	answers []probe.Answer // when the run begins, one for each host
	over    bool           // all answers are final
	late    <-chan lateAnswer
	stop    context.CancelFunc
}

// A lateAnswer is what came of the host of that row.
type lateAnswer struct {
	row int
	probe.Answer
}

// lookUp starts to look up the hosts of s and waits until it is time to begin.
// What has no answer by then says so in its Err (probe.ErrNotYet).
func (s *session) lookUp(ctx context.Context) *lookups {
	ctx, stop := context.WithCancel(ctx)
	late := make(chan lateAnswer, len(s.hosts)) // room for all: nobody waits to tell
	l := &lookups{answers: make([]probe.Answer, len(s.hosts)), late: late, stop: stop}
	for i, h := range s.hosts {
		l.answers[i] = probe.NotYet(h)
	}
	go func() {
		defer close(late)
		s.resolver().Each(ctx, s.hosts, func(i int, a probe.Answer) { late <- lateAnswer{i, a} })
	}()
	l.wait(s.flags.all)
	return l
}

// wait takes in answers until it is time to begin; with all, that is when all
// are known, since each of their addresses makes a row.
func (l *lookups) wait(all bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	begin := timer.C
	if all {
		begin = nil
	}
	found := false
	for {
		select {
		case a, more := <-l.late:
			if !more {
				l.over = true
				l.stop()
				return
			}
			l.answers[a.row] = a.Answer
			if a.Err == nil && !found {
				found = true
				timer.Reset(grace)
			}
		case <-begin:
			return
		}
	}
}

// end ends what is still under way.
func (l *lookups) end() {
	l.stop()
	for range l.late {
	}
}

// join gives rows their addresses as answers come in, or the reason why they
// have none, until all are known. When ctx ends, the lookups do.
func (s *session) join(ctx context.Context, c *course) {
	defer c.names.end()
	defer context.AfterFunc(ctx, c.names.stop)()
	for a := range c.names.late {
		t := probe.Targets([]probe.Answer{a.Answer}, false)[0]
		t.ID = a.row
		s.log.Debug("looked up", "target", t.Name, "addrs", a.Addrs, "err", a.Err)
		c.targets[t.ID] = t
		c.report.Retarget(t)
		c.eng.Retarget(t)
		if t.Err != nil && s.wait == 0 {
			c.unknown.add(unresolvedLine(t))
		}
	}
	c.eng.Expect(false)
	if !c.unknown.hold {
		c.unknown.flush()
	}
}

// notYet reports whether the name of t is still looked up.
func notYet(t *probe.Target) bool { return errors.Is(t.Err, probe.ErrNotYet) }

// unresolved counts the targets that have no address and will not get one from
// the lookups under way.
func unresolved(targets []*probe.Target) (n int) {
	for _, t := range targets {
		if t.Err != nil && !notYet(t) {
			n++
		}
	}
	return n
}

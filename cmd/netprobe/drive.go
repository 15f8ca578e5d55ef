package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"netprobe/probe"
)

// errDeadline is the cause of a run that --deadline ended.
var errDeadline = fmt.Errorf("deadline: %w", context.DeadlineExceeded)

// drive lets the engine probe while the screen is kept fresh and names are
// followed. All lookups are over when it returns. It returns the error that ended the run, nil if it ended as it should.
func (s *session) drive(ctx context.Context, c *course) error {
	defer c.names.end()
	if err := c.report.Begin(); err != nil {
		return &probe.SinkError{Err: err}
	}
	if s.flags.reResolve == 0 && unresolved(c.targets) == len(c.targets) {
		return nil
	}
	helping, done := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer done()
	if c.out.tty != nil {
		helpers.Go(func() { s.refresh(helping) })
	}
	c.eng.Expect(!c.names.over)
	helpers.Go(func() {
		s.join(helping, c)
		if s.flags.reResolve > 0 {
			s.follow(helping, c)
		}
	})
	err := probe.Run(ctx, c.eng, c.sink)
	if c.naming != nil {
		if late := c.naming.end(); late != nil && err == nil {
			err = &probe.SinkError{Err: late}
		}
	}
	return err
}

// sinkError returns why the output failed, if that ended the run.
func sinkError(ctx context.Context, runErr error) (*probe.SinkError, bool) {
	if e, ok := errors.AsType[*probe.SinkError](runErr); ok {
		return e, true
	}
	return errors.AsType[*probe.SinkError](context.Cause(ctx))
}

// stoppedBy names what ended the run, as the end record does.
func stoppedBy(ctx context.Context, runErr error) string {
	if _, ok := sinkError(ctx, runErr); ok {
		return "output"
	}
	switch context.Cause(ctx) {
	case nil:
		return "done"
	case errDeadline:
		return "deadline"
	case errUntil:
		return "until"
	}
	return "signal"
}

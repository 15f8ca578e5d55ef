package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"netprobe/output"
)

// common is what the runs of all verbs have in common.
type common struct {
	verb    string
	args    []string // the command line after the program's name
	flags   *runFlags
	display display
	marks   bool // sockets get their mark while it probes

	stdout, stderr io.Writer
	line           *output.StatusLine // shares a terminal between both; nil without such a line
	log            *slog.Logger

	report  atomic.Pointer[output.Report] // nil until there is something to report
	telling atomic.Bool                   // a snapshot is being written
}

// setUp gives c what cmd knows.
func (c *common) setUp(cmd *cobra.Command, f *runFlags) {
	c.verb, c.flags = cmd.Name(), f
	c.stdout, c.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	c.logTo(c.stderr)
}

// logTo has -v say on w what happens.
func (c *common) logTo(w io.Writer) {
	c.log = slog.New(slog.DiscardHandler)
	if c.flags.verbose {
		c.log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// limit returns a context that the run can be ended by, with a cause, and that
// --deadline ends. end lets go of it.
func (c *common) limit(parent context.Context) (ctx context.Context, stop context.CancelCauseFunc, end func()) {
	ctx, stop = context.WithCancelCause(parent)
	if c.flags.deadline == 0 {
		return ctx, stop, func() { stop(nil) }
	}
	timer := time.AfterFunc(c.flags.deadline, func() { stop(errDeadline) })
	return ctx, stop, func() {
		timer.Stop()
		stop(nil)
	}
}

// settle opens files as the user who started us, then drops all privileges but
// the one to mark sockets, if that will be needed.
func (c *common) settle(stop context.CancelCauseFunc) (*outlets, error) {
	if err := leaveSetuid(); err != nil {
		return nil, untested(err)
	}
	out, err := openOutlets(c.flags, c.stdout, c.line, stop)
	if err != nil {
		return nil, untested(err, "--out takes a file that can be created, or a FIFO")
	}
	if err := dropPrivileges(c.marks); err != nil {
		return nil, untested(err)
	}
	return out, nil
}

// header is what the run record of every verb says.
func (c *common) header() *output.Header {
	id := make([]byte, 8)
	_, _ = rand.Read(id)     // never fails
	host, _ := os.Hostname() // unknown is empty
	return &output.Header{
		ID: hex.EncodeToString(id), Verb: c.verb, Version: version(), Host: host, Args: c.args, Start: time.Now(),
		Planned: -1, Interface: c.flags.iface, Numeric: c.flags.numeric, Timeout: c.flags.timeout,
	}
}

// refresh redraws five times a second what is redrawn in place.
func (c *common) refresh(ctx context.Context) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			_ = c.report.Load().Refresh(now) // the next Record meets the same error
		case <-ctx.Done():
			return
		}
	}
}

// sayFew prints the first lines on stderr, and how many more there were.
func (c *common) sayFew(lines []string) {
	n := notices{w: c.stderr}
	for _, line := range lines {
		n.add(line)
	}
	n.flush()
}

// A stopped run is one that is over, for whatever reason.
type stopped struct {
	by     string // as the end record says
	failed bool   // the engine gave up
	broken bool   // engine or output failed: the run is not what was asked for
}

// judge says how the run of ctx ended that returned runErr.
func judge(ctx context.Context, runErr error) stopped {
	sink, outputEnded := sinkError(ctx, runErr)
	ended := context.Cause(ctx) != nil && errors.Is(runErr, context.Cause(ctx)) || errors.Is(runErr, context.Canceled)
	failed := runErr != nil && !outputEnded && !ended
	return stopped{by: stoppedBy(ctx, runErr), failed: failed, broken: failed || outputEnded && !isClosedPipe(sink)}
}

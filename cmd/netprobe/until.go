package main

import (
	"context"
	"errors"
	"fmt"

	"netprobe/output"
	"netprobe/probe"
)

// errUntil is the cause of a run that --until ended.
var errUntil = errors.New("until")

// untilSink passes Results on and ends the run at the first that is what
// --until waits for. A probe that could not be sent says nothing about its
// target, so it is neither up nor down.
type untilSink struct {
	probe.Sink
	up   bool
	stop context.CancelCauseFunc
	met  bool
	note string // what happened, for people; valid if met
}

func (u *untilSink) Record(r *probe.Result) error {
	err := u.Sink.Record(r)
	if u.met || !r.Outcome() || !u.is(r.Status) {
		return err
	}
	u.met = true
	state := "down"
	if u.up {
		state = "up"
	}
	u.note = fmt.Sprintf("%s is %s: seq %d, %v", output.Escape(r.Target.Name), state, r.Seq, r.Reason)
	u.stop(errUntil)
	return err
}

func (u *untilSink) is(s probe.Status) bool {
	switch s {
	case probe.Reply, probe.Late:
		return u.up
	case probe.Lost, probe.Unreachable, probe.Expired, probe.Refused:
		return !u.up
	}
	return false
}

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
// --until waits for, or when --wait has it of all targets. A probe that could not be sent says nothing about its
// target, so it is neither up nor down.
type untilSink struct {
	probe.Sink
	up   bool
	all  int // targets that must have been it; 0 for any one
	stop context.CancelCauseFunc
	met  bool
	note string // what happened, for people; valid if met

	were map[int]bool // targets that have been it, by their ID; nil at first
}

func (u *untilSink) Record(r *probe.Result) error {
	err := u.Sink.Record(r)
	if u.met || !r.Outcome() || !u.is(r) {
		return err
	}
	if !u.enough(r.Target.ID) {
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

// enough notes that a target is it, and reports whether that was all to wait for.
func (u *untilSink) enough(id int) bool {
	if u.were == nil {
		u.were = map[int]bool{}
	}
	u.were[id] = true
	return len(u.were) >= u.all
}

func (u *untilSink) is(r *probe.Result) bool {
	if r.Fault() != nil {
		return !u.up
	}
	switch r.Status {
	case probe.Reply, probe.Late:
		return u.up
	case probe.Lost, probe.Unreachable, probe.Expired, probe.Refused:
		return !u.up
	}
	return false
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"netprobe/sweep"
)

// readState reads how far an earlier run came from the file of --resume; nil if
// there is no such file, or none was asked for. Its errors are usage errors.
func readState(file string) (*sweep.State, error) {
	if file == "" {
		return nil, nil
	}
	back, err := becomeCaller()
	if err != nil {
		return nil, untested(err)
	}
	state, err := sweep.ReadState(file)
	if err := back(); err != nil {
		return nil, untested(err)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, usage("give another file, or remove that one to start over", "cannot go on: %v", err)
	}
	return state, nil
}

// mark says where the run begins, and sees to it that the file of --resume can
// be written: what it is to hold would be lost else.
func (s *sweepRun) mark() error {
	if s.f.resume == "" {
		return nil
	}
	if s.from != nil {
		s.sayGoingOn()
	}
	state := s.from
	if state == nil {
		state = s.hosts.State(nil)
	}
	if err := sweep.WriteState(s.f.resume, state); err != nil {
		return usage("give a file that can be created", "cannot keep how far the sweep came: %v", err)
	}
	return nil
}

// sayGoingOn tells how far the earlier run came.
func (s *sweepRun) sayGoingOn() {
	left, _ := s.hosts.Planned()
	asked := s.from.Position - uint64(len(s.from.Undecided))
	fmt.Fprintf(s.stderr, "netprobe: going on at %d %%: %s asked before\n", asked*100/max(asked+left, 1), hostCount(asked))
}

// leave writes how far the run came, or removes the file if there is nothing
// left to do. It returns what people should know.
func (s *sweepRun) leave() []string {
	if s.f.resume == "" {
		return nil
	}
	if s.complete() && len(s.tally.undecided) == 0 {
		if err := os.Remove(target(s.f.resume)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return []string{fmt.Sprintf("the sweep is complete, but %q cannot be removed: %v", s.f.resume, err)}
		}
		return nil
	}
	if err := sweep.WriteState(s.f.resume, s.hosts.State(s.tally.undecided)); err != nil {
		return []string{fmt.Sprintf("how far the sweep came is lost: %v", err)}
	}
	return []string{fmt.Sprintf("the same command goes on from here: %q knows how far it came", s.f.resume)}
}

// target is the file that a symbolic link leads to: the link stays.
func target(file string) string {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		return real
	}
	return file
}

// hostCount is "1 host" or "1,022 hosts", with the commas that progress has.
func hostCount(n uint64) string {
	if n == 1 {
		return "1 host"
	}
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits + " hosts"
}

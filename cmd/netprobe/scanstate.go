package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"netprobe/scan"
	"netprobe/sweep"
)

// scanRest is what the file of --resume keeps of a scan beside its hosts.
type scanRest struct {
	Ports string       `json:"ports"`
	Way   string       `json:"way"`
	Part  string       `json:"part"`
	Hosts []scan.Begun `json:"hosts,omitempty"` // begun and not finished, and finished addresses of names that are not
}

// readRest returns what an earlier run left of the hosts it had begun. Its errors
// are usage errors.
func (f *scanFlags) readRest(from *sweep.State) ([]scan.Begun, error) {
	if from == nil {
		return nil, nil
	}
	const hint = "give the same targets and flags as before, or another file"
	var rest scanRest
	if err := json.Unmarshal(from.Rest, &rest); err != nil || from.Rest == nil {
		return nil, usage(hint, "cannot go on from %q: it is not the state of a scan", f.resume)
	}
	want := f.rest(nil)
	if rest.Ports != want.Ports || rest.Way != want.Way || rest.Part != want.Part {
		return nil, usage(hint, "cannot go on from %q: ports, --shard or the way to ask differ", f.resume)
	}
	for _, b := range rest.Hosts {
		if b.Next < 0 || b.Next > len(f.ports) || len(b.Again) > b.Next || !b.Addr.IsValid() {
			return nil, usage("give another file, or remove that one to start over", "cannot go on from %q: damaged state", f.resume)
		}
	}
	return rest.Hosts, nil
}

func (f *scanFlags) rest(hosts []scan.Begun) scanRest {
	return scanRest{Ports: f.text, Way: f.technique(), Part: f.parts.String(), Hosts: hosts}
}

// state is how far the run came. Of finished hosts those count whose name is
// asked for again.
func (s *scanRun) state(hosts, finished []scan.Begun, undecided []uint64) (*sweep.State, error) {
	for _, b := range hosts {
		undecided = append(undecided, b.Index)
	}
	state := s.hosts.State(undecided)
	if state == nil {
		return nil, errors.New("targets from a stream cannot be read again")
	}
	for _, b := range finished {
		if _, again := slices.BinarySearch(state.Undecided, b.Index); again {
			hosts = append(hosts, b)
		}
	}
	var err error
	state.Rest, err = json.Marshal(s.f.rest(hosts))
	return state, err
}

// mark says where the run begins, and sees to it that the file of --resume can
// be written: what it is to hold would be lost else.
func (s *scanRun) mark() error {
	if s.f.resume == "" {
		return nil
	}
	state := s.from
	if state == nil {
		var err error
		if state, err = s.state(nil, nil, nil); err != nil {
			return usage("give a file that can be created", "cannot keep how far the scan came: %v", err)
		}
	} else {
		begun := 0
		for _, b := range s.begun {
			if b.Next > 0 && (b.Next < len(s.f.ports) || len(b.Again) > 0) {
				begun++
			}
		}
		fmt.Fprintf(s.stderr, "netprobe: going on where %q says the scan stopped: %s finished before, %s begun\n",
			s.f.resume, hostCount(state.Position-uint64(len(state.Undecided))), hostCount(uint64(begun)))
	}
	if err := sweep.WriteState(s.f.resume, state); err != nil {
		return usage("give a file that can be created", "cannot keep how far the scan came: %v", err)
	}
	return nil
}

// keep writes how far the run came, or removes the file if there is nothing left
// to do. It returns what people should know.
func (s *scanRun) keep() []string {
	if s.f.resume == "" {
		return nil
	}
	left, undecided := s.engine.Left(), s.waiting()
	if s.complete() && len(left) == 0 && len(undecided) == 0 {
		if err := os.Remove(target(s.f.resume)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return []string{fmt.Sprintf("the scan is complete, but %q cannot be removed: %v", s.f.resume, err)}
		}
		return nil
	}
	state, err := s.state(left, s.engine.Finished(), undecided)
	if err == nil {
		err = sweep.WriteState(s.f.resume, state)
	}
	if err != nil {
		return []string{fmt.Sprintf("how far the scan came is lost: %v", err)}
	}
	return []string{fmt.Sprintf("the same command goes on from here: %q knows how far it came", s.f.resume)}
}

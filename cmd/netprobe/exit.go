package main

import (
	"netprobe/stats"
)

// ending is what beside the targets decides an exit code.
type ending struct {
	broken bool // engine or output failed: the run is not what was asked for
	fired  bool // a clause of --fail-if held
	until  bool // --until was given ...
	met    bool // ... and happened
}

// exitCode is the contract's: 3 wins over 1, and with --until the question is
// not whether all answered but whether it happened.
func exitCode(summaries []stats.Summary, e ending) int {
	silent := false
	for _, s := range summaries {
		if s.Error != nil && !s.Answered() {
			return exitUntested
		}
		silent = silent || !s.Answered()
	}
	switch {
	case e.broken:
		return exitUntested
	case e.fired:
		return exitSilent
	case e.until && !e.met, !e.until && silent:
		return exitSilent
	}
	return exitAnswered
}

package main

import (
	"errors"
	"testing"

	"netprobe/probe"
	"netprobe/stats"
)

func always(same bool) func(*probe.Target) bool {
	return func(*probe.Target) bool { return same }
}

func TestExitCode(t *testing.T) {
	answered := stats.Summary{Sent: 3, Received: 1, Lost: 2}
	late := stats.Summary{Sent: 1, Late: 1}
	silent := stats.Summary{Sent: 3, Lost: 3}
	rejected := stats.Summary{Sent: 3, Errors: 3}
	undecided := stats.Summary{Sent: 1, Pending: 1}
	neverSent := stats.Summary{} // the run ended before its turn came
	unresolved := stats.Summary{Error: errors.New("no such host")}
	failed := stats.Summary{Failed: 3, Error: errors.New("network is unreachable")}
	partly := stats.Summary{Sent: 1, Received: 1, Failed: 2}

	for _, tt := range []struct {
		name    string
		targets []stats.Summary
		ending  ending
		want    int
	}{
		{"all answered", []stats.Summary{answered, late, partly}, ending{}, 0},
		{"one silent", []stats.Summary{answered, silent}, ending{}, 1},
		{"one rejected", []stats.Summary{rejected}, ending{}, 1},
		{"ended before the answer", []stats.Summary{undecided}, ending{}, 1},
		{"ended before it was sent", []stats.Summary{answered, neverSent}, ending{}, 3},
		{"one unresolved", []stats.Summary{answered, unresolved}, ending{}, 3},
		{"one could not be sent to", []stats.Summary{answered, failed}, ending{}, 3},
		{"unresolved beats silent", []stats.Summary{silent, unresolved}, ending{}, 3},
		{"the run broke", []stats.Summary{answered}, ending{broken: true}, 3},
		{"expectation failed", []stats.Summary{answered}, ending{fired: true}, 1},
		{"expectation failed, one unresolved", []stats.Summary{answered, unresolved}, ending{fired: true}, 3},
		{"it came up", []stats.Summary{answered, silent, neverSent}, ending{until: true, met: true}, 0},
		{"it went down", []stats.Summary{silent}, ending{until: true, met: true}, 0},
		{"it never did", []stats.Summary{answered}, ending{until: true}, 1},
		{"it came up, one unresolved", []stats.Summary{answered, unresolved}, ending{until: true, met: true}, 3},
		{"it came up, expectation failed", []stats.Summary{answered}, ending{until: true, met: true, fired: true}, 1},
		{"all were open", []stats.Summary{answered, unresolved}, ending{until: true, met: true, wait: true}, 0},
		{"not all were open", []stats.Summary{answered, unresolved}, ending{until: true, wait: true}, 1},
		{"waiting broke", []stats.Summary{answered, unresolved}, ending{until: true, wait: true, broken: true}, 3},
		{"silent as recorded", []stats.Summary{answered, silent}, ending{asBefore: always(true)}, 0},
		{"silent, recorded otherwise", []stats.Summary{silent}, ending{asBefore: always(false)}, 1},
		{"the path changed", []stats.Summary{answered}, ending{asBefore: always(false), fired: true}, 1},
		{"silent as recorded, one unresolved", []stats.Summary{silent, unresolved}, ending{asBefore: always(true)}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.targets, tt.ending); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// Package icmp is the echo engine (RFC 792, RFC 4443): it sends in order, matches
// what comes back and expires what does not, for many targets on one socket per
// family. An Engine asks the same targets in many rounds, as ping does, and
// remembers each; a Sweep asks any number of hosts in one round, and remembers
// those in flight.
//
// The one thing that surprises: the first eight octets of the payload are a
// keyed cookie, and an answer without the right one does not count, wherever it
// claims to come from. What cannot carry proof (an ICMP error that quotes only
// eight octets, a reply whose payload was destroyed on the way) is held until
// the probe would have been lost anyway, and then says why.
package icmp

import (
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// Pace says when the next probe to a target is due.
type Pace uint8

const (
	Fixed    Pace = iota // every Interval, on an absolute schedule
	Adaptive             // when the last one is decided, at the latest after Interval
	Flood                // as Adaptive, but at the latest after 10 ms
	Lockstep             // only when the last one is decided
)

// Config is one run of the echo engine.
type Config struct {
	Targets  []*probe.Target // those with Err set are skipped until Retarget mends them
	Count    int             // probes per target; 0 until ctx ends
	Interval time.Duration   // between probes to one target; 0 means 1 s
	Timeout  time.Duration   // before a probe is overdue; 0 means 1 s
	Late     time.Duration   // how much longer an answer still counts as late; may be 0
	Rate     float64         // packets per second for the whole run; 0 for no cap
	Pace     Pace
	MinGap   time.Duration // shortest time between two probes to one target under Adaptive and Flood

	Size    int    // payload bytes; under 8 there is no room for the cookie
	Sizer   Sizer  // chooses the payload size of each probe instead of Size; may be nil
	Pattern []byte // repeated over the payload, whose start the cookie then covers; nil counts up as ping does

	// Await keeps the run going while no target can be probed, since Retarget
	// may mend that.
	Await bool

	Socket rawsock.Config // Family, ID, IDs and MaxSize are the engine's to set
}

// A Sizer chooses the payload size of each probe. Its calls come one at a time.
type Sizer interface {
	// Size returns the payload bytes of probe seq to t; ok false ends t's
	// probing before that probe. It may be asked twice about the same probe.
	Size(t *probe.Target, seq uint64) (size int, ok bool)
	// Learn is told each outcome of t before the next Size for t, and may
	// set its Detail before anybody else sees it.
	Learn(r *probe.Result)
}

// Counters are what the engine saw beside its Results.
type Counters struct {
	Sent      uint64 // echo requests the kernel took
	Retried   uint64 // sends repeated because a queue was full (ENOBUFS)
	Strays    uint64 // ICMP messages that were not ours: foreign, forged or too late
	Redirects uint64 // redirects for one of our probes
	Dropped   uint64 // messages the kernel dropped for want of receive buffer (SO_RXQ_OVFL)
	UserClock uint64 // answers whose kernel timestamps were missing or not believed
}

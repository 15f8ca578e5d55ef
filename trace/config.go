// Package trace finds the path to a host, hop by hop, at the speed of one round
// trip: probes of all TTLs leave together, and a run ends as soon as the path is
// known. One engine serves ICMP echo, UDP and TCP SYN probes, IPv4 and IPv6,
// and any number of targets on the same sockets.
//
// What to send and when to stop is decided by phases, state machines that are
// told the time; the Engine carries that out on rawsock. So what is tested in
// virtual time is what runs.
//
// The one thing that surprises: every probe of a run looks the same to a load
// balancer (Config.Flow), and still each is told from all others by two numbers
// in different places of the packet, of which one may be lost on the way.
package trace

import (
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// Config is one run of the trace engine.
type Config struct {
	Targets []*probe.Target // those with Err set are skipped until Retarget mends them

	Proto rawsock.Proto // ICMP if 0
	Port  uint16        // destination port; 0 means 33434 for UDP and 80 for TCP
	TOS   uint8
	Size  int // of the probes as IP packets, bytes; 0 means 60 for IPv4 and 80 for IPv6

	First, Max uint8         // TTLs to try; 0 means 1 and 30
	Count      int           // probes per hop; 0 means 3, with Monitor endless
	Interval   time.Duration // between rounds beyond the third, and those of Monitor; 0 means 100 ms, with Monitor 1 s
	Timeout    time.Duration // how long an answer is waited for; 0 decides by what the path is like
	Rate       float64       // packets per second for the whole run; 0 means 5000

	Paths      bool    // find every equal-cost path
	Confidence float64 // that none is missing at a hop, below 1; 0 means 0.95
	Verdict    bool    // probe hops that lose once more, slower, and say why; also with a Count above 3
	MTU        bool    // find the path MTU, hop by hop
	Monitor    bool    // go on until Count rounds are over, or the run is (Count 0); emits every probe as it is decided

	// Socket.Flow 0 picks the flow of the run at random. Family and Proto are
	// the engine's to set.
	Socket rawsock.TracerConfig
}

// Counters are what the engine saw beside its Results.
type Counters struct {
	Sent         uint64 // probes the kernel took
	Retried      uint64 // sends repeated because a queue was full
	Strays       uint64 // messages that were no answer to a probe of ours
	Unidentified uint64 // answers that came to our flow, but do not say to which probe
	Dropped      uint64 // messages the kernel dropped for want of receive buffer
	UserClock    uint64 // answers whose kernel timestamps were missing or not believed
}

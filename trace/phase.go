package trace

import (
	"time"

	"netprobe/probe"
)

// A phase is one part of the strategy for one target: the first look at the
// path, every equal-cost path, the verdict about losses, the path MTU. It is
// pure: it is told the time (since the start of the run) and never asks for it,
// sends nothing itself, and its calls come one at a time.
type phase interface {
	// next returns what to send at now. Without anything, ok is false and wake is
	// when to ask again unless something is told before: probe.Never if
	// nothing is due by itself. It is asked again at once while ok is true.
	next(now time.Duration) (o order, wake time.Duration, ok bool)

	// tell is called whenever the state of an attempt has changed: it left
	// (inFlight), it was answered, it is overdue, it could not be sent.
	tell(now time.Duration, a *attempt)

	// done reports whether there is nothing more to send or to wait for.
	done(now time.Duration) bool
}

// An order is one probe to send.
type order struct {
	ttl  uint8
	flow uint16        // added to the flow of the run: 0 is the path everybody asks about
	size int           // IP packet, bytes; 0 for the usual size
	wait time.Duration // after which the attempt is overdue; 0 for never: the phase itself judges
	tag  int           // the phase's own
}

// state is what has become of an attempt.
type state uint8

const (
	inFlight state = iota
	overdue        // its wait is over: an answer may still come
	answered       // res holds the answer
	failed         // it could not be sent: res says why
)

// An attempt is an order that was carried out.
type attempt struct {
	order
	state state
	seq   uint64        // number of the probe at its target, from 1
	sent  time.Duration // since the start of the run; of a failed one, when it was tried
	hop   probe.Hop     // Detail of res
	res   probe.Result  // valid if answered or failed
}

// rtt is valid if a is answered.
func (a *attempt) rtt() time.Duration { return a.res.RTT }

// fromTarget reports whether the target answered a: an echo reply, a UDP
// datagram, SYN-ACK, RST, or a port- or protocol-unreachable from its own
// address.
func (a *attempt) fromTarget() bool {
	return a.state == answered && (a.res.Status == probe.Reply || a.res.Status == probe.Late || a.res.Status == probe.Refused)
}

// fromHop reports whether a router answered a because its TTL had run out.
func (a *attempt) fromHop() bool { return a.state == answered && a.res.Status == probe.Expired }

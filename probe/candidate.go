package probe

import "net/netip"

// A Candidate is one address of which a sweep wants to know whether it is alive.
type Candidate struct {
	Index uint64     // its place among all addresses of the sweep, from 0; sparse with shards
	Addr  netip.Addr // unmapped
	Name  string     // as the user wrote it, if that was a name; an address speaks for itself
}

// Supply says what Source.Next has.
type Supply uint8

const (
	Ready Supply = iota // a Candidate
	Later               // none now: the function given to Notify is called when that may have changed
	Over                // no more, for good
)

// A Source hands out the candidates of a sweep, each once, in the order in which
// they are to be asked. It is asked by one goroutine, which must not be kept
// waiting.
type Source interface {
	Next() (Candidate, Supply)
	// Notify has wake called, from any goroutine, when Next may say something
	// else than Later. It is called once, before Next.
	Notify(wake func())
}

// Responders is the Detail of a Result whose answers came from other addresses
// than the one asked: an address behind which several hosts answer is a
// broadcast address, and no host.
type Responders struct {
	Count int          // different addresses that answered
	Addrs []netip.Addr // the first of them
}

package scan

import (
	"net/netip"
	"time"

	"netprobe/internal/crew"
)

// A Transport carries tries to ports and brings back what came of them. All of
// it is called from one goroutine, but Wake.
type Transport interface {
	// Room is how many more tries may begin now; what this host lacks (descriptors,
	// ports) makes it less.
	Room() int
	// Start begins tries, in order. It returns how many it began: fewer if there
	// is no room or the kernel takes no more now, which is no error. What is
	// wrong with a single try is told as its Answer, with the Status Failed.
	Start(tries []crew.Try) int
	// Wait returns when there may be something to Collect, after Wake, or after d.
	Wait(d time.Duration)
	Wake()
	// Collect hands over what has come, without blocking. An answer belongs to
	// the try n of the port to; n is 0 if that is not known, and the answer may
	// come long after the try was given up.
	Collect(visit func(to netip.AddrPort, n int, a *crew.Answer))
	// Timed reports whether each try is answered within its Timeout in any case:
	// silence is then an Answer with the Status Lost. If not, the scan gives a
	// try up by itself, after it has collected.
	Timed() bool
	// Close ends all that is under way, and waits for it.
	Close() error
}

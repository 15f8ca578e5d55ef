package rawsock

import (
	"net/netip"
	"syscall"
	"time"
)

// A Dial prepares the socket of one dial of package net at a time, and knows
// afterwards what became of it. Its Control goes into net.Dialer.Control.
//
// What surprises: net closes the socket of a dial that failed, and with it goes
// what only the kernel knows, such as who rejected the connection. On Linux
// Control therefore keeps a second descriptor of each TCP socket until Close: a
// dial takes two.
type Dial struct {
	Config Config // Source, Interface, Mark, TTL and TOS count
	kept   kept   // what differs by operating system
}

// Control sets what Config says, and on TCP sockets that an address may be
// used again at once (SO_REUSEADDR; Windows means something else by that and is
// spared) and that closing resets (SO_LINGER 0), which leaves no TIME_WAIT
// behind. Errors are wrapped *os.SyscallErrors, or errors.ErrUnsupported
// for what this operating system cannot do.
func (d *Dial) Control(network, _ string, c syscall.RawConn) error {
	return d.control(network, c)
}

// Rejected tells who rejected a TCP dial that failed; ok is false if nobody did,
// or where the system does not tell.
func (d *Dial) Rejected() (r Rejection, ok bool) { return d.rejected() }

// Local is the address a TCP dial left from, without zone; invalid if it did
// not, or where the system does not tell.
func (d *Dial) Local() netip.Addr { return d.local() }

// End tells what ended a TCP dial for whose end package net did not wait, and
// how often a SYN was sent again. It is the zero value where nothing has and
// none was, or the system does not tell.
func (d *Dial) End() Ending { return d.end() }

// Close lets go of the socket. It may be called twice, and without a dial.
func (d *Dial) Close() { d.close() }

// Ending is what became of a dial after package net gave it up.
type Ending struct {
	Errno     syscall.Errno // why it failed; 0 if it did not
	Connected bool          // it was answered all the same
	Handshake Handshake     // its RTT is valid if Connected
}

// Rejection is an ICMP error about what a socket sent.
type Rejection struct {
	From       netip.Addr // who sent it, without zone
	Type, Code uint8
}

// Handshake is how a TCP connection came about (TCP_INFO, tcp(7)).
type Handshake struct {
	RTT     time.Duration // from the SYN to its answer, by the kernel's clock; 0 if it does not tell
	Retrans int           // SYNs sent again
}

// Rejected takes the next ICMP error out of the error queue of a socket
// that Dial.Control prepared; ok is false if there is none, or the system has no
// such queue.
func Rejected(c syscall.RawConn) (r Rejection, ok bool) { return rejected(c) }

// LastWord reads a datagram that has arrived, whatever the read deadline of the
// socket says: a process that was kept from running must not call its
// target silent. ok is false if there is none.
func LastWord(c syscall.RawConn, buf []byte) (n int, ok bool) { return lastWord(c, buf) }

// HandshakeOf asks the kernel how a TCP connection came about; ok is false
// where it does not tell.
func HandshakeOf(c syscall.RawConn) (h Handshake, ok bool) { return handshakeOf(c) }

// TellsHandshakes says that this system knows how connections came about.
const TellsHandshakes = tellsHandshakes

// DialCost is how many descriptors a TCP dial with a Dial takes.
const DialCost = dialCost

// Descriptors is how many descriptors this process may have (RLIMIT_NOFILE);
// 0 if that is not limited.
func Descriptors() int { return descriptors() }

// CheckDial reports why no dial with cfg could work, without sending anything.
// An invalid Source means either family.
func CheckDial(cfg Config) error { return checkDial(cfg) }

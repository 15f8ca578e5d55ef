package rawsock

import (
	"net"
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
	Stamps bool   // UDP: the kernel stamps what leaves and what arrives, where it can; see KeepStamps
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

// KeepStamps has the kernel stamp all that arrives, for as long as this process
// lives. It does so anyway while there is a socket that wants it, but begins only
// some time after the first asked, from a work queue (net_enable_timestamp in
// net/core/dev.c): too late for the one answer that a new socket waits for. The first
// call costs a descriptor.
func KeepStamps() { keepStamps() }

// StampsDatagrams says that this system can do what Dial.Stamps asks for.
const StampsDatagrams = stampsDatagrams

// Receive reads the next datagram from a UDP socket that Dial.Control prepared. It
// waits as net's own reads do. Its error is one of theirs.
func Receive(c *net.UDPConn, buf []byte) (Receipt, error) { return receive(c, buf, true) }

// LastWord is Receive that does not wait, whatever the read deadline of the socket
// says: a process that was kept from running must not call its target silent. ok
// is false if there is nothing.
func LastWord(c *net.UDPConn, buf []byte) (r Receipt, ok bool) {
	r, err := receive(c, buf, false)
	return r, err == nil
}

// Receipt is a datagram that was read.
type Receipt struct {
	Len   int            // octets of payload, as far as the buffer held them
	From  netip.AddrPort // unmapped
	Stamp int64          // when it arrived by the kernel's clock, ns since 1970; 0 if unknown
	TTL   uint8          // or hop limit, as it arrived; 0 if unknown
}

// ReadErrors empties the error queue of a UDP socket that Dial.Control prepared.
// Where the system has none it is the zero value.
func ReadErrors(c syscall.RawConn) Errors { return readErrors(c) }

// Errors are what the error queue of a socket said of its one datagram.
type Errors struct {
	Rejection       // the first ICMP error about it
	Rejected  bool  // there was one
	Stamp     int64 // when that arrived by the kernel's clock, ns since 1970; 0 if unknown
	Left      int64 // when the datagram left, likewise
}

// LastBytes reads what has arrived on a stream, as LastWord does a datagram; ok is
// false if there is nothing, or where the system cannot.
func LastBytes(c syscall.RawConn, buf []byte) (n int, ok bool) { return lastBytes(c, buf) }

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

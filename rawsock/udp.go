package rawsock

import (
	"net/netip"
	"sync/atomic"
)

// UDPPacket is one UDP datagram to send.
type UDPPacket struct {
	To   netip.AddrPort // destination, unmapped; of the family of the UDPConn
	Data []byte         // the payload
	Key  uint32         // comes back with this datagram's transmit timestamp
}

// UDPMessage is one thing a UDPConn told us. Its Data is valid only until the next
// Drain.
type UDPMessage struct {
	Message                // Event Echo is a datagram from whomever; ID and Seq are not used, and Size counts payload
	Port    uint16         // the port it came from (Echo)
	To      netip.AddrPort // where the datagram it is about was bound for, without zone (Error)
}

// A UDPConn is one UDP socket with a port of its own that is bound to no peer: it
// sends to anybody and hears everybody, also whoever was not asked. Send and
// Drain may run at the same time, each in one goroutine. An Alarm waits for it.
type UDPConn struct {
	family  Family
	dropped atomic.Uint32
	udp     // what differs by operating system
}

// OpenUDP opens a socket at a port that the system picks. Of cfg all counts but
// Kind, ID, IDs and PMTU; MaxSize is of the payload, 0 means 65535. Errors are
// those of Open; it needs no privilege but for a Mark.
func OpenUDP(cfg Config) (*UDPConn, error) {
	if cfg.Family == 0 {
		cfg.Family = IPv4
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = 1<<16 - 1
	}
	return openUDP(cfg)
}

// Family is the IP version.
func (c *UDPConn) Family() Family { return c.family }

// KernelClock reports whether what leaves and what arrives is stamped by the kernel.
func (c *UDPConn) KernelClock() bool { return c.kernelClock() }

// Send sends ds in order and returns how many the kernel took, and if that is
// not all, why it refused the next one: a wrapped *os.SyscallError for CauseOf. It
// never blocks and does not allocate unless it fails.
func (c *UDPConn) Send(ds []UDPPacket) (n int, err error) { return c.send(ds) }

// Drain tells visit all there is without blocking, the stamp of a datagram before
// the answer to it. It stops after some thousand messages. It does not allocate.
// Calls must not overlap.
func (c *UDPConn) Drain(visit func(*UDPMessage)) error { return c.drain(visit) }

// Wait blocks until something can be read, but takes nothing: at most
// Config.Timeout. It is for systems whose Alarm cannot watch the socket.
func (c *UDPConn) Wait() error { return c.wait() }

// Dropped is how many datagrams the kernel has dropped because the receive
// buffer was full, as last reported.
func (c *UDPConn) Dropped() uint32 { return c.dropped.Load() }

// Close closes the socket. No other call may be under way, but Wait where no
// Alarm watches: it then returns net.ErrClosed.
func (c *UDPConn) Close() error { return c.close() }

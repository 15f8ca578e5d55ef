package rawsock

import (
	"net/netip"
	"time"
)

// DefaultTimeout is the tick of Wait if Config.Timeout is 0. It bounds how
// long an unread transmit timestamp can wait.
const DefaultTimeout = 100 * time.Millisecond

// A Conn is one ICMP echo socket. Send, Wait and Drain may run at the same
// time, each in one goroutine.
type Conn struct {
	family Family
	kind   Kind
	id     uint16
	ids    uint16
	sock   // what differs by operating system
}

// Open opens a socket. It returns *PermissionError if that needs privileges
// this process lacks, errors.ErrUnsupported (wrapped) for what this operating
// system cannot do, else a wrapped *os.SyscallError.
func Open(cfg Config) (*Conn, error) {
	if cfg.Family == 0 {
		cfg.Family = IPv4
	}
	cfg.IDs = max(cfg.IDs, 1)
	if cfg.IDs&(cfg.IDs-1) != 0 || cfg.ID&(cfg.IDs-1) != 0 {
		return nil, ErrIDs
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MaxSize == 0 {
		cfg.MaxSize = 2048
	}
	return open(cfg)
}

// Kind is Raw or Datagram.
func (c *Conn) Kind() Kind { return c.kind }

// Family is the IP version.
func (c *Conn) Family() Family { return c.family }

// IDs returns the first echo identifier of this socket's packets and how many
// follow it.
func (c *Conn) IDs() (first, n uint16) { return c.id, c.ids }

// KernelClock reports whether both packets and answers are stamped by the kernel.
func (c *Conn) KernelClock() bool { return c.kernelClock() }

// Send sends pkts in order and returns how many the kernel took, and if that
// is not all, why it refused the next one: a wrapped *os.SyscallError for
// CauseOf. It does not allocate unless it fails.
func (c *Conn) Send(pkts []Packet) (n int, err error) { return c.send(pkts) }

// Wait blocks until something can be read, but takes nothing: at most
// Config.Timeout, or until Shutdown, after which it returns net.ErrClosed.
// Nothing having come is not an error.
//
// Waiting and reading are apart so that whoever judges a probe lost can first
// Drain, and be sure that no answer lies unread: a process that was stopped or
// starved must not blame the target.
func (c *Conn) Wait() error { return c.wait() }

// Drain tells visit all there is without blocking, transmit timestamps first,
// so that the stamp of a packet precedes its answer. It stops after some
// thousand messages, that a storm may not hold the caller. It does not
// allocate. Calls must not overlap.
func (c *Conn) Drain(visit func(*Message)) error { return c.drain(visit) }

// Dropped is how many messages the kernel has dropped because the receive
// buffer was full, as last reported (SO_RXQ_OVFL).
func (c *Conn) Dropped() uint32 { return c.dropped.Load() }

// RecvBuf is the size of the receive buffer in bytes as the kernel accounts it.
func (c *Conn) RecvBuf() int { return c.recvBuf() }

// Shutdown makes a blocked Wait return, and all later ones, with
// net.ErrClosed. Close must follow once Wait has returned.
func (c *Conn) Shutdown() { c.shutdown() }

// Close closes the descriptor. No other call may be under way.
func (c *Conn) Close() error { return c.close() }

// RouteTo asks the kernel how it would send to dst from a socket of cfg. It
// sends nothing and needs no privilege.
func RouteTo(dst netip.Addr, cfg Config) (Route, error) { return routeTo(dst, cfg) }

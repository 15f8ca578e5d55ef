package rawsock

import (
	"net/netip"
	"syscall"
	"time"
)

// A Connector makes many TCP connects at a time from one goroutine, for scans:
// a dial of package net costs some fifteen system calls, this one three where
// a port is closed, since the socket that was refused is used again.
//
// Wake alone may be called from another goroutine.
type Connector struct{ connector }

// Connected is what became of one connect.
type Connected struct {
	Slot  int
	Errno syscall.Errno // why it failed; 0 if it stands, or has no answer yet
	Up    bool          // it stands; it was reset since

	Rejected  bool // by an ICMP error, which From tells more of
	Rejection Rejection
	Myself    bool       // it met itself: the kernel picked the very port it asked for (RFC 9293, section 3.5)
	Local     netip.Addr // it left from; without zone; valid after GiveUp
	Handshake Handshake  // RTT is valid if it stands
}

// OpenConnector returns a Connector whose sockets are as cfg says: Source,
// Interface, Mark, TTL and TOS count. It returns errors.ErrUnsupported (wrapped)
// where there is none, else a wrapped *os.SyscallError.
func OpenConnector(cfg Config) (*Connector, error) {
	c := &Connector{}
	if err := c.openConnector(cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// Start begins to connect to to, and returns a number for that: Poll says what
// became of it, unless GiveUp is called before. On error, a wrapped
// *os.SyscallError, nothing was begun.
func (c *Connector) Start(to netip.AddrPort) (slot int, err error) { return c.begin(to) }

// Poll waits for d, or until Wake, or until a connect is over, and tells over
// each that is. It does not wait if d is 0. The Connected is valid while over runs.
func (c *Connector) Poll(d time.Duration, over func(*Connected)) { c.poll(d, over) }

// GiveUp ends a connect for whose answer nobody waits any more. It returns what
// the kernel knows of it, which may be that it was answered just now.
func (c *Connector) GiveUp(slot int) *Connected { return c.giveUp(slot) }

// Wake ends a Poll that waits, or the next one.
func (c *Connector) Wake() { c.rouse() }

// Close closes all sockets.
func (c *Connector) Close() error { return c.shut() }

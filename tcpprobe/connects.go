package tcpprobe

import (
	"container/heap"
	"errors"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// Connects carries the tries of a scan: whole TCP connects, that need no
// privilege, each answered within its Timeout.
type Connects interface {
	Room() int
	Start(tries []crew.Try) int
	Wait(d time.Duration)
	Wake()
	Collect(visit func(to netip.AddrPort, n int, a *crew.Answer))
	Timed() bool
	Close() error
}

// OpenConnects returns what makes up to limit connects at a time (0 for as many
// as is sensible), over sockets as cfg says: Source, Interface, Mark, TTL and TOS
// count. Close must follow.
//
// What surprises: a dial of package net costs so much that it would be most of
// what a scan does. So where the system allows, connects are made by
// rawsock.Connector, some goroutines with many each, and elsewhere dialled.
func OpenConnects(cfg rawsock.Config, limit int) (Connects, error) {
	var all []crew.Juggler
	for range runtime.GOMAXPROCS(0) {
		c, err := rawsock.OpenConnector(cfg)
		if errors.Is(err, errors.ErrUnsupported) {
			return crew.NewPool(limit, rawsock.DialCost, func() crew.Asker { return newDialer(&cfg) }), nil
		}
		if err != nil {
			for _, j := range all {
				j.Close()
			}
			return nil, err
		}
		all = append(all, &connects{cfg: cfg, conn: c})
	}
	return crew.NewJugglers(limit, 1, all...), nil
}

// connects is a crew.Juggler.
type connects struct {
	cfg   rawsock.Config
	conn  *rawsock.Connector
	tries []begun // by slot
	until deadlines
}

// begun is a connect under way.
type begun struct {
	try  crew.Try
	sent time.Time
	open bool
	n    uint32 // of the tries in this slot
}

// deadline is when the n'th try of a slot has had its time.
type deadline struct {
	at   time.Time
	slot int
	n    uint32
}

type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

func (c *connects) Begin(t crew.Try) (a crew.Answer, over bool) {
	dst := t.To.Addr()
	if a, ok := crew.Unable(dst, &c.cfg); ok {
		return a, true
	}
	sent := time.Now()
	slot, err := c.conn.Start(t.To)
	if err != nil {
		return crew.Failure(dst, &c.cfg, err), true
	}
	for slot >= len(c.tries) {
		c.tries = append(c.tries, begun{})
	}
	b := &c.tries[slot]
	b.try, b.sent, b.open = t, sent, true
	b.n++
	heap.Push(&c.until, deadline{sent.Add(t.Timeout), slot, b.n})
	return a, false
}

func (c *connects) Poll(d time.Duration, over func(crew.Try, *crew.Answer)) {
	if len(c.until) > 0 && d > 0 {
		d = min(d, max(time.Until(c.until[0].at), 0))
	}
	c.conn.Poll(d, func(e *rawsock.Connected) { c.tell(e, over) })
	c.expire(over)
}

// expire gives up what had its time.
func (c *connects) expire(over func(crew.Try, *crew.Answer)) {
	for now := time.Now(); len(c.until) > 0; heap.Pop(&c.until) {
		d := c.until[0]
		b := &c.tries[d.slot]
		if !b.open || b.n != d.n {
			continue
		}
		if d.at.After(now) {
			return
		}
		c.tell(c.conn.GiveUp(d.slot), over)
	}
}

// tell tells what became of a connect.
func (c *connects) tell(e *rawsock.Connected, over func(crew.Try, *crew.Answer)) {
	b := &c.tries[e.Slot]
	b.open = false
	a := c.judge(b, e)
	a.Sent = b.sent
	a.Retrans = uint8(min(e.Handshake.Retrans, 255))
	over(b.try, &a)
}

// judge says what e means.
func (c *connects) judge(b *begun, e *rawsock.Connected) crew.Answer {
	dst, took := b.try.To.Addr(), time.Since(b.sent)
	switch {
	case e.Up && e.Myself:
		return from(dst, probe.Refused, probe.RST, took)
	case e.Up:
		a := from(dst, probe.Reply, probe.Connected, took)
		clock(&a, e.Handshake)
		return a
	case e.Rejected:
		if a, ok := crew.Rejected(dst, e.Local, e.Rejection); ok {
			a.RTT = took
			return a
		}
	}
	switch e.Errno {
	case 0, syscall.ETIMEDOUT:
		return silent(dst, e.Local)
	case syscall.ECONNREFUSED:
		return from(dst, probe.Refused, probe.RST, took)
	case syscall.ECONNRESET, syscall.EPIPE:
		// Accepted, and reset before we looked.
		return from(dst, probe.Reply, probe.Connected, took)
	}
	return crew.Failure(dst, &c.cfg, e.Errno)
}

func (c *connects) Wake()        { c.conn.Wake() }
func (c *connects) Close() error { return c.conn.Close() }

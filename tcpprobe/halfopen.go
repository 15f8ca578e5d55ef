package tcpprobe

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"time"

	"netprobe/internal/crew"
	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// HalfOpen asks ports by SYNs of its own, without connecting: Reply with SynAck,
// Refused with RST or PortUnreachable (from the host itself), or what an ICMP
// error says. It is a scan.Transport.
//
// What surprises: it does not know what is under way, so nothing is ever lost
// here, and nothing answered twice: what comes twice is told twice. Each answer
// proves by its cookie that it is one; see rawsock.HalfOpen.
type HalfOpen struct {
	cfg   rawsock.Config
	open  func(rawsock.Config) (synSocket, error)
	lanes [2]*synLane // IPv4, IPv6; nil as long as nobody needs it
	alarm alarm

	failed []failedTry   // to be collected
	again  time.Duration // how long to wait at most before what found no room is tried again
	full   time.Time     // since when nothing has found any; zero if something has
	syns   []rawsock.SYN // being sent
	visit  func(to netip.AddrPort, n int, a *crew.Answer)
	tell   func(*rawsock.SYNAnswer) // h.told, made once
	answer crew.Answer              // being told
	heard  int                      // answers since Collect was called

	start time.Time
	wall  engine.Wall
	read  time.Duration // since start: when all there was had been collected
}

// A synSocket is a *rawsock.HalfOpen.
type synSocket interface {
	Send([]rawsock.SYN) (int, error)
	Drain(func(*rawsock.SYNAnswer)) error
	Dropped() uint32
	RecvBuf() int
	Close() error
}

// An alarm is a *rawsock.Alarm.
type alarm interface {
	Wait(time.Duration) bool
	Wake()
	Close() error
}

// A synLane is the sockets of one family.
type synLane struct {
	synSocket
	err    error // why there are none; synSocket is nil then
	burst  int   // SYNs that may leave before answers are read
	unread int   // that have left since
}

// A failedTry is one that could not leave.
type failedTry struct {
	to  netip.AddrPort
	n   int
	why crew.Answer
}

const (
	// synRoom is how many tries may be under way: none takes memory here.
	synRoom = 1 << 16

	// synRecvBuf is the receive buffer asked for, and answerCost what an answer
	// takes of it at most, as the kernel counts: no more SYNs leave at once than
	// have answers with room, should all come before one is read. Nor more than
	// mostBurst: on this host, SYN, answer and RST wait in one queue of 1000
	// (net.core.netdev_max_backlog).
	synRecvBuf = 4 << 20
	answerCost = 2304
	leastBurst = 64
	mostBurst  = 256
	// synSendBuf is the send buffer asked for: packets to neighbours that do not
	// answer wait in it for seconds.
	synSendBuf = 8 << 20

	// A full queue is tried again after fullWait. If nothing has left for
	// fullGiveUp, the try that comes next has failed, and that is our fault.
	fullWait   = time.Millisecond
	fullGiveUp = 10 * time.Second
)

// OpenHalfOpen opens the sockets for families; those of another are opened when
// the first try needs them. Of cfg Source, Interface, Mark, TTL, TOS, RecvBuf and
// SendBuf count. Opening needs CAP_NET_RAW, what follows does not. A family that
// this host lacks is an error only if no other could be opened: tries then fail
// with it. Errors are *rawsock.PermissionError where privileges are missing, wrap
// errors.ErrUnsupported where the system cannot, else an *os.SyscallError.
func OpenHalfOpen(cfg rawsock.Config, families ...rawsock.Family) (*HalfOpen, error) {
	a, err := rawsock.NewAlarm()
	if err != nil {
		return nil, err
	}
	h := newHalfOpen(cfg, a, func(cfg rawsock.Config) (synSocket, error) {
		s, err := rawsock.OpenHalfOpen(cfg)
		if err != nil {
			return nil, err
		}
		a.WatchHalfOpen(s)
		return s, nil
	})
	var first error
	opened := 0
	for _, f := range families {
		if l := h.lane(f); l.err == nil {
			opened++
		} else if first == nil {
			first = l.err
		}
	}
	if opened == 0 && first != nil {
		return nil, errors.Join(first, h.Close())
	}
	return h, nil
}

func newHalfOpen(cfg rawsock.Config, a alarm, open func(rawsock.Config) (synSocket, error)) *HalfOpen {
	cfg.RecvBuf, cfg.SendBuf = max(cfg.RecvBuf, synRecvBuf), max(cfg.SendBuf, synSendBuf)
	h := &HalfOpen{cfg: cfg, open: open, alarm: a, again: math.MaxInt64, start: time.Now()}
	h.tell = h.told
	return h
}

// lane returns the sockets of a family, which it opens if they are not.
func (h *HalfOpen) lane(f rawsock.Family) *synLane {
	l := &h.lanes[0]
	if f == rawsock.IPv6 {
		l = &h.lanes[1]
	}
	if *l != nil {
		return *l
	}
	cfg := h.cfg
	cfg.Family = f
	*l = &synLane{}
	if src := cfg.Source; src.IsValid() && rawsock.FamilyOf(src) != f {
		(*l).err = fmt.Errorf("source address %v is not IPv%d", src, f)
		return *l
	}
	s, err := h.open(cfg)
	if err != nil {
		(*l).err = err
		return *l
	}
	(*l).synSocket, (*l).burst = s, min(max(leastBurst, s.RecvBuf()/answerCost), mostBurst)
	return *l
}

// Room is how many tries may be under way at once.
func (h *HalfOpen) Room() int { return synRoom }

// Timed reports that tries are not timed: whoever started one gives it up.
func (h *HalfOpen) Timed() bool { return false }

// Start sends a SYN for each try, in order, and returns for how many; fewer if the
// kernel takes no more now, or if so many left that answers should be read first.
// A try that cannot leave counts as started, and Collect tells why.
func (h *HalfOpen) Start(tries []crew.Try) int {
	h.again = math.MaxInt64
	n := 0
	for n < len(tries) {
		k := h.startSome(tries[n:])
		if n += k; k == 0 {
			break
		}
	}
	return n
}

// startSome starts some of the first tries, those of one family. None means that
// there is no room.
func (h *HalfOpen) startSome(tries []crew.Try) int {
	dst := tries[0].To.Addr()
	f := rawsock.FamilyOf(dst)
	l := h.lane(f)
	if l.err != nil {
		return h.fail(&tries[0], h.unable(dst, l.err))
	}
	h.syns = h.syns[:0]
	for _, t := range tries[:min(len(tries), l.burst-l.unread)] {
		if rawsock.FamilyOf(t.To.Addr()) != f {
			break
		}
		h.syns = append(h.syns, rawsock.SYN{To: t.To, Try: t.N})
	}
	if len(h.syns) == 0 {
		h.again = 0
		return 0
	}
	n, err := l.Send(h.syns)
	l.unread += n
	if n > 0 {
		h.full = time.Time{}
	}
	switch {
	case err == nil || n > 0: // the next call finds out again
		return n
	case rawsock.CauseOf(err) != rawsock.Full || h.stuck():
		return h.fail(&tries[0], h.refused(dst, err))
	}
	h.again = fullWait
	return 0
}

// stuck reports whether nothing has found room for fullGiveUp.
func (h *HalfOpen) stuck() bool {
	now := time.Now()
	if h.full.IsZero() {
		h.full = now
	}
	return now.Sub(h.full) >= fullGiveUp
}

// fail remembers why a try has failed, and returns that it is one.
func (h *HalfOpen) fail(t *crew.Try, why crew.Answer) int {
	h.failed = append(h.failed, failedTry{t.To, t.N, why})
	return 1
}

// unable is the answer of a try for which there is no socket.
func (h *HalfOpen) unable(dst netip.Addr, err error) crew.Answer {
	if a, ok := crew.Unable(dst, &h.cfg); ok {
		return a
	}
	if _, ok := errors.AsType[*rawsock.PermissionError](err); ok {
		return unsent(probe.Permission, err)
	}
	return crew.Failure(dst, &h.cfg, err)
}

// refused is the answer of a try whose SYN could not leave.
func (h *HalfOpen) refused(dst netip.Addr, err error) crew.Answer {
	switch {
	case dst.IsMulticast():
		return unsent(probe.NoRoute, &engine.SendError{Why: "a multicast group has no TCP ports", Err: err})
	case dst.IsUnspecified():
		return unsent(probe.NoRoute, &engine.SendError{Why: "no host has the address " + dst.String(), Err: err})
	case errors.Is(err, syscall.EADDRNOTAVAIL) && !h.cfg.Source.IsValid():
		if a, ok := crew.Homeless(dst, netip.IPv6Loopback()); ok {
			return a
		}
	}
	reason, _, why := engine.Via{Target: dst, Socket: h.cfg}.Explain(err, rawsock.SYNSize(rawsock.FamilyOf(dst)))
	return unsent(reason, why)
}

func unsent(why probe.Reason, err error) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Failed, Reason: why, Err: err}}
}

// Wait returns when there may be something to collect, or tries that had no room
// may have some; after Wake; or after d.
func (h *HalfOpen) Wait(d time.Duration) {
	if len(h.failed) == 0 {
		h.alarm.Wait(min(d, h.again))
	}
}

// Wake makes the present Wait return, or the next one. Anybody may call it.
func (h *HalfOpen) Wake() { h.alarm.Wake() }

// Collect tells visit all there is: which try of which port, if that is known, and
// what came. An Answer is valid only as long as visit runs. Its Sent and RTT are
// left 0, as nobody here knows when the try left; At is by the kernel where that
// is to be believed.
func (h *HalfOpen) Collect(visit func(to netip.AddrPort, n int, a *crew.Answer)) {
	for i := range h.failed {
		f := &h.failed[i]
		visit(f.to, f.n, &f.why)
	}
	clear(h.failed)
	h.failed = h.failed[:0]

	now := time.Now()
	h.wall.Observe(now, h.start)
	h.visit, h.heard = visit, 0
	for _, l := range h.lanes {
		if l == nil || l.synSocket == nil {
			continue
		}
		l.unread = 0
		if err := l.Drain(h.tell); err != nil && l.err == nil {
			l.err = err
		}
	}
	h.visit = nil
	if h.heard < synManyHeard {
		h.read = now.Sub(h.start)
	}
}

// synManyHeard is how many answers at once may mean that there are more: see
// rawsock.HalfOpen.Drain.
const synManyHeard = 1000

// told tells what came for a SYN, if that says anything of the port.
func (h *HalfOpen) told(s *rawsock.SYNAnswer) {
	h.heard++
	dst := s.To.Addr()
	ok := true
	a := &h.answer // outlives this call, for all the compiler knows
	switch {
	case s.Event == rawsock.Error:
		*a, ok = crew.Rejected(dst, s.Source, rawsock.Rejection{From: s.From, Type: s.Type, Code: s.Code})
	case s.Reset:
		*a = from(dst, probe.Refused, probe.RST, 0)
	default:
		*a = from(dst, probe.Reply, probe.SynAck, 0)
	}
	if ok {
		a.TTL, a.Size, a.At = s.TTL, s.Size, h.arrival(s)
		h.visit(s.To, s.Try, a)
	}
}

// arrival returns when s was there. The kernel's stamp is believed if it lies
// between what was read before and now.
func (h *HalfOpen) arrival(s *rawsock.SYNAnswer) time.Time {
	at := h.wall.Since(s.Stamp)
	if s.Stamp == 0 || at < h.read-stampSlack || at > s.Arrived.Sub(h.start) {
		return s.Arrived
	}
	return h.start.Add(at)
}

// stampSlack is how long a packet that is stamped may be on its way to the socket.
const stampSlack = time.Millisecond

// Dropped is how many answers the kernel has dropped because the receive buffer
// was full: their ports look silent.
func (h *HalfOpen) Dropped() uint32 {
	var n uint32
	for _, l := range h.lanes {
		if l != nil && l.synSocket != nil {
			n += l.Dropped()
		}
	}
	return n
}

// Close closes all sockets. Only Wake may be called later, in vain.
func (h *HalfOpen) Close() error {
	errs := []error{h.alarm.Close()}
	for _, l := range h.lanes {
		if l != nil && l.synSocket != nil {
			errs = append(errs, l.synSocket.Close())
		}
	}
	return errors.Join(errs...)
}

package dnsprobe

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// A socket is a rawsock.UDPConn; tests have others.
type socket interface {
	Send([]rawsock.UDPPacket) (int, error)
	Drain(func(*rawsock.UDPMessage)) error
	Wait() error
	KernelClock() bool
	Dropped() uint32
	Close() error
}

// An alarm is what the run waits with: a rawsock.Alarm.
type alarm interface {
	Wait(time.Duration) (readable bool)
	Wake()
	Close() error
}

// run is what an Engine is made of. All of it belongs to the goroutine of Probe,
// but for what mu guards.
type run struct {
	cfg     Config
	lanes   map[rawsock.Family]*lane
	alarm   alarm // wakes for sockets, too
	nap     alarm // does not: see rest
	rows    []row // by target ID
	sources map[netip.AddrPort]int
	emit    func(probe.Result)
	opened  time.Time
	start   time.Time
	wall    engine.Wall
	pacer   probe.Pacer

	flying   int // queries without an outcome
	cursor   int // the row whose turn is next
	timeouts deadlines
	ends     deadlines // of late windows
	streams  streams
	counters Counters
	briefs   map[int]*probe.DNS // by rcode
	broken   error
	closed   bool
}

// row is one server.
type row struct {
	target *probe.Target
	server *Server
	lookup time.Duration // of its name; 0 once it is told
	forms  []*form       // by question; nil until needed
	cookie []byte        // to send: the client's own, then with the server's
	next   int           // number of its next query, from 0
	flying int
	seq    uint64
}

// lane is the socket of a family.
type lane struct {
	family  rawsock.Family
	conn    socket
	watched bool // by the alarm
	ids     *ids
	pkts    []rawsock.UDPPacket
	keys    []deadline // whose attempt each of pkts is
	bufs    [][]byte
}

func (e *run) open(cfg Config, families []rawsock.Family) error {
	cfg.Count = max(cfg.Count, 1)
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.Window = cmp.Or(cfg.Window, 100)
	*e = run{cfg: cfg, lanes: map[rawsock.Family]*lane{}, briefs: map[int]*probe.DNS{}, opened: time.Now()}
	a, err := rawsock.NewAlarm()
	if err != nil {
		return err
	}
	e.alarm = a
	n, err := rawsock.NewAlarm()
	if err != nil {
		return errors.Join(err, e.close())
	}
	e.nap = n
	for _, f := range families {
		socket := cfg.Socket
		socket.Family = f
		if src := socket.Source; src.IsValid() && rawsock.FamilyOf(src) != f {
			continue
		}
		socket.RecvBuf = cmp.Or(socket.RecvBuf, recvBuf)
		socket.MaxSize = max(recvSize, cfg.Options.UDPSize)
		conn, err := rawsock.OpenUDP(socket)
		if err != nil {
			if errors.Is(err, errNoFamily) && len(families) > 1 {
				continue // a host without IPv6 can ask by IPv4
			}
			return errors.Join(err, e.close())
		}
		e.lanes[f] = &lane{family: f, conn: conn, watched: a.WatchUDP(conn), ids: newIDs()}
	}
	return nil
}

// recvBuf holds thousands of answers for the moments in which this process does
// not get to run, bytes; recvSize is the longest of which all is read.
const (
	recvBuf  = 8 << 20
	recvSize = 4096
)

// warmUp is how long the kernel may take to switch receive timestamps on, from a
// work queue: a datagram that arrives before has none. 1 to 3 ms were measured.
const warmUp = 4 * time.Millisecond

func (e *run) close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	var errs []error
	for _, l := range e.lanes {
		e.counters.Dropped += uint64(l.conn.Dropped())
		errs = append(errs, l.conn.Close())
	}
	for _, a := range []alarm{e.alarm, e.nap} {
		if a != nil {
			errs = append(errs, a.Close())
		}
	}
	return errors.Join(errs...)
}

func (e *run) setServers(servers []Asked) {
	e.rows = make([]row, len(servers))
	e.sources = map[netip.AddrPort]int{}
	for i := range servers {
		s := &servers[i]
		e.rows[i] = row{
			target: s.Target, server: &s.Server, lookup: s.Lookup,
			forms: make([]*form, len(e.cfg.Questions)), cookie: newCookie(),
		}
		if _, known := e.sources[wire(s.Target.Addr)]; !known && s.Target.Err == nil {
			e.sources[wire(s.Target.Addr)] = i
		}
	}
}

// wire is an address as packets have it: without zone.
func wire(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
}

func (e *run) clock() probe.Clock {
	for _, l := range e.lanes {
		if !l.conn.KernelClock() {
			return probe.User
		}
	}
	if len(e.lanes) == 0 {
		return probe.User
	}
	return probe.Kernel
}

func (e *run) count() Counters { return e.counters }

func (e *run) now() time.Duration { return time.Since(e.start) }

func (e *run) probe(ctx context.Context, emit func(probe.Result)) error {
	if e.clock() == probe.Kernel {
		time.Sleep(warmUp - time.Since(e.opened))
	}
	e.emit = emit
	e.start = time.Now()
	e.wall.Observe(e.start, e.start)
	e.pacer = probe.NewPacer(e.cfg.Rate)
	e.streams.begin(ctx, e)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for _, l := range e.lanes {
		if !l.watched {
			readers.Go(func() { e.read(l, stop) })
		}
	}
	runtime.LockOSThread() // to be moved to another thread after waking up costs time
	defer runtime.UnlockOSThread()
	defer context.AfterFunc(ctx, e.wake)()
	for ctx.Err() == nil && e.broken == nil {
		wake := e.turn()
		if wake == probe.Never && e.flying == 0 {
			break
		}
		e.rest(wake)
		e.drain()
	}
	e.abandon()
	close(stop)
	readers.Wait()
	return e.broken
}

func (e *run) wake() {
	e.alarm.Wake()
	e.nap.Wake()
}

// read wakes the run for what comes in through a socket that its alarm cannot watch.
func (e *run) read(l *lane, stop chan struct{}) {
	for {
		err := l.conn.Wait()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		select {
		case <-stop:
			return
		default:
			e.alarm.Wake()
		}
	}
}

// rest waits until something is to be done. Where many queries leave a second it
// sleeps for several of them and for their answers, which are stamped by the
// kernel and can wait: the time of this process goes further.
func (e *run) rest(wake time.Duration) {
	d := max(0, wake-e.now())
	if e.cfg.Rate >= hurried && d < napTime && e.clock() == probe.Kernel {
		e.nap.Wait(napTime)
		return
	}
	e.alarm.Wait(d)
}

const (
	hurried = 1000 // queries per second
	napTime = 2 * time.Millisecond
)

// turn decides what has run out of time and sends what is due. It returns when it
// wants to be called next, probe.Never if only an answer can bring more to do.
func (e *run) turn() time.Duration {
	t := time.Now()
	e.wall.Observe(t, e.start)
	now := t.Sub(e.start)
	if min(e.timeouts.next(), e.ends.next()) <= now {
		e.drain() // what has arrived by now is not lost, however late we come to look
		e.expire(now)
	}
	e.streams.collect(e)
	wake := e.launch(now)
	e.flush()
	return min(wake, e.timeouts.next(), e.ends.next())
}

// launch sends what is due, a query of each server in turn, and returns when more is.
func (e *run) launch(now time.Duration) time.Duration {
	wake := probe.Never
	idle := 0 // servers in a row that had nothing
	for idle < len(e.rows) {
		if e.flying >= maxFlying {
			return probe.Never
		}
		r := &e.rows[e.cursor]
		due := e.due(r)
		if due > now || r.flying >= e.cfg.Window {
			if r.flying < e.cfg.Window {
				wake = min(wake, due)
			}
			e.advance()
			idle++
			continue
		}
		if next := e.pacer.Next(); next > now {
			return min(wake, next)
		}
		idle = 0
		e.pacer.Take(now)
		e.begin(r, max(due, e.pacedFrom(due)), now)
		e.advance()
	}
	return wake
}

// maxFlying bounds the queries under way: each may take several of the ids there are.
const maxFlying = 1 << 14

func (e *run) advance() {
	if e.cursor++; e.cursor == len(e.rows) {
		e.cursor = 0
	}
}

// pacedFrom is when a query due at due was to leave at the pace of the run.
func (e *run) pacedFrom(due time.Duration) time.Duration {
	if e.cfg.Rate == 0 {
		return due
	}
	return e.pacer.Next() - time.Duration(1e9/e.cfg.Rate)
}

// due is when the next query to r is.
func (e *run) due(r *row) time.Duration {
	n := len(e.cfg.Questions)
	if r.target.Err != nil || r.next >= n*e.cfg.Count {
		return probe.Never
	}
	return time.Duration(r.next/n) * e.cfg.Interval
}

// begin starts the next query to r.
func (e *run) begin(r *row, due, now time.Duration) {
	f := &flight{server: r.target.ID, question: r.next % len(e.cfg.Questions), lag: max(0, now-due)}
	r.next++
	r.seq++
	r.flying++
	e.flying++
	f.seq = r.seq
	if r.server.Transport != UDP {
		e.streams.start(e, f, r.server.Transport)
		return
	}
	e.send(f, now)
}

func (e *run) form(f *flight) *form {
	r := &e.rows[f.server]
	if r.forms[f.question] == nil {
		r.forms[f.question] = newForm(e.cfg.Questions[f.question], &e.cfg.Options)
	}
	return r.forms[f.question]
}

// abandon ends every query without an outcome: past its timeout it is lost, before
// that it is Pending, as nobody knows.
func (e *run) abandon() {
	e.drain()
	e.streams.end(e)
	for _, l := range e.lanes {
		for i := range l.ids.slots {
			f := l.ids.slots[i].flight
			switch {
			case f == nil || f.decided:
			case e.now()-f.attempts[len(f.attempts)-1].sent >= e.cfg.Timeout && e.counted(f) > e.cfg.Retries:
				e.lose(f)
			default:
				e.tell(f, probe.Result{Status: probe.Pending, Reason: probe.Canceled, Sent: f.first})
			}
		}
	}
}

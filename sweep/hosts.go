package sweep

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"netprobe/probe"
)

// maxOpen is with how many names being looked up the next batch is not begun.
const maxOpen = 1 << 16

// Hosts hands out the hosts of a sweep: a probe.Source. Addresses come in the
// order of the sweep, names as soon as they are looked up. Targets of the
// command line are one batch; File comes in batches of 65,536 ranges and names,
// and a pipe also in smaller ones, so that its targets are asked while it is
// read. Each batch has an order of its own.
//
// What is listed twice is asked once, with two exceptions that bound memory: a
// pipe or file repeating small networks and addresses after 131,072 ranges, or
// names after 65,536 names. Nor is an address left out because a name has it.
type Hosts struct {
	cfg    Config
	list   *lister
	digest string
	bad    sync.Mutex    // one call of Config.Bad at a time
	over   chan struct{} // closed when Next says Over for good
	called chan struct{} // a name waits to be looked up; holds one
	room   chan struct{} // a batch left the queue; holds one

	mu      sync.Mutex
	wake    func()
	waiting bool // Next said Later, and wake was not called since
	stopped bool
	ended   bool // over is closed
	reading bool // more batches may come

	queue []*batch // not begun
	walk  walk
	again []uint64 // From's undecided indices in batches not begun, sorted

	names names
	taken uint64
	count count
}

// walk is how far Hosts is with the batch it is in.
type walk struct {
	batch  *batch
	number uint64 // of the batch
	before uint64 // positions in earlier batches

	first, step uint64 // indices this shard has in the batch
	order       probe.Order
	pos, end    uint64   // positions in order
	redo        []uint64 // positions before pos that are taken again
}

// count is what Planned is made of.
type count struct {
	owned uint64 // hosts of this shard, in what was read so far
	more  uint64 // addresses of names beyond their first, and hosts asked again
	less  uint64 // names without address, and hosts asked by an earlier run
}

// New returns the Hosts of a sweep. Errors: a *TooManyError about Specs, an
// error wrapping ErrOtherSweep, or one that says why From cannot be used.
func New(cfg Config) (*Hosts, error) {
	if !cfg.Shard.Valid() {
		return nil, fmt.Errorf("no such shard: %s", cfg.Shard)
	}
	if cfg.Lookup == nil {
		cfg.Lookup = systemLookup(cfg.Parser.Family)
	}
	h := &Hosts{
		cfg: cfg, list: newLister(&cfg), digest: cfg.digest(), reading: cfg.File != nil,
		over: make(chan struct{}), called: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	h.names.running = make(map[uint64]probe.Host)
	args := h.list.batch(false)
	for _, s := range cfg.Specs {
		if err := h.list.add(s, args); err != nil {
			return nil, err
		}
	}
	if err := h.resume(); err != nil {
		return nil, err
	}
	h.push(args)
	return h, nil
}

// Next returns the next host to ask.
func (h *Hosts) Next() (c probe.Candidate, supply probe.Supply) {
	h.mu.Lock()
	supply = h.next(&c)
	h.mu.Unlock()
	return c, supply
}

// Notify has wake called when Next may say something else than Later.
func (h *Hosts) Notify(wake func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake = wake
}

// Stop makes Next say Over from now on, and Run return.
func (h *Hosts) Stop() {
	h.mu.Lock()
	h.stopped = true
	h.end()
	wake := h.wakeup()
	h.mu.Unlock()
	wake()
}

// Taken returns how many hosts were handed out.
func (h *Hosts) Taken() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken
}

// Planned returns how many hosts this run hands out in all: those of its shard
// that From left. It is known once File is read or a Listing was given; before,
// n is what was read so far. It changes as names turn out to have more than one
// address, or none.
func (h *Hosts) Planned() (n uint64, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	owned, known := h.count.owned, !h.reading
	if l := h.cfg.Listing; l != nil {
		_, owned = h.cfg.Shard.Part(0, l.Hosts)
		known = true
	}
	return max(owned+h.count.more, h.count.less) - h.count.less, known
}

// next puts into c what Next returns. h.mu is locked.
func (h *Hosts) next(c *probe.Candidate) probe.Supply {
	if h.stopped {
		return probe.Over
	}
	if h.names.pop(c) {
		h.taken++
		return probe.Ready
	}
	w := &h.walk
	for {
		var pos uint64
		switch last := len(w.redo) - 1; {
		case last >= 0:
			pos, w.redo = w.redo[last], w.redo[:last]
		case w.pos < w.end:
			pos = w.pos
			w.pos++
		default:
			if supply := h.begin(); supply != probe.Ready {
				return supply
			}
			continue
		}
		index := w.first + w.order.At(pos)*w.step
		if addr := w.batch.at(index); addr.IsValid() {
			h.taken++
			c.Index, c.Addr = index, addr
			return probe.Ready
		}
		h.names.queue = append(h.names.queue, w.batch.name(index))
		signal(h.called)
	}
}

// begin begins the next batch. If there is none now it returns what Next says.
func (h *Hosts) begin() probe.Supply {
	open := h.names.open()
	switch {
	case len(h.queue) > 0 && open < maxOpen:
		b := h.queue[0]
		h.queue = slices.Delete(h.queue, 0, 1)
		signal(h.room)
		h.enter(b)
		return probe.Ready
	case len(h.queue) > 0 || h.reading || open > 0:
		h.waiting = true
		return probe.Later
	}
	h.end()
	return probe.Over
}

// enter goes on with b, at the position where an earlier run stopped in it.
func (h *Hosts) enter(b *batch) {
	w := &h.walk
	before, number := w.before+w.end, w.number+1
	if w.batch == nil {
		before, number = 0, 0
	}
	first, n := h.cfg.Shard.Part(b.base, b.hosts)
	// Batches differ in their seeds, so that equal ones are not taken alike.
	const apart = 0xd1342543de82ef95
	*w = walk{
		batch: b, number: number, before: before, first: first, step: h.cfg.Shard.Step(), end: n,
		order: probe.NewOrder(n, h.cfg.Seed+number*apart, h.cfg.Ordered),
	}
	if done := h.cfg.From.position(); done > before {
		w.pos = min(done-before, n)
	}
	h.takeAgain()
}

// takeAgain moves the hosts of the batch begun that are to be asked again into
// its redo, in the batch's order. An index that was never handed out is not
// asked twice.
func (h *Hosts) takeAgain() {
	w := &h.walk
	b := w.batch
	n, _ := slices.BinarySearch(h.again, b.base+b.hosts)
	for _, index := range h.again[:n] {
		if pos := w.order.Index((index - w.first) / w.step); pos < w.pos {
			w.redo = append(w.redo, pos)
		} else {
			h.count.less++
		}
	}
	h.again = h.again[n:]
	slices.Sort(w.redo)
	slices.Reverse(w.redo)
}

// push puts a batch that was read into the queue.
func (h *Hosts) push(b *batch) {
	if b.hosts == 0 {
		return
	}
	h.mu.Lock()
	h.queue = append(h.queue, b)
	_, n := h.cfg.Shard.Part(b.base, b.hosts)
	h.count.owned += n
	wake := h.wakeup()
	h.mu.Unlock()
	wake()
}

// read is called when File was read to its end.
func (h *Hosts) read() {
	h.mu.Lock()
	h.reading = false
	wake := h.wakeup()
	h.mu.Unlock()
	wake()
}

// wakeup returns what to call, with h.mu no longer locked, when Next may have
// something else to say.
func (h *Hosts) wakeup() func() {
	if !h.waiting || h.wake == nil {
		return func() {}
	}
	h.waiting = false
	return h.wake
}

// end closes over, once. h.mu is locked.
func (h *Hosts) end() {
	if !h.ended {
		h.ended = true
		close(h.over)
	}
}

// tell tells Config.Bad.
func (h *Hosts) tell(line int, text string, err error) {
	if h.cfg.Bad == nil {
		return
	}
	h.bad.Lock()
	defer h.bad.Unlock()
	h.cfg.Bad(line, bounded(text), err)
}

// signal puts a token into c, which holds one, unless it is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var errUnsteady = errors.New("a sweep of targets from a pipe cannot be resumed")

package trace

import (
	"time"

	"netprobe/probe"
)

// monitor is the phase that goes on: a round over all hops each interval, spread
// over part of it, until count rounds are over. It follows a path that becomes
// longer or shorter.
type monitor struct {
	look     *look // who answers where; it is kept up to date
	count    int   // rounds, the look's own included; 0 for endless
	interval time.Duration
	wait     time.Duration

	begin time.Duration
	begun bool
	round int // the present one, from 1
	ttl   int // asked next
	open  int
}

// monitorWait is how long an answer is waited for by default: longer than any
// path on Earth takes.
const monitorWait = 2 * time.Second

func newMonitor(cfg *Config, l *look) *monitor {
	m := &monitor{look: l, count: cfg.Count, interval: cfg.Interval, wait: orDefault(cfg.Timeout, monitorWait)}
	return m
}

// end is the highest TTL of a round.
func (m *monitor) end() int {
	if m.look.near > 0 {
		return m.look.near
	}
	return min(int(m.look.max), max(m.look.far, int(m.look.first)-1)+gapLength)
}

func (m *monitor) next(now time.Duration) (o order, wake time.Duration, ok bool) {
	if !m.begun {
		m.begun, m.round, m.ttl = true, 1, int(m.look.first)
		m.begin = m.look.begin + m.interval
	}
	if m.finished() {
		return order{}, probe.Never, false
	}
	due := m.begin + time.Duration(m.round-1)*m.interval + m.offset()
	if due > now {
		return order{}, due, false
	}
	o = order{ttl: uint8(m.ttl), wait: m.wait, tag: m.round}
	if m.ttl++; m.ttl > m.end() {
		m.round, m.ttl = m.round+1, int(m.look.first)
	}
	return o, 0, true
}

// offset spreads the probes of a round over half the interval, at most 10 ms
// apart.
func (m *monitor) offset() time.Duration {
	first := int(m.look.first)
	step := min(m.interval/2/time.Duration(max(m.end()-first+1, 1)), 10*time.Millisecond)
	return time.Duration(m.ttl-first) * step
}

// finished reports whether all rounds were asked.
func (m *monitor) finished() bool { return m.count > 0 && m.round >= m.count }

func (m *monitor) tell(_ time.Duration, a *attempt) {
	switch a.state {
	case inFlight:
		m.open++
	case overdue:
		m.open--
	case answered:
		m.open--
		if a.fromHop() {
			m.lengthen(a)
		}
		m.look.place(a)
	}
}

// lengthen forgets the target's distance when a router answers there: the path
// has become longer.
func (m *monitor) lengthen(a *attempt) {
	if m.look.reached && int(a.ttl) >= m.look.near {
		m.look.near, m.look.reached, m.look.seen, m.look.hint = 0, false, 0, 0
		m.look.far = int(a.ttl)
	}
}

func (m *monitor) done(time.Duration) bool { return m.begun && m.finished() && m.open <= 0 }

package trace

import (
	"errors"
	"fmt"
	"net/netip"

	"netprobe/rawsock"
)

// Open opens the sockets for families (those of cfg.Targets if none is named).
// A family that this host lacks is an error only if no other could be opened.
// Errors are *rawsock.PermissionError where privileges are missing, wrap
// errors.ErrUnsupported where the system cannot, else an *os.SyscallError.
func Open(cfg Config, families ...rawsock.Family) (*Engine, error) {
	a, err := rawsock.NewAlarm()
	if err != nil {
		return nil, err
	}
	e := newEngine(cfg, a)
	e.route = e.routeTo
	e.linkMTU = func(dst netip.Addr) int { return rawsock.LinkMTU(dst, e.via()) }
	if len(families) == 0 {
		families = familiesOf(cfg.Targets)
	}
	if err := e.openLanes(a, families); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// openLanes opens a socket set per family.
func (e *Engine) openLanes(a *rawsock.Alarm, families []rawsock.Family) error {
	var first error
	for _, f := range families {
		c, err := e.openTracer(f)
		if err != nil {
			if first == nil {
				first = err
			}
			e.lanes[f] = &lane{family: f, err: err}
			continue
		}
		a.WatchTracer(c)
		e.kind = c.Kind()
		e.addLane(f, c, c.Flow())
	}
	for _, l := range e.lanes {
		if l.conn != nil {
			return nil
		}
	}
	return first
}

// openTracer opens the sockets of a family, with the flow of the others.
func (e *Engine) openTracer(f rawsock.Family) (*rawsock.Tracer, error) {
	cfg := e.cfg.Socket
	cfg.Family, cfg.Proto = f, e.cfg.Proto
	cfg.RecvBuf, cfg.SendBuf = max(cfg.RecvBuf, recvBuf), max(cfg.SendBuf, sendBuf)
	if s := cfg.Source; s.IsValid() && rawsock.FamilyOf(s) != f {
		return nil, fmt.Errorf("trace: the source address %v is of the other family", s)
	}
	for _, l := range e.lanes {
		if t, ok := l.conn.(*rawsock.Tracer); ok {
			cfg.Flow, cfg.Beside = t.Flow(), t
		}
	}
	return rawsock.OpenTracer(cfg)
}

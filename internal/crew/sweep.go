package crew

import (
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// SweepConfig is one pass over many hosts by sockets of one kind.
type SweepConfig struct {
	Source  probe.Source
	Port    uint16          // of every host
	Retries int             // further tries for a host that stayed silent
	Timeout time.Duration   // of the first try; 0 means 1 s
	Backoff float64         // each further try waits this much longer; 0 means 1.5
	Pace    *probe.Governor // nil for no cap
	Limit   int             // hosts asked at a time; 0 means MaxLimit. What the descriptor limit allows caps both
	Socket  rawsock.Config  // Source, Interface, Mark, TTL and TOS count
}

// A Sweep is a Crew whose Askers open sockets as one Config says.
type Sweep struct {
	*Crew
	socket rawsock.Config
}

// NewSweep returns a Sweep whose tries take each descriptors. Nothing is opened
// before Probe.
func NewSweep(cfg SweepConfig, each int, asker func() Asker) *Sweep {
	return &Sweep{socket: cfg.Socket, Crew: New(Config{
		Source: cfg.Source, Port: cfg.Port, Retries: cfg.Retries, Timeout: cfg.Timeout, Backoff: cfg.Backoff,
		Pace: cfg.Pace, Limit: cfg.Limit, Each: each,
	}, asker)}
}

// Check returns why nothing at all could leave (an interface or source address
// that is not there, no permission for a mark), without sending anything: a
// wrapped *os.SyscallError, or errors.ErrUnsupported.
func (s *Sweep) Check() error { return rawsock.CheckDial(s.socket) }

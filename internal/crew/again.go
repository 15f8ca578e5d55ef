package crew

import (
	"time"

	"netprobe/probe"
)

// A try that this host could not make is made again after shortWait, then twice
// that and so on up to shortMax, at most shortTries times: almost two seconds.
const (
	shortWait  = 10 * time.Millisecond
	shortMax   = 500 * time.Millisecond
	shortTries = 8
)

// Shortage reports whether this host lacked something that it may have again soon.
func Shortage(r *probe.Result) bool {
	switch {
	case r.Status != probe.Failed:
		return false
	case r.Reason == probe.NoDescriptors, r.Reason == probe.NoLocalPort, r.Reason == probe.NoBuffers:
		return true
	}
	return false
}

// Respite is how long to wait after the n'th shortage in a row, from 1, before a
// try is made again; it is not ok to do so after the last.
func Respite(n int) (wait time.Duration, ok bool) {
	return min(shortWait<<(n-1), shortMax), n <= shortTries
}

// learn draws from an answer what the run needs: counts, pace, and how many
// tries at a time this host bears.
func (r *run) learn(h *host, a *Answer, sent time.Duration) {
	now := r.now()
	r.mu.Lock()
	if !a.Sent.IsZero() {
		h.tries++
		r.counters.Sent++
		if h.tries > 1 {
			r.counters.Retried++
		}
	}
	short := r.bears.Learn(&a.Result, r.open)
	if short {
		r.counters.Shortages++
	}
	r.mu.Unlock()
	switch {
	case short && a.Reason == probe.NoBuffers:
		r.cfg.Pace.Choke(now)
	case a.From.IsValid() && !a.Own:
		r.cfg.Pace.Heard(h.Addr, sent, now, h.tries)
	}
}

// again reports whether h is to be asked once more, and says when.
func (r *run) again(h *host, a *Answer) bool {
	switch {
	case Shortage(&a.Result):
		h.shorts++
		wait, ok := Respite(h.shorts)
		if !ok {
			return false
		}
		h.at = r.now() + wait
	case a.Status == probe.Lost:
		if h.tries > r.cfg.Retries {
			return false
		}
		h.at, h.shorts = r.now(), 0
	default:
		return false
	}
	if r.ctx.Err() != nil {
		a.Status, a.Reason, a.Err = probe.Pending, probe.Canceled, nil
		return false
	}
	return true
}

package tcpprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// naming is what became of looking up the name of a target.
type naming struct {
	took  time.Duration
	addrs []netip.Addr
	err   error // that there are none, says a name server
}

// resolve looks up the name of t, if it has one and names are looked up; else
// named is nil. Where that could not be done, which says nothing about the target,
// it returns what to answer instead.
func (d *dialer) resolve(ctx context.Context, t crew.Try) (named *naming, instead *crew.Answer) {
	if d.climb == nil || d.climb.Names == nil || t.Host == "" {
		return nil, nil
	}
	if _, err := netip.ParseAddr(t.Host); err == nil {
		return nil, nil
	}
	r := *d.climb.Names
	r.Timeout = t.Timeout
	began := time.Now()
	a := r.Resolve(ctx, []probe.Host{{Name: t.Host, Lookup: t.Host}})[0]
	named = &naming{took: time.Since(began), addrs: a.Addrs}
	dns, _ := errors.AsType[*net.DNSError](a.Err)
	switch {
	case a.Err == nil:
		return named, nil
	case ctx.Err() != nil:
		return nil, new(canceled())
	case dns != nil && dns.IsNotFound, errors.Is(a.Err, probe.ErrAddress):
		named.err = a.Err
		return named, nil
	}
	return nil, new(unnamed(a.Err))
}

// unnamed is the answer where a name could not be looked up.
func unnamed(err error) crew.Answer {
	return crew.Answer{Result: probe.Result{Status: probe.Failed, Reason: probe.ResolveFailed, Err: err}}
}

// Cost is how many descriptors a try takes that climbs so; c may be nil. A lookup
// asks for both families at once, and opens files before that.
func (c *Climb) Cost() int {
	if c == nil || c.Names == nil {
		return rawsock.DialCost
	}
	return max(rawsock.DialCost, 3)
}

// maxAddrs is how many addresses of a name are told.
const maxAddrs = 8

// complete adds to a, the answer of the address that t asked, what is known of its
// name. took is how long connecting did, whole how long both might.
func (n *naming) complete(a *crew.Answer, t crew.Try, took, whole time.Duration) {
	switch a.Status {
	case probe.Pending, probe.Failed:
		return
	case probe.Lost:
		if n.took > whole/2 { // the target had little time to answer
			*a = unnamed(fmt.Errorf("looking up the name took %s of %s", span(n.took), span(whole)))
			return
		}
	}
	l, ok := a.Detail.(*probe.Layers)
	if !ok {
		l = &probe.Layers{Phases: []probe.Step{{Name: "connect", Took: took}}}
		a.Detail = l
	}
	l.Phases = slices.Insert(l.Phases, 0, probe.Step{Name: "resolve", Took: n.took})
	switch asked := t.To.Addr().WithZone(""); {
	case n.err != nil:
		l.FailedAt, l.Reason, l.Why = "resolve", probe.ResolveFailed, n.err.Error()
		if a.Status == probe.Reply || a.Status == probe.Late {
			a.Reason = l.Reason
		}
	case !slices.ContainsFunc(n.addrs, func(b netip.Addr) bool { return b.WithZone("") == asked }):
		var now []string
		for _, b := range n.addrs[:min(len(n.addrs), maxAddrs)] {
			now = append(now, b.String())
		}
		l.Facts = slices.Insert(l.Facts, 0, probe.Fact{Name: "resolve_changed_to", Value: now, Brief: "the name is now " + now[0]})
	}
}

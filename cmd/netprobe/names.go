package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"netprobe/output"
	"netprobe/probe"
)

// resolver looks names up in the families the flags allow.
func (s *session) resolver() *probe.Resolver {
	return &probe.Resolver{Network: s.flags.network(), Lookup: s.lookup}
}

// unresolvedLine tells people that t has no address; its row stays.
func unresolvedLine(t *probe.Target) string {
	return fmt.Sprintf("%s: %s", output.Escape(t.Name), output.Escape(t.Err.Error()))
}

// follow looks names up again every --re-resolve until ctx ends. A row moves to
// another address only when its name no longer has the present one: a name that
// lists its addresses in turns does not make a row jump. A lookup that fails
// changes nothing.
func (s *session) follow(ctx context.Context, c *course) {
	var hosts []probe.Host
	var rows []*probe.Target // what the run uses now, one per host
	for i, h := range s.hosts {
		if !h.Addr.IsValid() {
			hosts, rows = append(hosts, h), append(rows, c.targets[i])
		}
	}
	ticker := time.NewTicker(s.flags.reResolve)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for i, a := range s.resolver().Resolve(ctx, hosts) {
			next := moved(rows[i], a)
			if next == nil {
				s.log.Debug("looked up again", "target", a.Host.Name, "addrs", a.Addrs, "err", a.Err)
				continue
			}
			s.log.Info("address changed", "target", next.Name, "from", rows[i].Addr.Addr(), "to", next.Addr.Addr())
			rows[i] = next
			c.report.Retarget(next)
			c.eng.Retarget(next)
		}
	}
}

// moved returns what a row becomes after the lookup a, nil if it stays.
func moved(row *probe.Target, a probe.Answer) *probe.Target {
	if a.Err != nil || row.Err == nil && slices.Contains(a.Addrs, row.Addr.Addr()) {
		return nil
	}
	return &probe.Target{ID: row.ID, Name: row.Name, Host: row.Host, Addr: netip.AddrPortFrom(a.Addrs[0], row.Addr.Port())}
}

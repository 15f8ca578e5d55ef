package icmp

import (
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"netprobe/internal/engine"
	"netprobe/probe"
	"netprobe/rawsock"
)

// home knows whether this host has an address to send from. Without one Linux
// sends IPv6 packets all the same, from ::1 or from the address it no longer
// has, and nobody can answer them: that is our failure, not the target's
// silence. What is true for one destination beyond the link holds for all, and
// what is true for one on a link for all of that link.
type home struct {
	socket  rawsock.Config
	missing bool          // there is none for
	dst     netip.Addr    // destinations like this, until
	until   time.Duration // when that wants asking again; probe.Never for a home that is always there
}

// linkLocal stands for all destinations on one link.
var linkLocal = netip.MustParseAddr("fe80::")

// homeCheck is how long an answer of lost holds.
const homeCheck = 100 * time.Millisecond

// lost reports whether there is no address to send to dst from.
func (h *home) lost(dst netip.Addr, now time.Duration) bool {
	if dst.Is4() || dst.IsLoopback() {
		return false
	}
	key := netip.IPv6Unspecified()
	if dst.IsLinkLocalUnicast() {
		key = linkLocal.WithZone(dst.Zone())
	}
	if now >= h.until || h.dst.IsValid() && key != h.dst {
		h.dst = key
		route, err := rawsock.RouteTo(dst, h.socket)
		h.missing = rawsock.CauseOf(err) == rawsock.NoSource || !h.socket.Source.IsValid() && route.Source.IsLoopback()
		h.until = now + homeCheck
	}
	return h.missing
}

// failure is what a probe ends as for want of an address.
func (h *home) failure() probe.Result {
	why := "no IPv6 source address on this host"
	if src := h.socket.Source; src.IsValid() {
		why = fmt.Sprintf("source address %v is not on this host", src)
	}
	return probe.Result{Status: probe.Failed, Reason: probe.NoRoute, Err: &engine.SendError{Why: why, Err: syscall.EADDRNOTAVAIL}}
}

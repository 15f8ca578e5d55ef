// Package rawsock owns every byte of a packet and every raw descriptor: it
// builds and parses ICMP echo messages (RFC 792, RFC 4443), and whole packets
// that ask their way with what routers say of them (RFC 4884, 4950, 5837), or
// whether somebody listens (RFC 9293). It
// opens its own sockets, and brings back what the kernel knows about each packet:
// when it left and when it arrived (SO_TIMESTAMPING), who rejected it (the
// error queue), what was dropped for want of buffer (SO_RXQ_OVFL).
//
//	 0               1               2               3
//	+-------+-------+---------------+---------------+---------------+
//	|     type      |     code      |            checksum           |
//	+---------------+---------------+---------------+---------------+
//	|           identifier          |            sequence           |
//	+---------------+---------------+---------------+---------------+
//	|  payload ...
//	+---------------
//
// The one thing that surprises: on Linux SO_RCVTIMEO has no effect on sockets
// opened by package net, which are non-blocking and owned by the poller. So
// these are opened here, blocking, and a goroutine in Wait holds an OS
// thread. SO_RCVTIMEO is its tick; Shutdown wakes it at once. The several
// sockets of a Tracer are waited for with an Alarm.
//
// It is the only package with files for one operating system. Every exported
// name stands in an untagged file.
package rawsock

import (
	"net"
	"net/netip"
	"time"
)

// Packet is one ICMP message to send.
type Packet struct {
	To  netip.Addr // destination, unmapped; of the Conn's family
	Msg []byte     // the whole ICMP message; IPv6 checksums are the kernel's
	Key uint32     // comes back with this packet's transmit timestamp
}

// Event says what a Message is about.
type Event uint8

const (
	Echo     Event = iota // an echo reply
	Error                 // an ICMP error about an echo request of ours
	Redirect              // a redirect about an echo request of ours: neither an answer nor an error
	Stamp                 // a packet of ours left: Key and Stamp are valid
)

// Message is one thing a socket told us. Its byte slices are valid only until
// the next Drain.
type Message struct {
	Event      Event
	Type, Code uint8
	TTL        uint8 // as the message arrived; 0 if unknown
	BadSum     bool  // the ICMP checksum is wrong (raw IPv4 only: elsewhere the kernel has dropped it)
	ID, Seq    uint16
	Key        uint32     // of the packet (Stamp)
	MTU        int        // next-hop MTU (frag-needed, packet-too-big); 0 if not named
	Size       int        // of the ICMP message in bytes, also of the part that did not fit the buffer (Linux does not tell that on datagram sockets)
	From       netip.Addr // who sent it, without zone
	Dst        netip.Addr // where the quoted packet was bound for, without zone (Error, Redirect)
	Payload    []byte     // after the echo header; of the quoted packet for Error and Redirect, and then often cut short

	Stamp   int64     // kernel software timestamp, ns since 1970; 0 if there is none
	Arrived time.Time // when this process took its batch out of the socket
}

// Route is how the kernel would send to a destination.
type Route struct {
	Source netip.Addr // address packets leave from
	MTU    int        // path MTU the kernel knows, at first that of the interface; 0 if it does not tell
}

// LinkMTU returns the MTU of the interface through which packets to dst leave
// from a socket of cfg; 0 if unknown.
func LinkMTU(dst netip.Addr, cfg Config) int {
	if cfg.Interface != "" {
		i, err := net.InterfaceByName(cfg.Interface)
		if err != nil {
			return 0
		}
		return i.MTU
	}
	route, err := RouteTo(dst, cfg)
	if err != nil {
		return 0
	}
	all, _ := net.Interfaces()
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err == nil && p.Addr().Unmap() == route.Source.WithZone("") {
				return i.MTU
			}
		}
	}
	return 0
}

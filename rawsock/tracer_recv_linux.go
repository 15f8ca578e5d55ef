package rawsock

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (t *Tracer) drain(visit func(*Reply)) error {
	if t.kind == Raw {
		return t.drainRaw(visit)
	}
	return t.drainDatagram(visit)
}

// drainRaw takes answers out of the receive queues a batch at a time, and before
// it tells them reads the error queue of the sender: the departure of an
// answered probe is then in it.
func (t *Tracer) drainRaw(visit func(*Reply)) error {
	o := (*t.outlets.Load())[0]
	for _, in := range t.inlets {
		for range drainBatches {
			n, errno := t.in.read(in.fd, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
			now := time.Now()
			if err := fatal("recvmmsg", errno); err != nil {
				return err
			}
			t.drainErrors(o, now, visit)
			for i := range n {
				if t.readRaw(in, i, now) {
					visit(&t.reply)
				}
			}
			if t.emptied(n, errno) {
				break
			}
		}
	}
	return nil
}

// emptied reports whether a read that brought n messages has left none. An error
// takes the place of a message once; only "again" means empty.
func (t *Tracer) emptied(n int, errno unix.Errno) bool {
	return n < len(t.in.hdrs) && (errno == 0 || errno == unix.EAGAIN)
}

// drainDatagram does the same for each flow's socket, which has both queues.
func (t *Tracer) drainDatagram(visit func(*Reply)) error {
	for _, o := range *t.outlets.Load() {
		for range drainBatches {
			n, errno := t.in.read(o.fd, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
			now := time.Now()
			if err := fatal("recvmmsg", errno); err != nil {
				return err
			}
			t.drainErrors(o, now, visit)
			for i := range n {
				if t.readDatagram(o, i, now) {
					visit(&t.reply)
				}
			}
			if t.emptied(n, errno) {
				break
			}
		}
		if t.proto == ICMP {
			if n, ok := dropsOf(o.fd); ok {
				o.dropped.Store(n)
			}
		}
	}
	return nil
}

// drainErrors reads the error queue of o until it is empty.
func (t *Tracer) drainErrors(o *flowOutlet, now time.Time, visit func(*Reply)) {
	for range drainBatches {
		n, errno := t.err.read(o.fd, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		for i := range n {
			if t.readError(o, i, now) {
				visit(&t.reply)
			}
		}
		if n < len(t.err.hdrs) && errno != unix.EINTR {
			return
		}
	}
}

// arrived reads what the control messages of the i'th message say.
func (t *Tracer) arrived(i int, now time.Time, dropped *atomic.Uint32) (dst netip.Addr) {
	r := &t.reply
	r.reset(t.proto)
	r.Arrived = now
	for cm := range t.in.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			r.Stamp = cm.stamp()
		case cm.is(unix.SOL_SOCKET, unix.SO_RXQ_OVFL):
			dropped.Store(cm.uint32())
		case cm.is(unix.SOL_IP, unix.IP_TTL), cm.is(unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
			r.TTL = uint8(cm.uint32())
		case cm.is(unix.SOL_IPV6, unix.IPV6_PKTINFO) && len(cm.data) >= 16:
			dst = netip.AddrFrom16([16]byte(cm.data))
		}
	}
	return dst
}

// readRaw parses the i'th message of a raw socket.
func (t *Tracer) readRaw(in *inlet, i int, now time.Time) bool {
	r := &t.reply
	dst := t.arrived(i, now, &in.dropped)
	b := t.in.data(i)
	whole := int(t.in.hdrs[i].n)
	h := header{proto: in.proto, src: readAddr(&t.in.names[i]), dst: dst, ttl: r.TTL}
	body := b
	if t.family == IPv4 {
		var ok bool
		if h, body, ok = parsePacket(b); !ok {
			return false
		}
		whole = max(whole, h.total) - h.len
	}
	r.From, r.TTL, r.Size = h.src, h.ttl, max(len(body), whole)
	if len(body) == whole && t.damaged(&h, body) {
		return false
	}
	return r.parse(t.family, h.proto, body)
}

// damaged reports whether the kernel would drop a packet for its checksum: raw
// sockets get it before it looks, but for ICMPv6.
func (t *Tracer) damaged(h *header, body []byte) bool {
	switch h.proto {
	case protoICMP6:
		return false
	case protoICMP4:
		return !h.sumAddsUp(t.family, body)
	}
	return !h.sumAddsUp(t.family, body) && !h.unfinishedSum(body)
}

// readDatagram parses the i'th message of a datagram socket.
func (t *Tracer) readDatagram(o *flowOutlet, i int, now time.Time) bool {
	r := &t.reply
	t.arrived(i, now, &o.dropped)
	r.From = readAddr(&t.in.names[i])
	b := t.in.data(i)
	r.Size = max(len(b), int(t.in.hdrs[i].n))
	if t.proto == ICMP {
		return r.parseICMP(t.family, b)
	}
	r.Event, r.Flow, r.Port = Echo, o.flow, readPort(&t.in.names[i])
	r.Size += udpHeaderLen
	r.setCookie(b)
	return true
}

// readPort reads the port in sa, at the same place in either family.
func readPort(sa *sockaddr) uint16 { return bigEndian(sa.Port) }

// readError parses the i'th message of the error queue of o: a departure's
// timestamp, or an ICMP error with what it quotes.
func (t *Tracer) readError(o *flowOutlet, i int, now time.Time) bool {
	r, in := &t.reply, &t.err
	r.reset(t.proto)
	r.Arrived = now
	var ee *unix.SockExtendedErr
	for cm := range in.controls(i) {
		switch {
		case cm.is(unix.SOL_SOCKET, unix.SCM_TIMESTAMPING):
			r.Stamp = cm.stamp()
		case cm.is(unix.SOL_IP, unix.IP_TTL), cm.is(unix.SOL_IPV6, unix.IPV6_HOPLIMIT):
			r.TTL = uint8(cm.uint32())
		case cm.is(unix.SOL_IP, unix.IP_RECVERR), cm.is(unix.SOL_IPV6, unix.IPV6_RECVERR):
			ee = cm.extendedErr()
			r.From = cm.offender()
		}
	}
	if ee == nil {
		return false
	}
	switch ee.Origin {
	case unix.SO_EE_ORIGIN_TIMESTAMPING:
		r.Event, r.Key = Stamp, o.out.keyOf(ee.Data, r.Stamp)
		return r.Stamp != 0
	case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
		r.Quoted.Dst = readAddr(&in.names[i])
		r.Flow = o.flow
		if t.proto == UDP {
			r.Port = readPort(&in.names[i])
		}
		return t.readICMPError(ee, in.data(i), int(in.hdrs[i].n))
	}
	return false
}

// readICMPError reads an ICMP error about a packet of ours: the kernel has
// taken off what stands before the echo header, or with UDP before the payload.
func (t *Tracer) readICMPError(ee *unix.SockExtendedErr, b []byte, whole int) bool {
	r := &t.reply
	r.Type, r.Code, r.Event = ee.Type, ee.Code, eventOf(t.family, ee.Type)
	if r.Event != Error && r.Event != Redirect {
		return false
	}
	if ee.Errno == uint32(unix.EMSGSIZE) {
		r.MTU = clampMTU(ee.Info)
	}
	stripped := headerLen4
	if t.family == IPv6 {
		stripped = headerLen6
	}
	if t.proto == UDP {
		stripped += udpHeaderLen
	}
	r.Size = EchoHeaderLen + stripped + whole
	quote, ext := splitErrorQueue(ee, b, stripped)
	r.parseExtension(ext)
	if t.proto == UDP {
		r.setCookie(quote)
		return true
	}
	if len(quote) < EchoHeaderLen || quote[0] != echoType(t.family) {
		return false
	}
	r.Quoted.Sum, r.Quoted.HasSum = binary.BigEndian.Uint16(quote[2:]), true
	r.setEcho(quote)
	return true
}

// splitErrorQueue is splitExtension for a quote whose first octets, as many as
// stripped if the quoted header has no options, are gone. Where the quote ends
// the kernel tells if it is said in the message (struct sock_ee_data_rfc4884,
// in the place of ee_data).
func splitErrorQueue(ee *unix.SockExtendedErr, b []byte, stripped int) (quote, ext []byte) {
	n := int(*(*uint16)(unsafe.Pointer(&ee.Data)))
	if n > 0 {
		if n <= len(b) && extensionValid(b[n:], true) {
			return b[:n], b[n:]
		}
		return b, nil
	}
	if n = oldQuote - stripped; n < len(b) && extensionValid(b[n:], false) {
		return b[:n], b[n:]
	}
	return b, nil
}

package rawsock

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// buildBytes bounds the packets built for one system call.
	buildBytes = 128 << 10
	// maxSources is how many destinations' own addresses are remembered.
	maxSources = 4096
)

func (t *Tracer) send(ps []Probe) (int, error) {
	sent := 0
	for sent < len(ps) {
		n, err := t.sendSome(ps[sent:])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// sendSome sends as many of the first of ps as go in one call: through one
// socket. It sends one at least, or says why not.
func (t *Tracer) sendSome(ps []Probe) (int, error) {
	o, err := t.outletOf(ps[0].Flow)
	if err != nil {
		return 0, err
	}
	t.build = t.build[:0]
	n := 0
	for n < len(ps) && n < sendBatch && len(t.build) < buildBytes && t.together(&ps[0], &ps[n]) {
		if err = t.put(o, n, &ps[n]); err != nil {
			break
		}
		n++
	}
	if n == 0 {
		return 0, err
	}
	if t.plain {
		if err := o.sameHeader(&ps[0]); err != nil {
			return 0, err
		}
	}
	// What stopped the batch is found again, and reported, by the next one.
	done, err := o.flush(n)
	if err != nil {
		clear(t.sources) // they may have changed with the routes
	}
	return done, err
}

// together reports whether two probes can leave in one call.
func (t *Tracer) together(p, q *Probe) bool {
	return t.kind == Raw || p.Flow == q.Flow && (!t.plain || p.TTL == q.TTL && p.TOS == q.TOS)
}

// pingControls reports whether datagram ICMPv6 sockets heed control messages
// (Linux 5.18).
var pingControls = sync.OnceValue(func() bool { return kernelAtLeast(5, 18) })

// sameHeader tells the socket with which hop limit and traffic class the next
// packets leave.
func (o *flowOutlet) sameHeader(p *Probe) error {
	var opts []option
	if o.ttl != int(p.TTL) {
		opts = append(opts, option{"IPV6_UNICAST_HOPS", unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, int(p.TTL)})
	}
	if o.tos != int(p.TOS) {
		opts = append(opts, option{"IPV6_TCLASS", unix.SOL_IPV6, unix.IPV6_TCLASS, int(p.TOS)})
	}
	err := setOptions(o.fd, opts)
	if err == nil {
		o.ttl, o.tos = int(p.TTL), int(p.TOS)
	}
	return err
}

// outletOf returns the socket for a flow, and opens that on a Datagram Tracer.
func (t *Tracer) outletOf(flow uint16) (*flowOutlet, error) {
	all := *t.outlets.Load()
	if t.kind == Raw {
		if flow < t.flow || int(flow) >= int(t.flow)+MaxFlows {
			return nil, ErrFlows
		}
		return all[0], nil
	}
	for _, o := range all {
		if o.flow == flow {
			return o, nil
		}
	}
	if flow == 0 {
		return nil, ErrFlows
	}
	return t.addOutlet(flow)
}

// put makes p the i'th packet to send through o.
func (t *Tracer) put(o *flowOutlet, i int, p *Probe) error {
	q := *p
	if !q.From.IsValid() {
		from, err := t.source(q.To)
		if err != nil {
			return err
		}
		q.From = from
	}
	if t.kind == Raw {
		if _, err := t.outletOf(q.Flow); err != nil {
			return err
		}
	}
	// Where the buffer grows, packets before this one stay where they were.
	at := len(t.build)
	t.build = AppendProbe(t.build, t.proto, &q)
	msg := t.build[at:]
	if t.kind == Raw {
		return o.put(i, q.To, msg, q.Key)
	}
	if err := o.put(i, q.To, t.datagram(msg), q.Key); err != nil {
		return err
	}
	t.header(o, i, &q)
	return nil
}

// source is where the route to dst leaves from.
func (t *Tracer) source(dst netip.Addr) (netip.Addr, error) {
	if a, ok := t.sources[dst]; ok {
		return a, nil
	}
	zone, err := zoneID(dst)
	if err != nil {
		return netip.Addr{}, err
	}
	from, err := t.routes.source(dst, zone)
	if err != nil {
		return netip.Addr{}, err
	}
	if t.sources == nil || len(t.sources) >= maxSources {
		t.sources = map[netip.Addr]netip.Addr{}
	}
	t.sources[dst] = from
	return from, nil
}

// datagram is the part of a packet that a datagram socket does not write
// itself. The checksum it computes comes out the same.
func (t *Tracer) datagram(msg []byte) []byte {
	head := headerLen4
	if t.family == IPv6 {
		head = headerLen6
	}
	if t.proto == UDP {
		head += udpHeaderLen
	}
	return msg[head:]
}

// header tells the kernel what to write into the IP header of the i'th packet.
func (t *Tracer) header(o *flowOutlet, i int, p *Probe) {
	s := &o.out
	sa := &s.names[i]
	if t.family == IPv4 {
		s.control(i, unix.SOL_IP, unix.IP_TTL, uint32(p.TTL))
		s.control(i, unix.SOL_IP, unix.IP_TOS, uint32(p.TOS))
		if t.proto == UDP {
			(*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Port = bigEndian(p.Port)
		}
		return
	}
	if !t.plain {
		s.control(i, unix.SOL_IPV6, unix.IPV6_HOPLIMIT, uint32(p.TTL))
		s.control(i, unix.SOL_IPV6, unix.IPV6_TCLASS, uint32(p.TOS))
	}
	var label [4]byte
	binary.BigEndian.PutUint32(label[:], uint32(p.Flow))
	sa.Flowinfo = binary.NativeEndian.Uint32(label[:])
	if t.proto == UDP {
		sa.Port = bigEndian(p.Port)
	}
}

// bigEndian is v in the order of the network.
func bigEndian(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

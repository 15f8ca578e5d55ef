package rawsock

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// defaultTTL is the system's for packets of this family.
func (t *Tracer) defaultTTL() int {
	level, name := unix.SOL_IP, unix.IP_TTL
	if t.family == IPv6 {
		level, name = unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS
	}
	n, err := unix.GetsockoptInt((*t.outlets.Load())[0].fd, level, name)
	if err != nil || n < 1 || n > 255 {
		return 64 // what RFC 1700 recommends
	}
	return n
}

func (t *Tracer) forgetSources() { clear(t.sources) }

// recvBuf is the receive buffer for answers, bytes.
func (t *Tracer) recvBuf() int {
	n, _ := unix.GetsockoptInt(t.inlets[len(t.inlets)-1].fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return n
}

// halfOpenFilter keeps out of a raw socket what cannot be about a SYN from one of
// the n ports from first on: it passes SYN-ACKs and RSTs to these, and ICMP errors
// that quote a TCP segment from one of them. X is as in tracerFilter.
func halfOpenFilter(f Family, heard uint8, first uint16, n int) []bpf.Instruction {
	switch {
	case heard == uint8(TCP):
		return append(synFlags(f), portFrom(2, first, n)...)
	case f == IPv4:
		prog := []bpf.Instruction{bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 0, Size: 1}}
		prog = append(prog, oneOf([]uint32{typeUnreachable4, typeExceeded4, typeParameter4})...)
		prog = append(prog, bpf.LoadIndirect{Off: EchoHeaderLen + 9, Size: 1})
		prog = append(prog, oneOf([]uint32{uint32(TCP)})...)
		prog = append(prog, behindQuoted4...)
		return append(prog, portFrom(0, first, n)...)
	}
	prog := []bpf.Instruction{bpf.LoadAbsolute{Off: 0, Size: 1}}
	prog = append(prog, oneOf([]uint32{typeUnreachable6, typeTooBig6, typeExceeded6, typeParameter6})...)
	prog = append(prog,
		bpf.LoadConstant{Dst: bpf.RegX, Val: EchoHeaderLen + headerLen6},
		bpf.LoadAbsolute{Off: EchoHeaderLen + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(TCP), SkipTrue: 7})
	// What stands behind an extension header is not looked for.
	prog = append(prog, oneOf([]uint32{extHopByHop, extRouting, extFragment, extAuthentication, extDestination})...)
	prog = append(prog, bpf.RetConstant{Val: 1<<18 - 1})
	return append(prog, portFrom(0, first, n)...)
}

// synFlags goes on with the segments that answer a SYN.
func synFlags(f Family) []bpf.Instruction {
	head := bpf.Instruction(bpf.LoadMemShift{Off: 0})
	if f == IPv6 {
		head = bpf.LoadConstant{Dst: bpf.RegX, Val: 0}
	}
	return []bpf.Instruction{
		head,
		bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: flagRST, SkipTrue: 3},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: flagSYN | flagACK},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: flagSYN | flagACK, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// halve has two processors send, where there are two.
func (h *HalfOpen) halve() { (*h.t.outlets.Load())[0].halve() }

package rawsock

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filter keeps other people's ICMP out of a raw socket, which otherwise sees
// every ICMP packet of the host: only echo replies with one of our identifiers
// wake us, and on IPv4 redirects about our packets. Errors come through the
// error queue, which no filter touches.
func (c *Conn) filter() error {
	if c.family == IPv6 {
		if err := passICMPv6(c.fd, typeEchoReply6); err != nil {
			return err
		}
	}
	return attach(c.fd, filterProgram(c.family, c.id, c.ids))
}

// passICMPv6 makes a raw socket hear only these types.
func passICMPv6(fd int, types ...uint8) error {
	// A set bit blocks its type (RFC 3542, section 3.2).
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	for _, t := range types {
		f.Data[t>>5] &^= 1 << (t & 31)
	}
	return opError("setsockopt ICMP6_FILTER", unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f))
}

// attach makes fd receive only what the program lets through.
func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return opError("assemble filter", err)
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
	return opError("setsockopt SO_ATTACH_FILTER", err)
}

// filterProgram is classic BPF over what a raw socket hands over: the whole
// packet for IPv4, the ICMPv6 message for IPv6.
func filterProgram(f Family, id, ids uint16) []bpf.Instruction {
	block := uint32(^(ids - 1))
	// The last four instructions of both: is the identifier in A one of ours?
	ours := []bpf.Instruction{
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: block},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(id), SkipFalse: 1},
		bpf.RetConstant{Val: 1<<18 - 1},
		bpf.RetConstant{Val: 0},
	}
	if f == IPv6 {
		return append([]bpf.Instruction{
			bpf.LoadAbsolute{Off: 0, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeEchoReply6, SkipTrue: 4},
			bpf.LoadAbsolute{Off: 4, Size: 2},
		}, ours...)
	}
	prog := append([]bpf.Instruction{
		bpf.LoadMemShift{Off: 0},          // X = length of the IP header
		bpf.LoadIndirect{Off: 0, Size: 1}, // type
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeEchoReply4, SkipTrue: 9},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeRedirect4, SkipTrue: 12},
		// A redirect.
		bpf.LoadIndirect{Off: 8 + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protoICMP4, SkipTrue: 10},
	}, behindQuoted4...)
	return append(append(prog, bpf.LoadIndirect{Off: 4, Size: 2}), ours...) // identifier
}

// behindQuoted4 moves X, where an ICMP message begins, to what follows the IPv4
// header that it quotes: by 8 and by the length of that header.
var behindQuoted4 = []bpf.Instruction{
	bpf.LoadIndirect{Off: 8, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
	bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2},
	bpf.ALUOpX{Op: bpf.ALUOpAdd},
	bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 8},
	bpf.TAX{},
}

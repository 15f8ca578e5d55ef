package rawsock

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Socket options that x/sys does not name (include/uapi/linux/in.h, in6.h;
// of Linux 5.9 and before).
const (
	ipRecvErrRFC4884   = 26
	ipv6RecvErrRFC4884 = 31
	ipv6FlowinfoSend   = 33
)

func setOptions(fd int, opts []option) error {
	for _, o := range opts {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return opError("setsockopt "+o.what, err)
		}
	}
	return nil
}

// outletOptions are those of every socket that sends. One makes a full device
// queue an ENOBUFS instead of a silent drop (raw(7), net/ipv4/raw.c), and brings
// errors through the error queue. The other has packets leave whole, whatever
// the kernel has learned of the path: even a raw socket's are held back
// otherwise (ip_skb_dst_mtu in include/net/ip.h).
func outletOptions(f Family) []option {
	if f == IPv6 {
		return []option{
			{"IPV6_RECVERR", unix.SOL_IPV6, unix.IPV6_RECVERR, 1},
			{"IPV6_MTU_DISCOVER", unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
		}
	}
	return []option{
		{"IP_RECVERR", unix.SOL_IP, unix.IP_RECVERR, 1},
		{"IP_MTU_DISCOVER", unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
	}
}

// inletOptions brings what a raw socket does not show of the IP header.
func inletOptions(f Family) []option {
	opts := []option{{"SO_RXQ_OVFL", unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1}}
	if f == IPv6 {
		opts = append(opts,
			option{"IPV6_RECVHOPLIMIT", unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			option{"IPV6_RECVPKTINFO", unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1})
	}
	return opts
}

// datagramOptions are those of a socket that sends, and hears answers and errors.
func datagramOptions(f Family) []option {
	opts := append(outletOptions(f), option{"SO_RXQ_OVFL", unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1})
	if f == IPv6 {
		return append(opts,
			option{"IPV6_RECVHOPLIMIT", unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			option{"IPV6_DONTFRAG", unix.SOL_IPV6, unix.IPV6_DONTFRAG, 1},
			option{"IPV6_AUTOFLOWLABEL", unix.SOL_IPV6, unix.IPV6_AUTOFLOWLABEL, 0},
			option{"IPV6_FLOWINFO_SEND", unix.SOL_IPV6, ipv6FlowinfoSend, 1})
	}
	return append(opts, option{"IP_RECVTTL", unix.SOL_IP, unix.IP_RECVTTL, 1})
}

// extensionOption tells where in a quote the extensions begin. Kernels before
// Linux 5.9 do not.
func extensionOption(f Family) option {
	if f == IPv6 {
		return option{"IPV6_RECVERR_RFC4884", unix.SOL_IPV6, ipv6RecvErrRFC4884, 1}
	}
	return option{"IP_RECVERR_RFC4884", unix.SOL_IP, ipRecvErrRFC4884, 1}
}

// hearNothing is the filter of a socket that only holds a port.
func hearNothing() []bpf.Instruction { return []bpf.Instruction{bpf.RetConstant{Val: 0}} }

// tracerFilter keeps other people's packets out of a raw socket for packets
// with the protocol heard: of answers only those to our flows pass, of ICMP
// errors those about packets of the protocol probed. Errors are not sorted by
// flow, because a translator may have changed it.
//
// A raw IPv4 socket sees whole packets, X octets of header first; an IPv6 one
// what follows the header, so that X is 0.
func tracerFilter(f Family, heard uint8, probed Proto, flow uint16) []bpf.Instruction {
	head := []bpf.Instruction{bpf.LoadMemShift{Off: 0}}
	if f == IPv6 {
		head = []bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegX, Val: 0}}
	}
	if heard != ICMP.number(f) {
		return append(head, portFrom(2, flow, MaxFlows)...)
	}
	return append(head, icmpFilter(f, probed, flow)...)
}

// portFrom passes packets whose 16 bits at X+off are one of the n numbers from
// first on.
func portFrom(off uint32, first uint16, n int) []bpf.Instruction {
	last := min(uint32(first)+uint32(n)-1, 65535)
	return []bpf.Instruction{
		bpf.LoadIndirect{Off: off, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: uint32(first), SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: last, SkipTrue: 1},
		bpf.RetConstant{Val: 1<<18 - 1},
		bpf.RetConstant{Val: 0},
	}
}

// icmpFilter passes errors that quote the protocol probed, and redirects, and
// echo replies to our flows if that is ICMP.
func icmpFilter(f Family, probed Proto, flow uint16) []bpf.Instruction {
	reply, protoAt := uint32(typeEchoReply4), uint32(EchoHeaderLen+9)
	errors := []uint32{typeUnreachable4, typeExceeded4, typeParameter4, typeRedirect4}
	protos := []uint32{uint32(probed.number(f))}
	if f == IPv6 {
		reply, protoAt = typeEchoReply6, EchoHeaderLen+6
		errors = []uint32{typeUnreachable6, typeTooBig6, typeExceeded6, typeParameter6}
		// What stands behind an extension header is not looked for.
		protos = append(protos, extHopByHop, extRouting, extFragment, extAuthentication, extDestination)
	}
	echo := []bpf.Instruction{bpf.RetConstant{Val: 0}}
	if probed == ICMP {
		echo = portFrom(4, flow, MaxFlows)
	}
	prog := []bpf.Instruction{
		bpf.LoadIndirect{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: reply, SkipTrue: uint8(len(echo))},
	}
	prog = append(prog, echo...)
	prog = append(prog, oneOf(errors)...)
	prog = append(prog, bpf.LoadIndirect{Off: protoAt, Size: 1})
	prog = append(prog, oneOf(protos)...)
	return append(prog, bpf.RetConstant{Val: 1<<18 - 1})
}

// oneOf goes on if A is one of the values, else drops the packet.
func oneOf(values []uint32) []bpf.Instruction {
	var prog []bpf.Instruction
	for i, v := range values {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - i)})
	}
	return append(prog, bpf.RetConstant{Val: 0})
}

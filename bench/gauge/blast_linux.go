package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	blastBatch  = 64                     // packets in a system call
	blastRoom   = 128                    // bytes for an answer, IPv4 header and all
	blastBuffer = 16 << 20               // bytes of the socket's buffers
	blastTick   = 200 * time.Millisecond // longest wait in one receive
	blastQuiet  = time.Second            // silence after which no answer is expected any more
)

// mmsghdr is struct mmsghdr (recvmmsg(2)).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// slot is one message of a batch and what it points to. In both families the
// hosts of a span differ in the last four bytes of their addresses alone.
type slot struct {
	iov  unix.Iovec
	name unix.RawSockaddrInet6 // of either family: it is the larger one
	host []byte                // the last four bytes of the host's address
}

// blaster sends to the hosts of a span and marks those that answer.
type blaster struct {
	fd      int
	hosts   span
	first   uint32 // last four bytes of the first host
	size    uint64 // number of hosts
	out, in [blastBatch]mmsghdr
	to      [blastBatch]slot
	from    [blastBatch]slot
	seen    bitmap
	found   uint64
	began   time.Time
	last    time.Time // when an answer last came
	ends    time.Time
}

// blast asks every host once.
func blast(plan blastPlan) (blasted, error) {
	b := &blaster{hosts: plan.hosts, first: tail(plan.hosts.first), size: plan.hosts.size()}
	b.seen = newBitmap(b.size)
	if err := b.open(); err != nil {
		return blasted{}, err
	}
	defer unix.Close(b.fd)
	b.prepare()
	before, err := cpuTime()
	if err != nil {
		return blasted{}, err
	}
	b.began = time.Now()
	b.last, b.ends = b.began, b.began.Add(plan.limit)
	if plan.threads == 1 {
		err = b.alternate()
	} else {
		err = b.both()
	}
	after, err2 := cpuTime()
	return blasted{found: b.found, duration: b.last.Sub(b.began), cpu: after - before}, errors.Join(err, err2)
}

// open opens a raw socket that receives echo replies alone.
func (b *blaster) open() (err error) {
	tick := unix.NsecToTimeval(int64(blastTick))
	if b.hosts.first.Is4() {
		b.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	} else {
		b.fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	}
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		b.filter(),
		unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, blastBuffer),
		unix.SetsockoptInt(b.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, blastBuffer),
		unix.SetsockoptTimeval(b.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick),
	)
	if err != nil {
		unix.Close(b.fd)
		return os.NewSyscallError("setsockopt", err)
	}
	return nil
}

// filter blocks all types of ICMP but the echo reply: a set bit blocks a type.
func (b *blaster) filter() error {
	if b.hosts.first.Is4() {
		const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h
		return unix.SetsockoptInt(b.fd, unix.SOL_RAW, icmpFilter, ^1)
	}
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	const reply = 129
	f.Data[reply/32] &^= 1 << (reply % 32)
	return unix.SetsockoptICMPv6Filter(b.fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &f)
}

// prepare makes all messages, so that only addresses change later.
func (b *blaster) prepare() {
	v4 := b.hosts.first.Is4()
	room := make([]byte, blastBatch*blastRoom)
	for i := range b.to {
		out, in := &b.to[i], &b.from[i]
		join(&b.out[i], out, blastRequest(!v4, uint16(i)))
		answer := room[i*blastRoom : (i+1)*blastRoom]
		join(&b.in[i], in, answer)
		out.setName(&b.out[i], b.hosts.first.AsSlice())
		if v4 {
			in.host = answer[12:16] // the source address of the IPv4 header
		} else {
			in.setName(&b.in[i], b.hosts.first.AsSlice())
		}
	}
}

// join has a message point to the bytes of its packet.
func join(m *mmsghdr, s *slot, packet []byte) {
	s.iov.Base = &packet[0]
	s.iov.SetLen(len(packet))
	m.hdr.Iov = &s.iov
	m.hdr.SetIovlen(1)
}

// setName gives a message an address, whose last four bytes are then s.host.
func (s *slot) setName(m *mmsghdr, addr []byte) {
	m.hdr.Name = (*byte)(unsafe.Pointer(&s.name))
	if len(addr) == 4 {
		name := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.name))
		name.Family = unix.AF_INET
		m.hdr.Namelen = unix.SizeofSockaddrInet4
		s.host = name.Addr[:]
	} else {
		s.name.Family = unix.AF_INET6
		copy(s.name.Addr[:], addr)
		m.hdr.Namelen = unix.SizeofSockaddrInet6
		s.host = s.name.Addr[12:]
	}
}

// alternate sends a batch, takes what answers are there, and so on.
func (b *blaster) alternate() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for at := uint64(0); at < b.size; at += blastBatch {
		if err := b.send(at); err != nil {
			return err
		}
		for n := blastBatch; n == blastBatch; {
			var err error
			if n, err = b.receive(unix.MSG_DONTWAIT); err != nil {
				return err
			}
		}
	}
	return b.drain(func() bool { return true })
}

// both sends in this thread and receives in another one.
func (b *blaster) both() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var sent atomic.Bool
	var received error
	var receiver sync.WaitGroup
	receiver.Go(func() {
		runtime.LockOSThread()
		received = b.drain(sent.Load)
	})
	var err error
	for at := uint64(0); at < b.size && err == nil; at += blastBatch {
		err = b.send(at)
	}
	sent.Store(true)
	receiver.Wait()
	return errors.Join(err, received)
}

// drain takes answers until all have come or, once everything is sent, no more do.
func (b *blaster) drain(sent func() bool) error {
	for b.found < b.size {
		n, err := b.receive(unix.MSG_WAITFORONE)
		if err != nil {
			return err
		}
		if now := time.Now(); n == 0 && sent() && now.Sub(b.last) > blastQuiet || now.After(b.ends) {
			break
		}
	}
	return nil
}

// send asks a batch of hosts, the first of which is the at'th.
func (b *blaster) send(at uint64) error {
	n := min(blastBatch, int(b.size-at))
	for i := range n {
		binary.BigEndian.PutUint32(b.to[i].host, b.first+uint32(at)+uint32(i))
	}
	for done := 0; done < n; {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.out[done])), uintptr(n-done), 0, 0, 0)
		switch {
		case errno == 0:
			done += int(k)
		case errno != unix.EINTR && errno != unix.EAGAIN && errno != unix.ENOBUFS:
			return os.NewSyscallError("sendmmsg", errno)
		case time.Now().After(b.ends):
			return fmt.Errorf("sendmmsg: %w until the time was over", errno)
		}
	}
	return nil
}

// receive takes the answers of one system call and returns how many there were:
// 0 if none came in time.
func (b *blaster) receive(how int) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.in[0])), blastBatch, uintptr(how), 0, 0)
	if errno == unix.EINTR || errno == unix.EAGAIN {
		return 0, nil
	}
	if errno != 0 {
		return 0, os.NewSyscallError("recvmmsg", errno)
	}
	for i := range int(n) {
		if host := uint64(binary.BigEndian.Uint32(b.from[i].host) - b.first); host < b.size && b.seen.add(host) {
			b.found++
		}
	}
	if n > 0 {
		b.last = time.Now()
	}
	return int(n), nil
}

// cpuTime returns what this process has used, user and system.
func cpuTime() (time.Duration, error) {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}

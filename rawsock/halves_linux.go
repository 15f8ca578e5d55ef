package rawsock

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// second is a goroutine that sends half of a batch while its owner sends the
// other: on a fast path nearly all of what a scan takes is spent in sendmmsg, which
// carries a packet to the far end and its answer back before it returns.
//
// Only for an outlet that is deaf and has no stamps: packets leave in two rows at
// once, in no order.
type second struct {
	start, done chan struct{} // each holds one
	from, to    int           // of the batch
	n           int           // sent
	errno       unix.Errno
	pause       int // batches that are sent in order, as there was no room for one
}

const (
	// worthHalving is from how many packets on a second sender pays.
	worthHalving = 32
	// roomToHalve is the least send buffer in which two senders do not take each
	// other's room, bytes.
	roomToHalve = 1 << 20
	// inOrder is how many batches leave in order after one that found no room.
	inOrder = 64
)

// halve gives o a second sender, if there is a processor for it.
func (o *outlet) halve() {
	room, err := unix.GetsockoptInt(o.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if runtime.GOMAXPROCS(0) < 2 || !o.deaf || o.stamps || err != nil || room < roomToHalve {
		return
	}
	s := &second{start: make(chan struct{}, 1), done: make(chan struct{}, 1)}
	o.second = s
	go func() {
		for range s.start {
			s.n, s.errno = o.pushSome(s.from, s.to)
			s.done <- struct{}{}
		}
		close(s.done)
	}()
}

// end ends the second sender, and waits for it.
func (s *second) end() {
	if s != nil {
		close(s.start)
		<-s.done
	}
}

// pushHalves is push by two. If the first half stops short, some of the second
// have left all the same, and leave once more when the caller tries again: a SYN
// that comes twice is answered twice, and does no harm.
func (o *outlet) pushHalves(n int) (int, unix.Errno) {
	s := o.second
	s.from, s.to = n/2, n
	s.start <- struct{}{}
	done, errno := o.pushSome(0, n/2)
	<-s.done
	if errno != 0 || s.errno != 0 {
		s.pause = inOrder
	}
	if errno != 0 {
		return done, errno
	}
	return done + s.n, s.errno
}

// halves reports whether a batch of n goes out in two halves.
func (s *second) halves(n int) bool {
	if s == nil || n < worthHalving {
		return false
	}
	if s.pause > 0 {
		s.pause--
		return false
	}
	return true
}

// pushSome sends the packets from one place in the batch to another.
func (o *outlet) pushSome(from, to int) (int, unix.Errno) {
	done := from
	for done < to {
		k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(o.fd),
			uintptr(unsafe.Pointer(&o.out.hdrs[done])), uintptr(to-done), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			done += int(k)
		case unix.EINTR:
		default:
			return done - from, errno
		}
	}
	return done - from, 0
}

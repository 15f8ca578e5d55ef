package rawsock

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// stampFlags are the timestamps to ask for (Documentation/networking/
// timestamping.rst): software ones of the arrival and, if tx, of the departure,
// the latter without the packet (TSONLY) and numbered (OPT_ID).
func stampFlags(tx bool) int {
	f := unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE
	if tx {
		f |= unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_ID |
			unix.SOF_TIMESTAMPING_OPT_TSONLY | unix.SOF_TIMESTAMPING_OPT_CMSG
	}
	return f
}

func (o *outlet) stamp(flags int) error { return stampOn(o.fd, flags) }

func stampOn(fd, flags int) error {
	return opError("setsockopt SO_TIMESTAMPING",
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags))
}

// counting says which packets the kernel's numbers mean. After a failed send
// nobody knows whether its counter moved: that differs by kernel and by where
// the packet died. So the count restarts then, while timestamps with numbers of
// the count before are still on their way: what left before since is theirs.
type counting struct {
	first  uint32 // place in keys of number 0
	before uint32 // the same of the count before
	since  int64  // when this count began, ns since 1970
}

func (s *sender) initCount() {
	s.keys = make([]atomic.Uint32, keyRing)
	s.count.Store(&counting{})
}

// keyOf returns the key of the packet with the kernel's number id that left at
// the given time, ns since 1970.
func (s *sender) keyOf(id uint32, left int64) uint32 {
	if s.keyed {
		return id
	}
	c := s.count.Load()
	if left < c.since {
		return s.keys[(c.before+id)%keyRing].Load()
	}
	return s.keys[(c.first+id)%keyRing].Load()
}

// restartStamps sets the kernel's OPT_ID counter back to 0: it restarts when
// OPT_ID is switched on anew. The keys of packets not sent yet stay in place.
func (o *outlet) restartStamps() {
	_ = o.stamp(stampFlags(true) &^ unix.SOF_TIMESTAMPING_OPT_ID)
	_ = o.stamp(stampFlags(true))
	if s := &o.out; s.next > 0 {
		old := s.count.Load().first
		s.count.Store(&counting{first: old + s.next, before: old, since: time.Now().UnixNano()})
		s.next = 0
	}
}

// keyedStamps reports whether a packet can carry its own OPT_ID in a control
// message (SCM_TS_OPT_ID, Linux 6.13). Before that the kernel counts packets.
var keyedStamps = sync.OnceValue(func() bool { return kernelAtLeast(6, 13) })

func kernelAtLeast(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return atLeast(unix.ByteSliceToString(u.Release[:]), major, minor)
}

// atLeast reports whether a kernel release such as "6.1.0-13-amd64" is at
// least major.minor.
func atLeast(release string, major, minor int) bool {
	a, rest, _ := strings.Cut(release, ".")
	b := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		b = rest[:i]
	}
	x, err := strconv.Atoi(a)
	if err != nil {
		return false
	}
	y, err := strconv.Atoi(b)
	return err == nil && (x > major || x == major && y >= minor)
}

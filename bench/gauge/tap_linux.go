package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
	"unsafe"

	"github.com/gopacket/gopacket"
	"golang.org/x/sys/unix"
)

// tapBuffer is the receive buffer in bytes: room for the packets of some
// seconds, about 800 bytes each as the kernel counts.
const tapBuffer = 64 << 20

// tapPause is how long the tap sleeps between two looks at its socket. A packet
// kept unread keeps its memory, and the kernel then finds new memory for those
// that follow, which half a second of waiting made visible as some 5 µs in one
// probe of seven. A few milliseconds made as many interrupts visible instead.
const tapPause = 13 * time.Millisecond

// tap captures what passes an interface until ctx ends, and tells visit each
// packet with the kernel's stamp. It calls ready once packets are kept.
//
// It is made to disturb as little as it can what it observes. A packet that
// leaves is stamped for the capture before it is handed to the driver, so all
// that the capture costs comes between its stamp and the driver's. A plain
// packet socket on which nobody waits costs 2 to 3 µs there. tcpdump's ring
// buffer was measured at 7, and at 15 in its immediate mode, which wakes it for
// each packet.
func tap(ctx context.Context, device string, ready func(), visit func([]byte, gopacket.CaptureInfo) error) error {
	fd, err := openTap(device)
	if err != nil {
		return fmt.Errorf("capture on %s: %w", device, err)
	}
	defer unix.Close(fd)
	ready()
	pause := unix.NsecToTimespec(int64(tapPause))
	for done := false; !done; {
		done = ctx.Err() != nil // and take what is there
		// Not time.Sleep: the runtime's timers come with more interrupts.
		_ = unix.Nanosleep(&pause, nil)
		if err := drainTap(fd, visit); err != nil {
			return fmt.Errorf("capture on %s: %w", device, err)
		}
	}
	stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return err
	}
	if stats.Drops > 0 {
		return fmt.Errorf("capture on %s: the kernel dropped %d packets", device, stats.Drops)
	}
	return nil
}

func openTap(device string) (fd int, err error) {
	dev, err := net.InterfaceByName(device)
	if err != nil {
		return -1, err
	}
	// Protocol 0: nothing is received before bind names the interface.
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{
			Protocol: binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}),
			Ifindex:  dev.Index,
		}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// drainTap tells visit all packets that are there.
func drainTap(fd int, visit func([]byte, gopacket.CaptureInfo) error) error {
	var data [128]byte
	var control [64]byte
	for {
		n, cn, _, _, err := unix.Recvmsg(fd, data[:], control[:], unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return err
		}
		stamp, err := tapStamp(control[:cn])
		if err != nil {
			return err
		}
		kept := min(n, len(data))
		if err := visit(data[:kept], gopacket.CaptureInfo{Timestamp: stamp, CaptureLength: kept, Length: n}); err != nil {
			return err
		}
	}
}

// tapStamp reads the control message SCM_TIMESTAMPNS.
func tapStamp(control []byte) (time.Time, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, err
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return time.Unix(0, (*unix.Timespec)(unsafe.Pointer(&m.Data[0])).Nano()), nil
		}
	}
	return time.Time{}, errors.New("a packet without a timestamp")
}

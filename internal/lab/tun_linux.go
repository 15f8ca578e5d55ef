package lab

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const tunPath = "/dev/net/tun"

// tunQueue is how many packets wait in a TUN device for the simulator. Linux's
// 500 would drop the bursts that batched sends make.
const tunQueue = 10_000

// tun is a TUN device: IP packets that its namespace sends are read from it,
// what is written to it the namespace receives.
type tun struct {
	file *os.File
	wg   sync.WaitGroup
}

// openTUN makes the device of n.
func openTUN(n *linuxNamespace) (*tun, error) {
	var file *os.File
	var err error
	if e := n.do(func() { file, err = attachTUN() }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	return &tun{file: file}, nil
}

// attachTUN makes a TUN device in the namespace of the calling thread.
func attachTUN() (*os.File, error) {
	fd, err := unix.Open(tunPath, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: tunPath, Err: err}
	}
	ifr, err := unix.NewIfreq(deviceName)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lab: make a TUN device: %w", os.NewSyscallError("ioctl", err)), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), tunPath), nil
}

// pump hands every packet read from the device to take, until the device is closed.
func (d *tun) pump(take func([]byte)) {
	d.wg.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := d.file.Read(buf)
			switch {
			case errors.Is(err, os.ErrClosed):
				return
			case err != nil:
				time.Sleep(time.Millisecond) // the device is changing; it stays ours
			default:
				take(buf[:n])
			}
		}
	})
}

// write hands a packet to the namespace, and reports whether it took it.
func (d *tun) write(raw []byte) bool {
	_, err := d.file.Write(raw)
	return err == nil
}

func (d *tun) close() error {
	err := d.file.Close()
	d.wg.Wait()
	return err
}

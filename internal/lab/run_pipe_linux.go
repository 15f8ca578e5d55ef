package lab

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipe is one end of a socket pair that carries messages and descriptors. A
// message is JSON, and small.
type pipe struct{ file *os.File }

// maxMessage is the size of the largest message in octets: a few addresses, or
// one error.
const maxMessage = 1 << 16

// newPipe makes a pair. Both ends are closed on exec; the other one is to be
// handed to a child.
func newPipe() (ours *pipe, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return &pipe{os.NewFile(uintptr(fds[0]), "lab")}, os.NewFile(uintptr(fds[1]), "lab"), nil
}

// inherited is the pipe at a descriptor that the parent is said to have left.
func inherited(fd int) (*pipe, bool) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, false
	}
	unix.CloseOnExec(fd)
	return &pipe{os.NewFile(uintptr(fd), "lab")}, true
}

// send sends v, and the descriptor fd unless it is negative.
func (p *pipe) send(v any, fd int) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	return os.NewSyscallError("sendmsg", unix.Sendmsg(int(p.file.Fd()), b, rights, nil, unix.MSG_NOSIGNAL))
}

// receive waits for a message, which it puts into v, and returns the descriptor
// that came with it or -1. It returns io.EOF when the other end is closed.
func (p *pipe) receive(v any) (fd int, err error) {
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	for {
		n, oobn, _, _, err = unix.Recvmsg(int(p.file.Fd()), buf, oob, unix.MSG_CMSG_CLOEXEC)
		if err != unix.EINTR {
			break
		}
	}
	switch {
	case err == unix.ECONNRESET, err == nil && n == 0:
		return -1, io.EOF
	case err != nil:
		return -1, os.NewSyscallError("recvmsg", err)
	}
	fd = -1
	if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) == 1 {
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
			fd = fds[0]
		}
	}
	return fd, json.Unmarshal(buf[:n], v)
}

// Close closes this end.
func (p *pipe) Close() error { return p.file.Close() }

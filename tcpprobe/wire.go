package tcpprobe

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"netprobe/rawsock"
)

// wire is the connection under all layers. It remembers how the server began,
// and counts.
type wire struct {
	net.Conn
	tcp   *net.TCPConn
	raw   syscall.RawConn // nil if there is none
	ctx   context.Context
	in    int    // bytes read in this layer
	first []byte // of what was read in this layer, up to maxFirst
	grace int    // reads left after the time is up
}

const (
	maxFirst = 128
	maxGrace = 64
)

func newWire(ctx context.Context, conn *net.TCPConn) *wire {
	w := &wire{Conn: conn, tcp: conn, ctx: ctx, grace: maxGrace}
	if raw, err := conn.SyscallConn(); err == nil {
		w.raw = raw
	}
	return w
}

// begin forgets what the layers before have read.
func (w *wire) begin() { w.in, w.first = 0, w.first[:0] }

// Read implements io.Reader. What has arrived when the time is up is read all
// the same: a process that was kept from running must not call its target silent.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && w.raw != nil && w.grace > 0 && w.ctx.Err() == nil {
		if late, ok := rawsock.LastBytes(w.raw, p); ok && late > 0 {
			w.grace--
			n, err = late, nil
		}
	}
	w.in += n
	if room := maxFirst - len(w.first); room > 0 {
		w.first = append(w.first, p[:min(n, room)]...)
	}
	return n, err
}

package dnsprobe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// carrier is an exchanger over sockets of its own: by UDP, and by TCP for what is
// truncated. Walks and validations ask one question at a time, each mostly of
// another server.
type carrier struct{ socket rawsock.Config }

// resend is how long UDP waits before it asks again: somebody on the way may
// have dropped either datagram.
const resend = time.Second

// maxJunk is how many datagrams or messages may be no answer to the question.
const maxJunk = 16

func (c carrier) exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
	began := time.Now()
	reply, err := c.try(ctx, "udp", server, q)
	if err == nil && reply.Truncated {
		reply, err = c.try(ctx, "tcp", server, q)
	}
	return reply, time.Since(began), err
}

// try asks once by network.
func (c carrier) try(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	hook := rawsock.Dial{Config: c.socket}
	defer hook.Close()
	conn, err := c.dial(ctx, &hook, network, server)
	if err != nil {
		return nil, c.explain(ctx, &hook, nil, server.Addr(), err)
	}
	defer conn.Close()
	// Whatever ends ctx ends the wait, even between two deadlines.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	query, err := q.Pack()
	if err != nil {
		return nil, err
	}
	var reply *dns.Msg
	if network == "tcp" {
		reply, err = askStream(conn, query, q)
	} else {
		reply, err = askDatagrams(ctx, conn, query, q)
	}
	if err != nil {
		return nil, c.explain(ctx, &hook, conn, server.Addr(), err)
	}
	return reply, nil
}

func (c carrier) dial(ctx context.Context, hook *rawsock.Dial, network string, server netip.AddrPort) (net.Conn, error) {
	if a, ok := crew.Unable(server.Addr(), &c.socket); ok {
		return nil, fmt.Errorf("%w: %w", errLocal, a.Err)
	}
	d := net.Dialer{Control: hook.Control, KeepAlive: -1}
	if src := c.socket.Source; src.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
		if network == "tcp" {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(src, 0))
		}
	}
	return d.DialContext(ctx, network, server.String())
}

// askDatagrams sends the query, and again while nothing comes.
func askDatagrams(ctx context.Context, conn net.Conn, query []byte, q *dns.Msg) (*dns.Msg, error) {
	junk := 0
	buf := make([]byte, dns.MaxMsgSize)
	for {
		if _, err := conn.Write(query); err != nil {
			return nil, err
		}
		wait := time.Now().Add(resend)
		if end, ok := ctx.Deadline(); ok && end.Before(wait) {
			wait = end
		}
		_ = conn.SetReadDeadline(wait)
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
				if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
					return nil, context.DeadlineExceeded
				}
				break
			}
			if err != nil {
				return nil, err
			}
			reply, why := readReply(buf[:n], q)
			if why == nil {
				return reply, nil
			}
			if junk++; junk > maxJunk {
				return nil, fmt.Errorf("only other things than the answer came: %w", why)
			}
		}
	}
}

// askStream sends the query, and reads the answer, each after its length
// (RFC 1035 section 4.2.2).
func askStream(conn net.Conn, query []byte, q *dns.Msg) (*dns.Msg, error) {
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		return nil, err
	}
	reply, err := readReply(msg, q)
	if err == nil && reply.Truncated {
		err = errors.New("the answer is truncated by TCP, too")
	}
	return reply, err
}

// readReply takes msg if it is the answer to q.
func readReply(msg []byte, q *dns.Msg) (*dns.Msg, error) {
	reply := &dns.Msg{}
	err := reply.Unpack(msg)
	switch {
	case reply.Id != q.Id:
		return nil, errors.New("a message with another id")
	case err != nil && reply.Truncated:
		reply.Answer, reply.Ns, reply.Extra = nil, nil, nil // cut off within a record
	case err != nil:
		return nil, errors.New("a malformed message")
	}
	return reply, mismatch(reply, q)
}

// explain says what an error means: errLocal if it is this host's own. conn is
// nil if none came about.
func (c carrier) explain(ctx context.Context, hook *rawsock.Dial, conn net.Conn, dst netip.Addr, err error) error {
	switch {
	case errors.Is(err, errLocal):
		return err
	case ctx.Err() == context.Canceled:
		return ctx.Err()
	case ctx.Err() != nil && conn != nil:
		if a, ok := crew.Homeless(dst, addrOfConn(conn)); ok {
			return fmt.Errorf("%w: %w", errLocal, a.Err)
		}
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("connection closed without an answer")
	}
	if e, ok := rejection(hook, conn); ok {
		local := hook.Local()
		if conn != nil {
			local = addrOfConn(conn)
		}
		if a, ok := crew.Rejected(dst, local, e); ok {
			return fmt.Errorf("%v, says %v", a.Reason, a.From)
		}
	}
	if _, ok := errors.AsType[syscall.Errno](err); !ok {
		return err
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
		return errors.New("connection refused")
	}
	a := crew.Failure(dst, &c.socket, err)
	if a.Status == probe.Failed {
		return fmt.Errorf("%w: %w", errLocal, a.Err)
	}
	return fmt.Errorf("%v", a.Reason)
}

func addrOfConn(conn net.Conn) netip.Addr {
	a, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	return a.Addr().Unmap()
}

// rejection is the ICMP error, if any, that ended a dial or came for a datagram.
func rejection(hook *rawsock.Dial, conn net.Conn) (rawsock.Rejection, bool) {
	u, ok := conn.(*net.UDPConn)
	if !ok {
		return hook.Rejected()
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return rawsock.Rejection{}, false
	}
	e := rawsock.ReadErrors(raw)
	return e.Rejection, e.Rejected
}

package http1

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Body returns the body that follows h. It ends with io.EOF, or if it breaks off
// with io.ErrUnexpectedEOF; where Full, with either. Where the end of the connection
// is that of the body, many servers forget to say so in TLS, which is let pass.
func (r *Reader) Body(h *Head) io.Reader {
	r.limit.N = maxFramed
	switch {
	case h.Chunked:
		return &chunks{in: r.in}
	case h.Length >= 0:
		return &counted{in: r.in, left: uint64(h.Length)}
	}
	return toTheEnd{r.in}
}

// toTheEnd is a body that ends where the connection does.
type toTheEnd struct{ in *bufio.Reader }

func (b toTheEnd) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// counted is a body, or a chunk, of a known length.
type counted struct {
	in   *bufio.Reader
	left uint64 // bytes to come
}

func (b *counted) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.in.Read(p[:min(uint64(len(p)), b.left)])
	b.left -= uint64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunks is a body in chunks (RFC 9112, section 7.1): each has its length in hex
// before it, and perhaps extensions, which nobody knows.
//
//	5;x=y CRLF hello CRLF 0 CRLF
type chunks struct {
	in   *bufio.Reader
	now  *counted // the chunk under way; nil before the first
	done error    // why no more is read
}

func (b *chunks) Read(p []byte) (int, error) {
	if b.done == nil && (b.now == nil || b.now.left == 0) {
		b.done = b.next()
	}
	if b.done != nil || len(p) == 0 {
		return 0, b.done
	}
	n, err := b.now.Read(p)
	b.done = err
	return n, err
}

// next goes on to the next chunk.
func (b *chunks) next() error {
	if b.now != nil {
		if line, err := b.line(); err != nil {
			return err
		} else if line != "" {
			return Malformed("a chunk longer than its length")
		}
	}
	line, err := b.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	size = strings.TrimRight(size, " \t")
	n, err := strconv.ParseUint(size, 16, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return Malformed("chunk length too large")
	case err != nil:
		return Malformed("invalid byte in chunk length")
	case n == 0:
		return io.EOF
	}
	b.now = &counted{in: b.in, left: n}
	return nil
}

// line reads a line, which must fit the buffer.
func (b *chunks) line() (string, error) {
	line, err := b.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", Malformed("chunk without an end of its first line")
	case errors.Is(err, io.EOF):
		return "", io.ErrUnexpectedEOF
	}
	return trimLine(string(line)), err
}

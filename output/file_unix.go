//go:build unix

package output

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// reopenPause is the shortest time between two looks for a reader.
const reopenPause = 200 * time.Millisecond

// fifo writes records to a FIFO whose readers come and go, without ever
// waiting: the descriptor is non-blocking and, unlike that of an os.File,
// unknown to the runtime's poller, which would wait.
type fifo struct {
	path    string
	fd      int       // -1 while nobody reads
	next    time.Time // earliest moment to look for a reader again
	first   []byte    // first record written, repeated to each new reader
	rest    []byte    // of a record longer than the pipe took at once
	dropped uint64    // records
}

// openFIFO opens the FIFO at path, with or without a reader.
func openFIFO(path string) (*fifo, error) {
	p := &fifo{path: path, fd: -1}
	if err := p.open(); err != nil && !errors.Is(err, syscall.ENXIO) {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return p, nil
}

// open fails with ENXIO while nobody has the FIFO open for reading (fifo(7)).
func (p *fifo) open() error {
	for {
		fd, err := syscall.Open(p.path, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if err == syscall.EINTR {
			continue
		}
		if err == nil {
			p.fd = fd
		}
		return err
	}
}

func (p *fifo) close() {
	if p.fd >= 0 {
		p.flush()
	}
	p.drop()
}

// drop forgets a reader who left, and the end of the line it was reading.
func (p *fifo) drop() {
	if p.fd >= 0 {
		_ = syscall.Close(p.fd)
	}
	p.fd, p.rest = -1, nil
}

// write hands record to the reader, or drops it. A reader seen for the first
// time gets the first record before; one that took the place of another between
// two records looks like the same.
func (p *fifo) write(record []byte, now time.Time) {
	initial := p.first == nil
	if initial {
		p.first = append([]byte(nil), record...)
	}
	if p.fd < 0 && p.connect(now) && !initial {
		p.send(p.first)
	}
	if p.fd < 0 || !p.send(record) {
		p.dropped += lines(record)
	}
}

// connect looks for a reader, unless it did so a moment ago.
func (p *fifo) connect(now time.Time) bool {
	if now.Before(p.next) {
		return false
	}
	p.next = now.Add(reopenPause)
	return p.open() == nil
}

// send writes record whole, or not at all. A record longer than PIPE_BUF may be
// taken in part; the rest then goes before anything else.
func (p *fifo) send(record []byte) bool {
	if !p.flush() {
		return false
	}
	n, err := p.writeOnce(record)
	switch {
	case err != nil:
		return false
	case n < len(record):
		p.rest = append(p.rest[:0], record[n:]...)
	}
	return true
}

// flush reports whether nothing is left of an earlier record.
func (p *fifo) flush() bool {
	for len(p.rest) > 0 {
		n, err := p.writeOnce(p.rest)
		if err != nil {
			return false
		}
		p.rest = p.rest[n:]
	}
	return p.fd >= 0
}

// writeOnce writes what the pipe takes now. If the reader has left, so does p.
func (p *fifo) writeOnce(b []byte) (int, error) {
	for {
		n, err := syscall.Write(p.fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, err
		case err != nil:
			p.drop()
			return 0, err
		}
		return n, nil
	}
}

package output

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// closeLimit is how long Close of a File waits for a slow disk.
const closeLimit = 2 * time.Second

// File is where --out writes: a regular file, a device or a FIFO. Nothing that
// happens to it blocks or ends the run: what cannot be written is dropped, in
// whole records, and counted.
//
// A FIFO needs no reader. While there is none records are dropped; a reader
// that comes, or comes back, first gets the first record ever written again
// (the run record, or a CSV header), then whatever follows.
type File struct {
	mu   sync.Mutex
	fifo *fifo    // set for a FIFO
	disk *os.File // set otherwise
	out  *Writer  // to disk
	err  error    // first error that lost data
}

// OpenFile opens path for writing: a missing file is created, a regular one is
// emptied, a FIFO may lack its reader. It refuses directories, block devices
// and sockets, and the file that standard output already goes to: the two would
// overwrite each other. Errors are *os.PathError or say what is wrong in a line.
func OpenFile(path string) (*File, error) {
	info, err := os.Stat(path)
	if err == nil {
		switch mode := info.Mode(); {
		case mode.IsDir():
			return nil, fmt.Errorf("cannot write to %q: it is a directory", path)
		case mode&os.ModeNamedPipe != 0:
			p, err := openFIFO(path)
			if err != nil {
				return nil, err
			}
			return &File{fifo: p}, nil
		case mode&os.ModeSocket != 0, mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
			return nil, fmt.Errorf("cannot write to %q: it is neither a file nor a FIFO", path)
		case mode.IsRegular() && isStdout(info):
			return nil, fmt.Errorf("cannot write to %q: standard output already goes there", path)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &File{disk: f, out: NewWriter(&wholeLines{file: f})}, nil
}

func isStdout(info os.FileInfo) bool {
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(info, out)
}

// Write takes p, one or more whole records, and always returns len(p), nil.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fifo != nil {
		f.fifo.write(p, time.Now())
		return len(p), nil
	}
	if _, err := f.out.Write(p); err != nil && f.err == nil {
		f.err = err
	}
	return len(p), nil
}

// Dropped returns how many records were not written so far.
func (f *File) Dropped() uint64 {
	if f.fifo == nil {
		return f.out.Dropped()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fifo.dropped
}

// Err returns the first error that lost records, such as a full disk. A FIFO
// without a reader is none. It may be asked after Close.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Close writes what is left, waiting at most two seconds, closes the file and
// returns Err.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fifo != nil {
		f.fifo.close()
		return f.err
	}
	for _, err := range []error{f.out.Close(closeLimit), f.disk.Close()} {
		if f.err == nil {
			f.err = err
		}
	}
	return f.err
}

// wholeLines writes to a file that may run full, and then cuts it back to the
// last line it could write whole.
type wholeLines struct {
	file *os.File
	size int64 // bytes written so far, all whole lines
}

func (w *wholeLines) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err == nil {
		w.size += int64(n)
		return n, nil
	}
	return w.cut(p[:max(n, 0)]), err
}

// cut is told what a failed write left in the file, and removes its torn last
// line. It returns how many bytes stay.
func (w *wholeLines) cut(written []byte) int {
	kept := bytes.LastIndexByte(written, '\n') + 1
	w.size += int64(kept)
	_ = w.file.Truncate(w.size) // a device cannot; then the torn line stays
	return kept
}

// SetWriteDeadline lets Writer.Close call back a write that hangs.
func (w *wholeLines) SetWriteDeadline(t time.Time) error { return w.file.SetWriteDeadline(t) }

var _ io.Writer = (*File)(nil)

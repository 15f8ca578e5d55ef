package output_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
)

// gate is an io.Writer whose reader reads only when told to.
type gate struct {
	open chan struct{} // closed: writes go through
	mu   sync.Mutex
	got  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(p)
}

func (g *gate) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.String()
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func TestWriterIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		close(g.open)
		w := output.NewWriter(g)
		for i := range 3 {
			before := time.Now()
			fmt.Fprintf(w, "line %d\n", i)
			synctest.Wait() // no time passes: the line is there at once
			if want := fmt.Sprintf("line %d\n", i); !strings.HasSuffix(g.String(), want) || time.Since(before) != 0 {
				t.Errorf("after %v: %q does not end in %q", time.Since(before), g.String(), want)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := w.Close(time.Second); err != nil {
			t.Error(err)
		}
		if _, err := w.Write([]byte("late\n")); !errors.Is(err, output.ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
	})
}

// TestWriterHurry has the pause after a line keep the last one, and then no more.
func TestWriterHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		close(g.open)
		w := output.NewWriter(g)
		fmt.Fprintln(w, "first")
		synctest.Wait()
		before := time.Now()
		fmt.Fprintln(w, "last")
		synctest.Wait()
		if got := g.String(); got != "first\n" {
			t.Errorf("without a pause for lines to gather: %q", got)
		}
		w.Hurry()
		synctest.Wait()
		if got := g.String(); got != "first\nlast\n" || time.Since(before) != 0 {
			t.Errorf("after %v: %q", time.Since(before), got)
		}
		if err := w.Close(time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestWriterKeepsOrderUnderLoad(t *testing.T) {
	var out bytes.Buffer
	w := output.NewWriter(&out)
	var want strings.Builder
	for i := range 100_000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(time.Minute); err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() || w.Dropped() != 0 {
		t.Errorf("%d bytes of %d, %d dropped", out.Len(), want.Len(), w.Dropped())
	}
}

// A reader that stalls costs whole lines, counted, and never blocks a Write.
func TestWriterDropsWholeLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		w := output.NewWriter(g)
		line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
		const n = 40
		for range n {
			if m, err := w.Write(line); m != len(line) || err != nil {
				t.Fatal(m, err)
			}
			synctest.Wait()
		}
		close(g.open)
		if err := w.Close(time.Second); err != nil {
			t.Fatal(err)
		}
		got := g.String()
		if len(got)%len(line) != 0 {
			t.Errorf("%d bytes: a torn line", len(got))
		}
		written := uint64(len(got) / len(line))
		if written < 16 || written > 17 || written+w.Dropped() != n {
			t.Errorf("%d lines written, %d dropped", written, w.Dropped())
		}
	})
}

func TestWriterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		w := output.NewWriter(g)
		fmt.Fprintln(w, "stuck")
		synctest.Wait()
		fmt.Fprintln(w, "behind it")
		begin := time.Now()
		err := w.Close(3 * time.Second)
		if waited := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || waited != 3*time.Second {
			t.Errorf("%v after %v", err, waited)
		}
		if w.Dropped() != 1 {
			t.Errorf("%d dropped, want the line behind the stuck one", w.Dropped())
		}
		close(g.open) // or the bubble would complain of the goroutine left behind
	})
}

// A pipe that nobody empties, opened as os.File: its write can be called back,
// so Close leaves no goroutine behind.
func TestWriterFullPipe(t *testing.T) {
	r, p, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer p.Close()
	if err := p.SetWriteDeadline(time.Time{}); err != nil {
		t.Skip("pipes have no deadlines here:", err)
	}
	w := output.NewWriter(p)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 1000 {
		if _, err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(20 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("close: %v", err)
	}
	if w.Dropped() == 0 {
		t.Error("nothing dropped")
	}
}

// broken returns n and err for each write.
type broken struct {
	n   int
	err error
}

func (b broken) Write([]byte) (int, error) { return b.n, b.err }

func TestWriterErrors(t *testing.T) {
	r, p, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer p.Close()
	for _, tt := range []struct {
		name string
		to   io.Writer
		want error
	}{
		{"no space", broken{0, syscall.ENOSPC}, syscall.ENOSPC},
		{"short write", broken{3, nil}, io.ErrShortWrite},
		{"closed pipe", p, syscall.EPIPE},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.to == p && os.PathSeparator == '\\' {
				t.Skip("a closed pipe has another error here")
			}
			w := output.NewWriter(tt.to)
			var err error
			for deadline := time.Now().Add(time.Minute); err == nil && time.Now().Before(deadline); {
				_, err = w.Write([]byte("a line\n"))
				time.Sleep(time.Millisecond)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("write: %v, want %v", err, tt.want)
			}
			if err := w.Close(time.Second); !errors.Is(err, tt.want) {
				t.Errorf("close: %v, want %v", err, tt.want)
			}
			if w.Dropped() == 0 {
				t.Error("nothing dropped")
			}
		})
	}
}

func TestWriterNeverUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := output.NewWriter(newGate()).Close(time.Hour); err != nil {
			t.Error(err)
		}
	})
}

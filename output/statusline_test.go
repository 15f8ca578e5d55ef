package output_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"netprobe/output"
)

// terminal is what two files that are the same terminal write to. It keeps the
// lines above the cursor and the one the cursor stands in.
type terminal struct {
	t       *testing.T
	mu      sync.Mutex
	lines   []string
	current string
	writing bool
	stopped chan struct{} // closed when output goes on; nil while it does
}

func (m *terminal) Write(p []byte) (int, error) {
	m.mu.Lock()
	if m.writing {
		m.t.Error("two writes at once")
	}
	m.writing = true
	stopped := m.stopped
	m.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writing = false
	text := string(p)
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\r\x1b[K"); ok {
			m.current, text = "", rest
			continue
		}
		if rest, ok := strings.CutPrefix(text, "\n"); ok {
			m.lines = append(m.lines, m.current)
			m.current, text = "", rest
			continue
		}
		end := strings.IndexAny(text, "\n\r")
		if end < 0 {
			end = len(text)
		}
		m.current += text[:end]
		text = text[end:]
	}
	return len(p), nil
}

func (m *terminal) expect(current string, lines ...string) {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != current || strings.Join(m.lines, "|") != strings.Join(lines, "|") {
		m.t.Errorf("terminal shows %q above %q, want %q above %q", m.lines, m.current, lines, current)
	}
}

func TestStatusLine(t *testing.T) {
	m := &terminal{t: t}
	s := output.NewStatusLine(m, m)
	write := func(text string) {
		if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	write("a\n")
	m.expect("", "a")
	s.Set("10 %")
	m.expect("10 %", "a")
	write("b\nc\n")
	m.expect("10 %", "a", "b", "c")
	s.Set("20 %")
	s.Set("20 %")
	m.expect("20 %", "a", "b", "c")
	fmt.Fprintln(s.Messages(), "note")
	m.expect("20 %", "a", "b", "c", "note")
	s.Set("")
	m.expect("", "a", "b", "c", "note")
	s.Set("30 %")
	s.Close()
	s.Close()
	m.expect("", "a", "b", "c", "note")
	s.Set("40 %")
	write("d\n")
	m.expect("", "a", "b", "c", "note", "d")
}

// Not a byte more than the lines goes to where the lines go.
func TestStatusLineKeepsFilesApart(t *testing.T) {
	var lines, status bytes.Buffer
	s := output.NewStatusLine(&lines, &status)
	s.Set("1")
	_, _ = s.Write([]byte("x\n"))
	_, _ = s.Write([]byte("y\n"))
	s.Close()
	if lines.String() != "x\ny\n" || status.String() != "1\r\x1b[K1\r\x1b[K1\r\x1b[K" {
		t.Errorf("lines %q, status %q", &lines, &status)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestStatusLineReportsErrors(t *testing.T) {
	s := output.NewStatusLine(failing{}, &bytes.Buffer{})
	if _, err := s.Write([]byte("x\n")); err == nil || err.Error() != "gone" {
		t.Errorf("error %v", err)
	}
}

// While the terminal is stopped nobody but who writes lines waits, and when it
// goes on it shows the latest.
func TestStatusLineStopped(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &terminal{t: t}
			s := output.NewStatusLine(m, m)
			s.Set("1")
			m.mu.Lock()
			m.stopped = make(chan struct{})
			m.mu.Unlock()
			var done sync.WaitGroup
			for _, text := range []string{"a\n", "b\n"} {
				done.Go(func() { _, _ = s.Write([]byte(text)) })
				synctest.Wait()
			}
			for i := range 5 {
				s.Set(fmt.Sprint(10 + i))
			}
			want := "14"
			if closed {
				s.Close()
				want = ""
			}
			m.mu.Lock()
			close(m.stopped)
			m.stopped = nil
			m.mu.Unlock()
			done.Wait()
			m.expect(want, "a", "b")
		})
	}
}

// Through a Writer, as stdout is written, lines stay whole and in order while
// the status changes all the time.
func TestStatusLineUnderLoad(t *testing.T) {
	m := &terminal{t: t}
	s := output.NewStatusLine(m, m)
	w := output.NewWriter(s)
	var all sync.WaitGroup
	const lines = 500
	all.Go(func() {
		for i := range lines {
			fmt.Fprintf(w, "line %d\n", i)
		}
	})
	for range 2 {
		all.Go(func() {
			for i := range 500 {
				s.Set(fmt.Sprintf("%d %%", i))
			}
		})
	}
	all.Go(func() {
		for range 20 {
			fmt.Fprintln(s.Messages(), "note")
		}
	})
	all.Wait()
	if err := w.Close(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	s.Close()
	next, notes := 0, 0
	for _, l := range m.lines {
		switch l {
		case fmt.Sprintf("line %d", next):
			next++
		case "note":
			notes++
		default:
			t.Fatalf("line %q after %d lines", l, next)
		}
	}
	if next != lines || notes != 20 || m.current != "" {
		t.Errorf("%d lines, %d notes, left standing %q", next, notes, m.current)
	}
}

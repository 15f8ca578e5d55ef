//go:build unix

package output

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func mkfifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("cannot make a FIFO here:", err)
	}
	return path
}

// reader opens the FIFO for reading without waiting for a writer.
func reader(t *testing.T, path string) *os.File {
	t.Helper()
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run without a reader, one who comes, leaves, and another.
func TestFIFOReadersComeAndGo(t *testing.T) {
	path := mkfifo(t)
	p, err := openFIFO(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	now := time.Now()
	write := func(n int) {
		now = now.Add(time.Second)
		p.write(fmt.Appendf(nil, "record %d\n", n), now)
	}
	expect := func(r *os.File, want string) {
		t.Helper()
		got := make([]byte, len(want))
		if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
			t.Fatalf("read %q, %v, want %q", got, err, want)
		}
	}
	write(0) // the run record, with nobody there
	write(1)
	first := reader(t, path)
	write(2)
	write(3)
	expect(first, "record 0\nrecord 2\nrecord 3\n")
	first.Close()
	write(4)
	write(5)
	second := reader(t, path)
	defer second.Close()
	write(6)
	expect(second, "record 0\nrecord 6\n")
	if p.dropped != 4 {
		t.Errorf("%d dropped, want 0, 1, 4 and 5", p.dropped)
	}
}

// A reader there from the start gets everything once.
func TestFIFOReaderFirst(t *testing.T) {
	path := mkfifo(t)
	r := reader(t, path)
	defer r.Close()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "run\n")
	fmt.Fprint(f, "probe\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "run\nprobe\n" || f.Dropped() != 0 {
		t.Errorf("%q, %v, %d dropped", got, err, f.Dropped())
	}
}

// Somebody who may come is looked for at most every 200 ms.
func TestFIFOLooksForReaderSparingly(t *testing.T) {
	path := mkfifo(t)
	p, err := openFIFO(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	now := time.Now()
	p.write([]byte("0\n"), now)
	r := reader(t, path)
	defer r.Close()
	p.write([]byte("1\n"), now.Add(reopenPause-1))
	if p.fd >= 0 {
		t.Error("looked again too early")
	}
	p.write([]byte("2\n"), now.Add(reopenPause))
	if p.fd < 0 {
		t.Error("did not look again")
	}
}

// A reader who stalls gets whole records or none, also of those too long for
// the pipe to take at once.
func TestFIFOFull(t *testing.T) {
	for _, size := range []int{100, 5000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			path := mkfifo(t)
			r := reader(t, path)
			defer r.Close()
			f, err := OpenFile(path)
			if err != nil {
				t.Fatal(err)
			}
			const n = 2000
			record := func(i int) []byte {
				return fmt.Appendf(nil, "%06d%s\n", i, strings.Repeat("x", size-7))
			}
			var got bytes.Buffer
			for i := range n {
				_, _ = f.Write(record(i))
				if i == n/2 { // the reader wakes up once
					drain(t, r, &got)
				}
			}
			drain(t, r, &got)
			_ = f.Close()
			if _, err := io.Copy(&got, r); err != nil {
				t.Fatal(err)
			}
			checkWhole(t, &got, size, n, f.Dropped())
		})
	}
}

// drain reads what is in the pipe now.
func drain(t *testing.T, r *os.File, to *bytes.Buffer) {
	t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := io.Copy(to, r); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	_ = r.SetReadDeadline(time.Time{})
}

// checkWhole checks that got holds whole records of the given size in ascending
// order, and that those and the dropped ones are n. The last may be torn: the
// pipe was full when its writer left.
func checkWhole(t *testing.T, got *bytes.Buffer, size, n int, dropped uint64) {
	t.Helper()
	scanner := bufio.NewScanner(got)
	scanner.Buffer(nil, 1<<20)
	read, previous, torn := 0, -1, false
	for scanner.Scan() {
		if torn {
			t.Fatal("a torn record before others")
		}
		var i int
		if torn = len(scanner.Text())+1 != size; torn {
			continue
		}
		if _, err := fmt.Sscanf(scanner.Text(), "%06d", &i); err != nil || i <= previous {
			t.Fatalf("record %d after %d, %v", i, previous, err)
		}
		read, previous = read+1, i
	}
	if total := read + int(dropped); total != n && total != n-1 || dropped == 0 {
		t.Errorf("%d read, %d dropped, of %d", read, dropped, n)
	}
}

// Descriptors must not leak into programs started later.
func TestFIFOCloseOnExec(t *testing.T) {
	path := mkfifo(t)
	r := reader(t, path)
	defer r.Close()
	p, err := openFIFO(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(p.fd), syscall.F_GETFD, 0)
	if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, errno)
	}
}

// A file system that runs full in the middle of a line keeps whole lines.
func TestWholeLines(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &wholeLines{file: f}
	if _, err := w.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("tw"), 4); err != nil { // as a write cut short leaves it
		t.Fatal(err)
	}
	if kept := w.cut([]byte("tw")); kept != 0 {
		t.Errorf("kept %d bytes", kept)
	}
	got, err := os.ReadFile(f.Name())
	if err != nil || string(got) != "one\n" {
		t.Errorf("%q, %v", got, err)
	}
}

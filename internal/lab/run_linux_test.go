package lab

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInside is no test: it is what TestProgram starts.
func TestInside(t *testing.T) {
	if flag.NArg() == 0 {
		if err := Inside(nil); !errors.Is(err, ErrOutside) {
			t.Errorf("outside: error %v", err)
		}
		return
	}
	t.Fatal(Inside(flag.Args()))
}

func TestProgram(t *testing.T) {
	NeedTUN(t)
	run := func(args ...string) (stdout string, code int, err error) {
		var out bytes.Buffer
		var doubts []string
		code, err = Program{
			Topology: Topology{Hosts: []Host{{At: At("203.0.113.1")}}},
			Self:     []string{os.Args[0], "-test.run=^TestInside$", "--"},
			Args:     args,
			Stdout:   &out,
			Ready:    func(d []string) { doubts = d },
		}.Run()
		if doubts != nil {
			t.Errorf("doubts: %q", doubts)
		}
		return out.String(), code, err
	}
	out, code, err := run("cat", "/proc/net/dev")
	if code != 0 || err != nil || !strings.Contains(out, deviceName+":") {
		t.Errorf("code %d, error %v, devices\n%s", code, err, out)
	}
	if _, code, err := run("sh", "-c", "exit 3"); code != 3 || err != nil {
		t.Errorf("code %d, error %v, want 3", code, err)
	}
	if _, code, err := run("sh", "-c", "kill -9 $$"); code != 128+9 || err != nil {
		t.Errorf("code %d, error %v, want 137", code, err)
	}
	// A descriptor of ours would be a way out.
	if out, _, err := run("sh", "-c", "ls -l /proc/$$/fd"); err != nil || strings.Contains(out, tunPath) || strings.Contains(out, "socket:") {
		t.Errorf("error %v, descriptors\n%s", err, out)
	}
	for name, code := range map[string]int{"no such program": 127, "/": 126} {
		_, _, err := run(name)
		if e, ok := errors.AsType[*CommandError](err); !ok || e.Code() != code || e.Name != name {
			t.Errorf("%q: %v, want code %d", name, err, code)
		}
	}
	if _, _, err := run(); err == nil {
		t.Error("no error without a command")
	}
}

// What one process of a Program cannot do, the other can tell in detail.
func TestReport(t *testing.T) {
	for _, tt := range []struct {
		err   error
		want  string
		errno syscall.Errno
		about Obstacle
		found bool
	}{
		{errors.New("x"), "x", 0, Unforeseen, false},
		{&BuildError{Obstacle: NoTUN, Err: &os.PathError{Op: "open", Path: tunPath, Err: syscall.EACCES}}, "open /dev/net/tun: permission denied", syscall.EACCES, NoTUN, false},
		{&CommandError{Name: "x", Found: true, Err: syscall.ENOEXEC}, "exec format error", syscall.ENOEXEC, Unforeseen, true},
	} {
		r := failed(tt.err)
		got := r.err()
		if got.Error() != tt.want || r.Obstacle != tt.about || r.Found != tt.found {
			t.Errorf("%v: %+v", tt.err, r)
		}
		if tt.errno != 0 && !errors.Is(got, tt.errno) {
			t.Errorf("%v is not %v", got, tt.errno)
		}
	}
}

func TestPipe(t *testing.T) {
	ours, theirs, err := newPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	fd, err := unix.Dup(int(theirs.Fd())) // as a child would find it
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	child, ok := inherited(fd)
	if !ok {
		t.Fatal("not recognised")
	}
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := child.send(report{Doubts: []string{"x"}}, int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	var r report
	fd, err = ours.receive(&r)
	if err != nil || fd < 0 || len(r.Doubts) != 1 {
		t.Fatalf("descriptor %d, %+v, error %v", fd, r, err)
	}
	got := os.NewFile(uintptr(fd), "received")
	defer got.Close()
	a, _ := file.Stat()
	if b, err := got.Stat(); err != nil || !os.SameFile(a, b) {
		t.Errorf("another file came, error %v", err)
	}
	if err := child.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.receive(&r); !errors.Is(err, io.EOF) {
		t.Errorf("error %v at the end", err)
	}
	if _, ok := inherited(int(file.Fd())); ok {
		t.Error("a file is taken for a pipe")
	}
}

func TestPlainHosts(t *testing.T) {
	const other = "passwd: files systemd\n"
	for _, conf := range []string{
		other, other + "hosts: mymachines resolve [!UNAVAIL=return] files dns", "  hosts:files\n" + other,
	} {
		if got, want := plainHosts(conf), other+"hosts: files dns\n"; got != want {
			t.Errorf("%q became %q, want %q", conf, got, want)
		}
	}
}

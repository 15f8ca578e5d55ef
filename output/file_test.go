package output_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"netprobe/output"
)

func TestOpenFileRegular(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("old content, longer than what comes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := output.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []string{"one\n", "two\n"} {
		if n, err := f.Write([]byte(l)); n != len(l) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "one\ntwo\n" || f.Dropped() != 0 {
		t.Errorf("%q, %v, %d dropped", got, err, f.Dropped())
	}
}

func TestOpenFileRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ name, path, want string }{
		{"directory", dir, "is a directory"},
		{"no such directory", filepath.Join(dir, "no", "out"), "no"},
	} {
		f, err := output.OpenFile(tt.path)
		if err == nil {
			f.Close()
			t.Errorf("%s: opened", tt.name)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// The file that standard output goes to must not be written from its beginning
// by a second hand.
func TestOpenFileIsStdout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	f, err := output.OpenFile(path)
	os.Stdout = stdout
	if err == nil {
		f.Close()
		t.Fatal("opened the file of standard output")
	}
	if !strings.Contains(err.Error(), "standard output") {
		t.Error(err)
	}
}

func TestOpenFileDiskFull(t *testing.T) {
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no", full)
	}
	f, err := output.OpenFile(full)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); f.Err() == nil && time.Now().Before(deadline); {
		if _, err := f.Write([]byte("a record\n")); err != nil {
			t.Fatal("write failed the run:", err)
		}
		time.Sleep(time.Millisecond)
	}
	dropped := f.Dropped()
	if !errors.Is(f.Err(), syscall.ENOSPC) || dropped == 0 {
		t.Errorf("err %v, %d dropped", f.Err(), dropped)
	}
	if _, err := f.Write([]byte("another\n")); err != nil || f.Dropped() != dropped+1 {
		t.Errorf("write %v, %d dropped after %d", err, f.Dropped(), dropped)
	}
	if err := f.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v", err)
	}
}

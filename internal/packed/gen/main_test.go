package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"netprobe/internal/packed"
)

func TestPack(t *testing.T) {
	name := filepath.Join(t.TempDir(), "text")
	for _, text := range []string{"", "a line\n", strings.Repeat("many lines\n", 100_000)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := pack(name); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name + ".flate")
		if err != nil || len(b) > 64+len(text)/100 || string(packed.Unpack(b)) != text {
			t.Errorf("%d bytes as %d: %v", len(text), len(b), err)
		}
	}
	if err := pack(name + ".none"); err == nil {
		t.Error("packed a file that is not there")
	}
}

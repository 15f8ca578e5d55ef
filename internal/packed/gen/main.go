// Command gen packs files for package packed: each FILE into FILE.flate.
//
//	//go:generate go run netprobe/internal/packed/gen FILE...
package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"os"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := pack(name); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}

func pack(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(name+".flate", b.Bytes(), 0o644)
}

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"netprobe/output"
	"netprobe/sweep"
)

// bads are the targets that cannot be swept, told as they are met: lines of a
// stream, names without an address, or that the stream itself broke.
type bads struct {
	log    *slog.Logger
	source string // where lines come from
	// failed records that a name could not be tested.
	failed func(name string, err error)

	mu    sync.Mutex
	lines notices
	names notices
	met   bool
}

func newBads(stderr io.Writer, log *slog.Logger, source string) *bads {
	const few = 20
	return &bads{log: log, source: source, lines: notices{w: stderr, few: few}, names: notices{w: stderr, few: few}}
}

// tell is what sweep.Config.Bad asks for.
func (b *bads) tell(line int, text string, err error) {
	if errors.Is(err, sweep.ErrExcluded) {
		b.log.Info("left out", "target", text)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.met = true
	if line > 0 {
		b.lines.add(fmt.Sprintf("%s:%d: %q: %s", output.Escape(b.source), line, text, output.Escape(err.Error())))
		return
	}
	b.names.add(fmt.Sprintf("%s: %s%s", output.Escape(text), output.Escape(err.Error()), fileHint(text)))
	b.failed(text, err)
}

// fileHint speaks up where a name without address is that of a file.
func fileHint(name string) string {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return fmt.Sprintf(" (targets from this file: -f %q)", name)
	}
	return ""
}

// broke takes in that the stream ended with an error.
func (b *bads) broke(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.met = true
	b.lines.print(fmt.Sprintf("cannot read more targets from %s: %s", output.Escape(b.source), output.Escape(err.Error())))
}

// any reports whether there were any.
func (b *bads) any() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.met
}

// flush says how many more there were than were told.
func (b *bads) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines.flush()
	b.names.flush()
}

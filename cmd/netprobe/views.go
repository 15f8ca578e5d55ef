package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	"netprobe/output"
	"netprobe/probe"
)

// flushLimit is how long the end of a run waits for whoever reads stdout.
const flushLimit = 5 * time.Second

// outlets are where a run writes: stdout, and the file of --out if there is one.
type outlets struct {
	stdout *output.Writer
	lines  *backlog     // where views write to stdout
	file   *output.File // nil without --out
	path   string
	tty    *os.File // stdout if that is a terminal
	live   bool     // what stands on tty is redrawn in place; set by views
}

// openOutlets opens what the flags ask for. A stdout that is a terminal is
// written through line, if there is one. stop is called as soon as stdout fails,
// which Report would only notice at the next line but one.
func openOutlets(f *runFlags, stdout io.Writer, line *output.StatusLine, stop context.CancelCauseFunc) (*outlets, error) {
	o := &outlets{path: f.out}
	file, ok := stdout.(*os.File)
	switch {
	case ok && term.IsTerminal(int(file.Fd())) && !dumb():
		o.tty = file
		if line != nil {
			stdout = line
		}
	case ok && line != nil && isPipe(file):
		stdout = &givingWay{file, line}
	}
	o.lines = &backlog{empty: make(chan struct{}, 1)}
	o.stdout = output.NewWriter(&watchedWriter{stdout, stop, o.lines})
	o.lines.w = o.stdout
	if f.out == "" {
		return o, nil
	}
	var err error
	if o.file, err = output.OpenFile(f.out); err != nil {
		return nil, fmt.Errorf("cannot write records: %w", err)
	}
	return o, nil
}

// givingWay writes to a pipe whose reader may well write on to the terminal of
// line. That is erased before, and comes back with its next change.
type givingWay struct {
	*os.File
	line *output.StatusLine
}

func (w *givingWay) Write(p []byte) (int, error) {
	w.line.Set("")
	return w.File.Write(p)
}

func isPipe(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// dumb reports whether the terminal can only print line after line. Windows has
// no TERM, and consoles that can do more.
func dumb() bool {
	kind := os.Getenv("TERM")
	return kind == "dumb" || kind == "" && runtime.GOOS != "windows"
}

// A display is how a verb shows its runs.
type display struct {
	// usual is the format unless one is asked for.
	usual func(terminal bool, targets int) string
	view  func(format string, w io.Writer, o output.Options) (output.View, error)
}

// views returns what shows a run of that many targets.
func (o *outlets) views(f *runFlags, d display, quiet bool, targets int) ([]output.View, error) {
	format := f.format
	if format == "" {
		format = d.usual(o.tty != nil, targets)
	}
	o.live = o.tty != nil && format == "table" && !quiet
	options := output.Options{Quiet: quiet, Timestamps: f.stamps}
	if o.tty != nil {
		options.Terminal = true
		options.Color = os.Getenv("NO_COLOR") == ""
		options.Size = o.size
	}
	view, err := d.view(format, o.lines, options)
	if err != nil || o.file == nil {
		return []output.View{view}, err
	}
	records, err := d.view("json", o.file, output.Options{}) // whole, however quiet the screen
	return []output.View{view, records}, err
}

func (o *outlets) size() (cols, rows int) {
	cols, rows, err := term.GetSize(int(o.tty.Fd()))
	if err != nil {
		return 80, 24
	}
	return cols, rows
}

// close writes what is left and tells people on stderr what was lost. It
// returns the error of stdout, if that is not just a reader who left.
func (o *outlets) close(stderr io.Writer) error {
	err := o.stdout.Close(flushLimit)
	if o.file != nil {
		if err := o.file.Close(); err != nil {
			fmt.Fprintf(stderr, "netprobe: records are missing in %q: %v\n", o.path, err)
		} else if n := o.file.Dropped(); n > 0 {
			fmt.Fprintf(stderr, "netprobe: %d records not written to %q: nobody read them, or not fast enough\n", n, o.path)
		}
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return outputError(err)
	}
	if n := o.stdout.Dropped(); n > 0 {
		fmt.Fprintf(stderr, "netprobe: %d lines of output were dropped: stdout was not read\n", n)
	}
	return nil
}

// outputError says that stdout failed. A reader who left early is no error.
func outputError(err error) error {
	if err == nil || isClosedPipe(err) {
		return nil
	}
	return untested(fmt.Errorf("cannot write output: %w", err))
}

// watchedWriter tells at once when a write fails, not at the write after that,
// and what was written.
type watchedWriter struct {
	io.Writer
	stop  context.CancelCauseFunc
	lines *backlog
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.stop(&probe.SinkError{Err: err})
	}
	w.lines.passed(max(n, 0))
	return n, err
}

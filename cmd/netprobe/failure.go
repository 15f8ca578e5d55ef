package main

import (
	"errors"
	"fmt"
	"io"

	"netprobe/output"
)

// Exit codes, as the contract has them.
const (
	exitAnswered = 0 // every target answered and no expectation failed
	exitSilent   = 1 // we tested, and some target did not answer or an expectation failed
	exitUsage    = 2 // usage error; nothing was sent
	exitUntested = 3 // we could not test
)

// A failure is an error for people: one lower-case line, then hints with the
// command that mends it. What users wrote is quoted (%q) in both, so that no
// control character reaches the terminal.
type failure struct {
	code  int
	msg   string
	hints []string
}

func (f *failure) Error() string { return f.msg }

// usage is a failure before anything was sent. An empty hint is left out.
func usage(hint, format string, args ...any) *failure {
	f := &failure{code: exitUsage, msg: fmt.Sprintf(format, args...)}
	if hint != "" {
		f.hints = []string{hint}
	}
	return f
}

// untested is a failure that says nothing about the targets.
func untested(err error, hints ...string) *failure {
	return &failure{code: exitUntested, msg: err.Error(), hints: hints}
}

// status is the exit code of a verb that has said everything there is to say.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// conclude prints what err has to say to people and returns its exit code.
func conclude(stderr io.Writer, err error) int {
	if err == nil {
		return exitAnswered
	}
	if s, ok := errors.AsType[status](err); ok {
		return int(s)
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{code: exitUsage, msg: err.Error()}
	}
	f.print(stderr)
	return f.code
}

func (f *failure) print(w io.Writer) {
	fmt.Fprintf(w, "netprobe: %s\n", output.Escape(f.msg))
	for _, h := range f.hints {
		fmt.Fprintf(w, "hint: %s\n", output.Escape(h))
	}
}

package lab

import (
	"errors"
	"fmt"
	"io"
)

// Program is a command to run inside a network, for programs that people start;
// tests have Start. It needs no second program and leaves nothing behind:
//
//	this program              itself once more, in new namespaces
//	Run ── starts ──────────► Inside: makes the TUN device, addresses, names
//	    ◄── the device ──────
//	    the simulator runs
//	    ─── go on ──────────► becomes the command
//	    ◄── ends ────────────
//
// The namespaces (network and mount; as an ordinary user also a user namespace,
// in which the command is root) have no names and end with the command.
// Programs that it leaves running are ended with it, and so is everything if this
// process is killed. The device is never open in the command.
//
// The command keeps the terminal: where this process is in the foreground of
// one, the command is in the same process group, gets Ctrl-C itself, and is killed
// by two within two seconds. Elsewhere it has a group of its own, to which
// signals are passed on.
type Program struct {
	Topology Topology
	Self     []string // how this program is started again (argv) so that it calls Inside
	Args     []string // the command and its arguments; they follow Self
	Env      []string // of the command; nil means this program's own
	Path     string   // the command's file; empty: Args[0] is looked up as shells do

	Stdin          io.Reader // as those of exec.Cmd: files are handed on as they are
	Stdout, Stderr io.Writer

	// Ready is called when the network is up, before the command starts, with
	// what does not work inside, one line each.
	Ready func(doubts []string)
}

// Run builds the network, runs the command in it and returns its exit code,
// which is 128 and the signal's number if one killed it. The error is a *CommandError, a
// *BuildError, or one of Topology.Validate; on systems without network
// namespaces it wraps errors.ErrUnsupported.
func (p Program) Run() (code int, err error) { return runProgram(&p) }

// Inside is the other half of Program.Run: what Program.Self starts calls it
// with the command, before it does anything else. It returns only if it cannot go
// on, which Run knows and tells, or with ErrOutside.
func Inside(args []string) error { return inside(args) }

// ErrOutside is the error of Inside where no Run started the process.
var ErrOutside = errors.New("lab: not started by lab.Program")

// Obstacle is what keeps a network from being built.
type Obstacle uint8

// The obstacles.
const (
	Unforeseen   Obstacle = iota
	NoNamespaces          // the system refuses new namespaces
	NoTUN                 // no TUN device can be made
)

// BuildError says why there is no network.
type BuildError struct {
	Obstacle Obstacle
	User     bool // a user namespace was asked for
	Err      error
}

func (e *BuildError) Error() string {
	switch e.Obstacle {
	case NoNamespaces:
		what := "network"
		if e.User {
			what = "user"
		}
		return fmt.Sprintf("no %s namespace: %v", what, e.Err)
	case NoTUN:
		return fmt.Sprintf("no TUN device: %v", e.Err)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// CommandError says why the command did not start.
type CommandError struct {
	Name  string
	Found bool // there is such a file, but it cannot be executed
	Err   error
}

func (e *CommandError) Error() string { return fmt.Sprintf("cannot run %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *CommandError) Unwrap() error { return e.Err }

// Code is the exit code that shells have for it.
func (e *CommandError) Code() int {
	if e.Found {
		return 126
	}
	return 127
}

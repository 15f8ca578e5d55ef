package lab

import (
	"cmp"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// order is what Run tells Inside.
type order struct {
	Prober    []netip.Addr
	MTU       int // bytes
	Resolvers []netip.Addr
	Path      string
}

// report is what Inside tells Run: that it is ready, why it cannot go on, or
// later why the command did not start.
type report struct {
	Obstacle Obstacle      `json:",omitempty"`
	Text     string        `json:",omitempty"` // what went wrong; empty if all is well
	Errno    syscall.Errno `json:",omitempty"` // of it, 0 if unknown
	Found    bool          `json:",omitempty"` // CommandError.Found
	Doubts   []string      `json:",omitempty"`
}

// err returns what went wrong; errors.Is finds its number.
func (r *report) err() error {
	if r.Text == "" {
		return nil
	}
	return &reported{r.Text, r.Errno}
}

// reported is an error of the other process.
type reported struct {
	text  string
	errno syscall.Errno
}

func (e *reported) Error() string { return e.text }

func (e *reported) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// runProgram is Program.Run.
func runProgram(p *Program) (int, error) {
	if err := p.Topology.Validate(); err != nil {
		return 0, err
	}
	if len(p.Args) == 0 {
		return 0, &BuildError{Err: errors.New("lab: no command")}
	}
	// The command is to die with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer adoptOrphans()()
	others := children()
	c, err := p.start()
	if err != nil {
		return 0, err
	}
	defer watchSignals(c)()
	code, err := c.attend(p)
	endOrphans(others)
	return code, err
}

// child is the process that becomes the command.
type child struct {
	*exec.Cmd
	link     *pipe
	ownGroup bool // it has a process group of its own
	user     bool // it has a user namespace
}

// start starts this program once more, in namespaces of its own.
func (p *Program) start() (*child, error) {
	ours, theirs, err := newPipe()
	if err != nil {
		return nil, &BuildError{Err: err}
	}
	defer theirs.Close()
	c := &child{Cmd: exec.Command("/proc/self/exe"), link: ours, ownGroup: !foreground(), user: !mayUnshare()}
	c.Args = append(append([]string{}, p.Self...), p.Args...)
	c.Env = p.Env
	c.Stdin, c.Stdout, c.Stderr = p.Stdin, p.Stdout, p.Stderr
	c.ExtraFiles = []*os.File{theirs}
	c.WaitDelay = time.Second
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
		Setpgid:    c.ownGroup,
	}
	if c.user {
		// A binary with file capabilities cannot be looked into, and so the
		// identities of its child could not be mapped.
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		c.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	if err := c.Start(); err != nil {
		return nil, errors.Join(&BuildError{Obstacle: NoNamespaces, User: c.user, Err: bare(err)}, ours.Close())
	}
	return c, nil
}

// attend plays the network until the command ends, and returns its exit code.
func (c *child) attend(p *Program) (int, error) {
	stop, err := c.connect(p)
	if err == nil {
		err = c.let(p)
	}
	_ = c.link.Close() // what still waits for a word from us ends
	// How it ended says the state; this error is that or of a copied stream.
	_ = c.Wait()
	state, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	if stop != nil {
		err = errors.Join(err, stop())
	}
	switch {
	case ok && state.Signaled():
		return 128 + int(state.Signal()), nil
	case err != nil:
		return 0, err
	}
	return c.ProcessState.ExitCode(), nil
}

// connect joins the device of the child to a simulator. stop, unless it is nil,
// ends both.
func (c *child) connect(p *Program) (stop func() error, err error) {
	t := p.Topology
	t.LogLimit = 1 // nobody asks
	prober := t.proberAddrs()
	resolvers := slices.DeleteFunc(slices.Clone(t.resolvers()), func(a netip.Addr) bool { return !sameFamily(prober, a).IsValid() })
	err = c.link.send(order{Prober: prober, MTU: cmp.Or(t.Out.MTU, defaultMTU), Resolvers: resolvers, Path: p.Path}, -1)
	if err != nil {
		return nil, &BuildError{Err: err}
	}
	var r report
	fd, err := c.link.receive(&r)
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("lab: the process inside ended too early")
	case err == nil && r.Text != "":
		err = r.err()
	case err == nil && fd < 0:
		err = errors.New("lab: no device came")
	}
	if err != nil {
		return nil, &BuildError{Obstacle: r.Obstacle, User: c.user, Err: err}
	}
	device := &tun{file: os.NewFile(uintptr(fd), tunPath)}
	s, err := newSim(&t, device.write)
	if err != nil {
		return nil, errors.Join(err, device.close())
	}
	sleep, err := s.wakeExactly()
	if err != nil {
		return nil, errors.Join(err, device.close())
	}
	device.pump(func(raw []byte) { _ = s.ingress(raw) })
	if p.Ready != nil {
		p.Ready(r.Doubts)
	}
	return func() error { s.close(); return errors.Join(sleep(), device.close()) }, nil
}

// let lets the child become the command. It returns when it has.
func (c *child) let(p *Program) error {
	if err := c.link.send(order{}, -1); err != nil {
		return &BuildError{Err: err}
	}
	var r report
	_, err := c.link.receive(&r)
	if errors.Is(err, io.EOF) {
		return nil // its end of the pipe is closed on exec
	}
	if err == nil {
		err = r.err()
	}
	return &CommandError{Name: p.Args[0], Found: r.Found, Err: err}
}

// mayUnshare reports whether the namespaces need no user namespace around them:
// the process is root, and not confined.
func mayUnshare() bool { return os.Geteuid() == 0 && privileged() }

// foreground reports whether the process is in the foreground of a terminal,
// which then sends it and what it starts Ctrl-C.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// bare returns the error of the system call in err, without the path of this
// program around it.
func bare(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}

package lab

import (
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// twice is how soon a second Ctrl-C has to follow the first to kill.
const twice = 2 * time.Second

// watchSignals passes signals on to the command until the function it returns
// is called. What the terminal sends to all of its foreground the command has
// got already.
func watchSignals(c *child) (end func()) {
	signals := make(chan os.Signal, 16)
	list := []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}
	if !signal.Ignored(unix.SIGHUP) { // nohup keeps its meaning
		list = append(list, unix.SIGHUP)
	}
	signal.Notify(signals, list...)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var last time.Time // of the Ctrl-C before
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				switch fromTerminal := !c.ownGroup && (s == unix.SIGINT || s == unix.SIGQUIT); {
				case !fromTerminal:
					c.pass(s.(syscall.Signal))
				case s == unix.SIGINT && time.Since(last) < twice:
					c.pass(unix.SIGKILL)
				default:
					last = time.Now()
				}
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}

// pass sends s to the command, and to what it started if that is a group.
func (c *child) pass(s syscall.Signal) {
	// It may have ended already.
	if c.ownGroup {
		_ = unix.Kill(-c.Process.Pid, s)
		return
	}
	_ = c.Process.Signal(s)
}

// adoptOrphans makes processes whose parent ends children of this one, until
// the function it returns is called.
func adoptOrphans() (end func()) {
	set := func(on uintptr) { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) } // before Linux 3.4
	set(1)
	return func() { set(0) }
}

// grace is how long programs that the command left running have to end.
const grace = time.Second

// endOrphans ends what the command left running, since its network is gone: all
// children of this process but others.
func endOrphans(others []int) {
	begin := time.Now()
	for {
		orphans := slices.DeleteFunc(children(), func(pid int) bool { return slices.Contains(others, pid) })
		if len(orphans) == 0 || time.Since(begin) > 2*grace {
			return
		}
		s := unix.SIGTERM
		if time.Since(begin) > grace {
			s = unix.SIGKILL
		}
		for _, pid := range orphans {
			_ = unix.Kill(pid, s) // it may have ended
			_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// children returns the processes whose parent this one is; none where the
// kernel does not tell.
func children() []int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var pids []int
	for _, t := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

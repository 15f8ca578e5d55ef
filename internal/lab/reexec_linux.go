package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// childEnv tells a process started by reexec (and what it starts itself) which
// network namespace it was brought away from.
const childEnv = "NETPROBE_LAB_OUTSIDE"

// errReexec is why the tests run where they are, if they do.
var errReexec error

// reexec runs this program once more in namespaces of its own and returns its
// exit code. done is false if the program is to go on itself: it is that child
// already, or the system refuses.
func reexec() (code int, done bool) {
	here, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		errReexec = err
		return 0, false
	}
	if outside := os.Getenv(childEnv); outside != "" && outside != here {
		errReexec = prepareChild()
		return 0, false
	}
	cmd := childCommand(here)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP, unix.SIGUSR1)
	defer signal.Stop(signals)
	// The child is to die with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		errReexec = err
		return 0, false
	}
	return wait(cmd, signals), true
}

// childCommand is this program with its arguments, in namespaces of its own.
func childCommand(here string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), childEnv+"="+here)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		Pdeathsig:  unix.SIGKILL,
	}
	if !privileged() {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// wait passes signals on until cmd ends, and returns its exit code.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) int {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// It may have ended already.
			_ = cmd.Process.Signal(s)
		case <-ended:
			if code := cmd.ProcessState.ExitCode(); code >= 0 {
				return code
			}
			return 2 // killed by a signal; what a crash of the Go runtime returns
		}
	}
}

// prepareChild prepares the new namespaces: mounts stay inside, loopback works.
func prepareChild() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

// privileged reports whether the process has CAP_SYS_ADMIN.
func privileged() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// checkNamespaces reports why there can be no network namespaces.
func checkNamespaces() error {
	n, err := newNamespace()
	if err == nil {
		return n.close()
	}
	if errReexec != nil {
		return fmt.Errorf("lab: no user namespace for the tests (run them as root or allow user namespaces): %w", errReexec)
	}
	return fmt.Errorf("lab: no network namespace (run as root, or call lab.Main in TestMain): %w", err)
}

// checkTUN reports why there can be no TUN device.
func checkTUN() error {
	n, err := newNamespace()
	if err != nil {
		return err
	}
	defer n.close()
	d, err := openTUN(n)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("lab: no TUN device (run as root, or: chmod a+rw %s): %w", tunPath, err)
	}
	if err != nil {
		return fmt.Errorf("lab: no TUN device: %w", err)
	}
	return d.close()
}

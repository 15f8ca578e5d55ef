package lab

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// firstExtra is the first of exec.Cmd.ExtraFiles in the child.
const firstExtra = 3

// inside is the function Inside.
func inside(args []string) error {
	link, ok := inherited(firstExtra)
	if !ok || len(args) == 0 {
		return ErrOutside
	}
	var o order
	if _, err := link.receive(&o); err != nil {
		return err
	}
	device, doubts, err := settle(&o)
	if err != nil {
		return errors.Join(err, link.send(failed(err), -1))
	}
	err = errors.Join(link.send(report{Doubts: doubts}, int(device.Fd())), device.Close())
	if err != nil {
		return err
	}
	if _, err := link.receive(&order{}); err != nil {
		return err // the parent has ended
	}
	if err := link.dieTogether(); err != nil {
		return err
	}
	err = become(o.Path, args)
	return errors.Join(err, link.send(failed(err), -1))
}

// failed is the report of an error.
func failed(err error) report {
	r := report{Text: err.Error()}
	if e, ok := errors.AsType[*BuildError](err); ok {
		r.Obstacle, r.Text = e.Obstacle, e.Err.Error()
	}
	if e, ok := errors.AsType[*CommandError](err); ok {
		r.Found, r.Text = e.Found, e.Err.Error()
	}
	r.Errno, _ = errors.AsType[syscall.Errno](err)
	return r
}

// settle makes the new namespaces the prober's, and returns its device and what
// does not work.
func settle(o *order) (device *os.File, doubts []string, err error) {
	if err := prepareChild(); err != nil {
		return nil, nil, &BuildError{Obstacle: NoNamespaces, Err: err}
	}
	own, err := currentNamespace()
	if err != nil {
		return nil, nil, err
	}
	defer own.close()
	if device, err = attachTUN(); err != nil {
		return nil, nil, &BuildError{Obstacle: NoTUN, Err: err}
	}
	prober := slices.Clone(o.Prober)
	// New namespaces may inherit that the system wants none.
	_ = own.sysctl("net.ipv6.conf."+deviceName+".disable_ipv6", "0")
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		prober = slices.DeleteFunc(prober, netip.Addr.Is6)
		doubts = append(doubts, "there is no IPv6 here: this kernel has none")
	}
	err = own.readyTUN(o.MTU)
	if err == nil {
		err = configureNear(&Namespace{sys: own}, &Topology{Prober: prober, Out: Link{MTU: o.MTU}})
	}
	if err != nil {
		return nil, nil, errors.Join(err, device.Close())
	}
	own.allowPing()
	if len(o.Resolvers) > 0 {
		if err := useResolvers(o.Resolvers); err != nil {
			doubts = append(doubts, "the names of this network are not known to programs: "+err.Error())
		}
	}
	return device, doubts, nil
}

// currentNamespace is the one this process is in.
func currentNamespace() (*linuxNamespace, error) {
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("lab: own namespace: %w", err)
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lab: netlink: %w", err), ns.Close())
	}
	n := &linuxNamespace{ns: ns, nl: nl}
	if err := n.prepare(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// allowPing lets everybody open ICMP datagram sockets (icmp(7)). Where a user
// namespace knows group 0 only, everybody is group 0.
func (n *linuxNamespace) allowPing() {
	const setting = "net.ipv4.ping_group_range"
	if n.sysctl(setting, "0 2147483647") != nil {
		_ = n.sysctl(setting, "0 0") // else raw sockets are there
	}
}

// dieTogether has this thread, which is to become the command, killed when the
// parent ends: what os/exec asked for holds for the first thread only, and Go may
// call exec on another one.
func (p *pipe) dieTogether() error {
	runtime.LockOSThread() // for good
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if n, _, err := unix.Recvfrom(int(p.file.Fd()), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT); err == nil && n == 0 {
		return io.EOF // it has ended already
	}
	return nil
}

// become replaces this process by a command. It returns a *CommandError.
func become(path string, args []string) error {
	if path == "" {
		found, err := exec.LookPath(args[0])
		if err != nil {
			if e, ok := errors.AsType[*exec.Error](err); ok {
				err = e.Err
			}
			return &CommandError{Name: args[0], Found: !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist), Err: err}
		}
		path = found
	}
	err := syscall.Exec(path, args, os.Environ())
	if err == unix.ENOEXEC { // a script that does not say what runs it, as execvp(3)
		err = syscall.Exec("/bin/sh", append([]string{"sh", path}, args[1:]...), os.Environ())
	}
	return &CommandError{Name: args[0], Found: true, Err: err}
}

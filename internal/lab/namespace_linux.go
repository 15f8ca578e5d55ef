package lab

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// deviceName is the same everywhere: every device is alone in its namespace.
const deviceName = "lab0"

// linuxNamespace is the system behind a Namespace.
type linuxNamespace struct {
	ns netns.NsHandle
	nl *netlink.Handle
}

// newNamespace makes a namespace with its loopback interface up, IPv6 addresses
// usable at once, and nothing sent unasked.
func newNamespace() (*linuxNamespace, error) {
	type result struct {
		ns  netns.NsHandle
		err error
	}
	made := make(chan result)
	go func() {
		// Never unlocked: the thread is in the new namespace and ends with
		// the goroutine.
		runtime.LockOSThread()
		ns, err := netns.New()
		made <- result{ns, err}
	}()
	r := <-made
	if r.err != nil {
		return nil, os.NewSyscallError("unshare", r.err)
	}
	nl, err := netlink.NewHandleAt(r.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lab: netlink: %w", err), r.ns.Close())
	}
	n := &linuxNamespace{ns: r.ns, nl: nl}
	if err := n.prepare(); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *linuxNamespace) prepare() error {
	// Where the kernel has no IPv6 there is nothing to set.
	if err := n.sysctl("net.ipv6.conf.default.accept_dad", "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	lo, err := n.nl.LinkByName("lo")
	if err != nil {
		return err
	}
	return n.nl.LinkSetUp(lo)
}

func (n *linuxNamespace) do(f func()) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("lab: own namespace: %w", err)
	}
	defer home.Close()
	if err := netns.Set(n.ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("lab: enter namespace: %w", os.NewSyscallError("setns", err))
	}
	defer func() {
		// A thread that cannot come home stays locked, and ends with its goroutine.
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
	}()
	f()
	return nil
}

func (n *linuxNamespace) device() string { return deviceName }

// onDevice calls f with the device.
func (n *linuxNamespace) onDevice(f func(netlink.Link) error) error {
	dev, err := n.nl.LinkByName(deviceName)
	if err != nil {
		return err
	}
	return f(dev)
}

func (n *linuxNamespace) setUp(up bool) error {
	if up {
		return n.onDevice(n.nl.LinkSetUp)
	}
	return n.onDevice(n.nl.LinkSetDown)
}

// ready waits for the carrier, which Linux notices a while after the other end
// of a veth pair is up; until then packets vanish without an error.
func (n *linuxNamespace) ready() error {
	var err error
	if !soon(func() bool {
		up := false
		err = n.onDevice(func(dev netlink.Link) error {
			state := dev.Attrs().OperState
			up = state == netlink.OperUp || state == netlink.OperUnknown
			return nil
		})
		return up || err != nil
	}) {
		return errors.New("no carrier: is the other end down?")
	}
	return err
}

// soon waits until done, and reports whether it was within some seconds.
func soon(done func() bool) bool {
	for range 5000 {
		if done() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

func (n *linuxNamespace) setMTU(bytes int) error {
	return n.onDevice(func(dev netlink.Link) error { return n.nl.LinkSetMTU(dev, bytes) })
}

func (n *linuxNamespace) addAddr(a netip.Prefix) error {
	return n.onDevice(func(dev netlink.Link) error {
		addr := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := n.nl.AddrAdd(dev, addr); err != nil {
			return unlessThere(err)
		}
		if a.Addr().Is6() && dev.Attrs().Flags&net.FlagUp != 0 {
			return n.awaitLocal6(a.Addr())
		}
		return nil
	})
}

// awaitLocal6 waits until packets to a are taken in. For IPv6 a kernel worker
// sees to that some time after the address was added, even without duplicate
// address detection.
func (n *linuxNamespace) awaitLocal6(a netip.Addr) error {
	var err error
	if !soon(func() bool {
		var routes []byte
		if e := n.do(func() { routes, err = os.ReadFile("/proc/thread-self/net/ipv6_route") }); e != nil {
			err = e
		}
		return err != nil || hasLocal6(string(routes), a)
	}) {
		return errors.New("still not usable after some seconds")
	}
	return err
}

// hasLocal6 looks for the local route of a in what the kernel says in ipv6_route
// (net/ipv6/route.c): destination and its length first, flags and device last, in hex.
func hasLocal6(routes string, a netip.Addr) bool {
	const rtfLocal = 1 << 31 // include/uapi/linux/ipv6_route.h
	b := a.As16()
	start := hex.EncodeToString(b[:]) + " 80 "
	for line := range strings.Lines(routes) {
		if f := strings.Fields(line); strings.HasPrefix(line, start) && len(f) == 10 {
			if flags, err := strconv.ParseUint(f[8], 16, 32); err == nil && flags&rtfLocal != 0 {
				return true
			}
		}
	}
	return false
}

func (n *linuxNamespace) removeAddr(a netip.Prefix) error {
	return n.onDevice(func(dev netlink.Link) error { return n.nl.AddrDel(dev, &netlink.Addr{IPNet: ipNet(a)}) })
}

func (n *linuxNamespace) addRoute(r route) error {
	return unlessThere(n.onDevice(func(dev netlink.Link) error { return n.nl.RouteAdd(r.netlink(dev)) }))
}

func (n *linuxNamespace) removeRoute(r route) error {
	return n.onDevice(func(dev netlink.Link) error { return n.nl.RouteDel(r.netlink(dev)) })
}

func (r route) netlink(dev netlink.Link) *netlink.Route {
	to := &netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(r.to), Scope: netlink.SCOPE_LINK}
	if r.via.IsValid() {
		to.Gw, to.Scope = r.via.AsSlice(), netlink.SCOPE_UNIVERSE
	}
	return to
}

// serve adds a route of type local: the kernel takes the whole prefix for its
// own addresses ("AnyIP").
func (n *linuxNamespace) serve(p netip.Prefix) error {
	lo, err := n.nl.LinkByName("lo")
	if err != nil {
		return err
	}
	return n.nl.RouteAdd(&netlink.Route{
		LinkIndex: lo.Attrs().Index, Dst: ipNet(p), Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST,
	})
}

// spare keeps an address out of the prefixes that are served. It has to be in
// the table of the local routes, which Linux asks first.
func (n *linuxNamespace) spare(a netip.Addr) error {
	return n.onDevice(func(dev netlink.Link) error {
		to := route{to: netip.PrefixFrom(a, a.BitLen())}.netlink(dev)
		to.Table = unix.RT_TABLE_LOCAL
		return n.nl.RouteAdd(to)
	})
}

// sysctl writes below /proc/sys/net, which shows each thread its own namespace.
func (n *linuxNamespace) sysctl(name, value string) error {
	var err error
	if e := n.do(func() {
		err = os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0)
	}); e != nil {
		return e
	}
	return err
}

// ordinary puts the process into a user namespace of its own, where it is not
// root. What it may do there does not reach a network namespace that belongs to
// another; and it can still open what the tests can open.
func (n *linuxNamespace) ordinary(c *exec.Cmd) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
	c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}}
	c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}}
}

func (n *linuxNamespace) close() error {
	n.nl.Close()
	return n.ns.Close()
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func unlessThere(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

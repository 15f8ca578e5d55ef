package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"sync"
)

// Namespace is a network namespace without a name: it lives as long as
// something holds it, so nothing stays behind whatever becomes of the process.
// It has a loopback interface and one device more. Only Linux has it.
type Namespace struct {
	sys system

	mu     sync.Mutex
	addrs  []netip.Prefix // what Up brings back
	routes []route
}

type route struct {
	to  netip.Prefix
	via netip.Addr // invalid: on the device itself
}

// system is what the operating system does for a Namespace.
type system interface {
	do(f func()) error
	device() string
	setUp(up bool) error
	ready() error // the device can carry packets
	setMTU(bytes int) error
	addAddr(a netip.Prefix) error // no error if it is there; usable on return if the device is up
	removeAddr(a netip.Prefix) error
	addRoute(r route) error // no error if it is there
	removeRoute(r route) error
	serve(p netip.Prefix) error
	spare(a netip.Addr) error // from serve
	sysctl(name, value string) error
	ordinary(c *exec.Cmd)
	close() error
}

// Device is the name of the namespace's device: a TUN device or one end of a
// veth pair.
func (n *Namespace) Device() string { return n.sys.device() }

// Do runs f on a thread that is inside the namespace: sockets that f opens stay
// there for good, goroutines that f starts are outside. It may be nested, and f
// may end the test.
func (n *Namespace) Do(f func()) error { return n.sys.do(f) }

// Up sets the device up and brings its addresses and routes back, some of which
// Linux drops when a device goes down.
func (n *Namespace) Up() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.sys.setUp(true); err != nil {
		return fmt.Errorf("lab: set %s up: %w", n.Device(), err)
	}
	if err := n.sys.ready(); err != nil {
		return fmt.Errorf("lab: set %s up: %w", n.Device(), err)
	}
	return n.restore()
}

// Down sets the device down.
func (n *Namespace) Down() error {
	if err := n.sys.setUp(false); err != nil {
		return fmt.Errorf("lab: set %s down: %w", n.Device(), err)
	}
	return nil
}

// restore adds the addresses and routes that are missing.
func (n *Namespace) restore() error {
	for _, a := range n.addrs {
		if err := n.sys.addAddr(a); err != nil {
			return fmt.Errorf("lab: add address %v: %w", a, err)
		}
	}
	for _, r := range n.routes {
		if err := n.sys.addRoute(r); err != nil {
			return fmt.Errorf("lab: add route to %v: %w", r.to, err)
		}
	}
	return nil
}

// SetMTU sets the MTU of the device in bytes. Under 1280 Linux takes IPv6 away.
func (n *Namespace) SetMTU(bytes int) error {
	if err := n.sys.setMTU(bytes); err != nil {
		return fmt.Errorf("lab: set MTU %d: %w", bytes, err)
	}
	return nil
}

// AddAddr adds an address to the device, usable at once.
func (n *Namespace) AddAddr(a netip.Prefix) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = append(n.addrs, a)
	return n.restore()
}

// RemoveAddr removes an address (whatever its prefix length) from the device.
func (n *Namespace) RemoveAddr(a netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.addrs, func(p netip.Prefix) bool { return p.Addr() == a })
	if i < 0 {
		return fmt.Errorf("lab: remove address %v: not there", a)
	}
	p := n.addrs[i]
	n.addrs = slices.Delete(n.addrs, i, i+1)
	if err := n.sys.removeAddr(p); err != nil {
		return fmt.Errorf("lab: remove address %v: %w", p, err)
	}
	return nil
}

// AddRoute adds a route through via, or through the device itself if via is invalid.
func (n *Namespace) AddRoute(to netip.Prefix, via netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.routes = append(n.routes, route{to.Masked(), via})
	return n.restore()
}

// RemoveRoute removes the route to a prefix.
func (n *Namespace) RemoveRoute(to netip.Prefix) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.routes, func(r route) bool { return r.to == to.Masked() })
	if i < 0 {
		return fmt.Errorf("lab: remove route to %v: not there", to)
	}
	r := n.routes[i]
	n.routes = slices.Delete(n.routes, i, i+1)
	if err := n.sys.removeRoute(r); err != nil {
		return fmt.Errorf("lab: remove route to %v: %w", to, err)
	}
	return nil
}

// Serve lets the kernel answer for every address of the prefixes.
func (n *Namespace) Serve(prefixes ...netip.Prefix) error {
	for _, p := range prefixes {
		if err := n.sys.serve(p.Masked()); err != nil {
			return fmt.Errorf("lab: serve %v: %w", p, err)
		}
	}
	return nil
}

// Sysctl sets a network setting of the namespace, such as "net.ipv4.ip_default_ttl".
func (n *Namespace) Sysctl(name, value string) error {
	if err := n.sys.sysctl(name, value); err != nil {
		return fmt.Errorf("lab: sysctl %s=%s: %w", name, value, err)
	}
	return nil
}

// PingGroups allows ICMP datagram sockets to the group ids first to last; first
// above last allows nobody, as a new namespace does. The tests run as group 0,
// and Ordinary processes count as such; in a user namespace no other id can be
// named. See icmp(7).
func (n *Namespace) PingGroups(first, last int) error {
	return n.Sysctl("net.ipv4.ping_group_range", fmt.Sprintf("%d %d", first, last))
}

// Command is exec.CommandContext for a process inside the namespace.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *Cmd {
	return &Cmd{Cmd: exec.CommandContext(ctx, name, args...), n: n}
}

// Close lets go of the namespace. It vanishes with its last socket and process.
func (n *Namespace) Close() error { return n.sys.close() }

// Cmd is a command that runs inside a Namespace.
type Cmd struct {
	*exec.Cmd
	n *Namespace
}

// Ordinary makes the process an ordinary user's: uid and gid 1000 without any
// capability over the namespace. Files it reaches as the user that runs the
// tests. It returns c.
func (c *Cmd) Ordinary() *Cmd {
	c.n.sys.ordinary(c.Cmd)
	return c
}

// Start is exec.Cmd.Start inside the namespace.
func (c *Cmd) Start() error {
	var err error
	if e := c.n.Do(func() { err = c.Cmd.Start() }); e != nil {
		return e
	}
	return err
}

// Run is exec.Cmd.Run inside the namespace.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output is exec.Cmd.Output inside the namespace.
func (c *Cmd) Output() ([]byte, error) {
	var out []byte
	var err error
	if e := c.n.Do(func() { out, err = c.Cmd.Output() }); e != nil {
		return nil, e
	}
	return out, err
}

// CombinedOutput is exec.Cmd.CombinedOutput inside the namespace.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out []byte
	var err error
	if e := c.n.Do(func() { out, err = c.Cmd.CombinedOutput() }); e != nil {
		return nil, e
	}
	return out, err
}

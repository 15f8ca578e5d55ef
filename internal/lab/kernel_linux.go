package lab

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// defaultMTU is Ethernet's.
const defaultMTU = 1500

// cleanup is a stack of things to undo.
type cleanup []func() error

func (c *cleanup) add(f func() error) { *c = append(*c, f) }

func (c *cleanup) run() error {
	var errs []error
	for _, f := range slices.Backward(*c) {
		errs = append(errs, f())
	}
	*c = nil
	return errors.Join(errs...)
}

// startTopology puts the simulator behind a TUN device in the prober's
// namespace and, if a host asks for a kernel, another one in a second namespace.
func startTopology(t *Topology) (l *Lab, err error) {
	var undo cleanup
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run())
		}
	}()
	near, nearTUN, err := tunNamespace(cmp.Or(t.Out.MTU, defaultMTU), &undo)
	if err != nil {
		return nil, err
	}
	s, err := newSim(t, nearTUN.write)
	if err != nil {
		return nil, err
	}
	stop, err := s.wakeExactly()
	if err != nil {
		return nil, err
	}
	undo.add(stop)
	l = &Lab{Namespace: near, sim: s}
	if slices.ContainsFunc(t.Hosts, func(h Host) bool { return h.Kernel }) {
		far, farTUN, err := tunNamespace(defaultMTU, &undo)
		if err != nil {
			return nil, err
		}
		l.Far = far
		s.kernel = func(raw []byte) { farTUN.write(raw) }
		if err := configureFar(far, t); err != nil {
			return nil, err
		}
		farTUN.pump(s.fromKernel)
	}
	if err := configureNear(near, t); err != nil {
		return nil, err
	}
	// What is no IP packet, and what comes after the end, is not for us.
	nearTUN.pump(func(raw []byte) { _ = s.ingress(raw) })
	undo.add(func() error { s.close(); return nil }) // first of all
	l.close = undo.run
	return l, nil
}

// tunNamespace makes a namespace with a TUN device that is not up yet.
func tunNamespace(mtu int, undo *cleanup) (*Namespace, *tun, error) {
	sys, err := newNamespace()
	if err != nil {
		return nil, nil, err
	}
	undo.add(sys.close)
	d, err := openTUN(sys)
	if err != nil {
		return nil, nil, err
	}
	undo.add(d.close)
	if err := sys.readyTUN(mtu); err != nil {
		return nil, nil, err
	}
	return &Namespace{sys: sys}, d, nil
}

// readyTUN sets what a TUN device needs before it goes up.
func (n *linuxNamespace) readyTUN(mtu int) error {
	// No link-local address: it would stand in for one that a test removes.
	if err := n.sysctl("net.ipv6.conf."+deviceName+".addr_gen_mode", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := n.onDevice(func(dev netlink.Link) error {
		return errors.Join(n.nl.LinkSetTxQLen(dev, tunQueue), n.nl.LinkSetMTU(dev, mtu))
	})
	if err != nil {
		return fmt.Errorf("lab: configure TUN device: %w", err)
	}
	return nil
}

// minMTU6 is the smallest MTU with IPv6 (RFC 8200 section 5): below it Linux
// has none on the device.
const minMTU6 = 1280

// configureNear gives the prober its addresses and routes for everything else.
func configureNear(n *Namespace, t *Topology) error {
	addrs := slices.Clone(t.proberAddrs())
	if t.Out.MTU > 0 && t.Out.MTU < minMTU6 {
		addrs = slices.DeleteFunc(addrs, netip.Addr.Is6)
	}
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.PrefixFrom(a, a.BitLen()))
	}
	for _, p := range everything(addrs) {
		n.routes = append(n.routes, route{to: p})
	}
	return n.Up()
}

// configureFar lets the far kernel answer for the hosts that ask for it.
func configureFar(n *Namespace, t *Topology) error {
	for _, p := range everything(t.proberAddrs()) {
		n.routes = append(n.routes, route{to: p})
	}
	if err := n.Up(); err != nil {
		return err
	}
	for _, a := range append(slices.Clone(t.proberAddrs()), outerAddrs(t.Hops)...) {
		if err := n.sys.spare(a); err != nil {
			return fmt.Errorf("lab: spare %v: %w", a, err)
		}
	}
	for _, h := range t.Hosts {
		if !h.Kernel {
			continue
		}
		at := h.At
		if at == nil {
			at = everything(t.proberAddrs())
		}
		if err := n.Serve(at...); err != nil {
			return err
		}
		if err := own(n, at); err != nil {
			return err
		}
	}
	return nil
}

// maxOwn bounds the addresses that a far kernel gets as its own.
const maxOwn = 64

// own makes single IPv6 addresses the kernel's own. For those it only serves,
// Linux sends no ICMPv6 errors.
func own(n *Namespace, at []netip.Prefix) error {
	for _, p := range at {
		if !p.IsSingleIP() || p.Addr().Is4() || len(n.addrs) >= maxOwn {
			continue
		}
		if err := n.AddAddr(p); err != nil {
			return err
		}
	}
	return nil
}

// outerAddrs returns the outer addresses of all translators, which the far
// kernel takes for the prober's.
func outerAddrs(hops []Hop) (list []netip.Addr) {
	for i := range hops {
		if t := newTranslator(&hops[i]); t != nil {
			for _, a := range t.outer {
				if !slices.Contains(list, a) {
					list = append(list, a)
				}
			}
		}
		for _, way := range hops[i].Ways {
			list = append(list, outerAddrs(way)...)
		}
	}
	return list
}

// startVeth makes a veth pair between two namespaces.
func startVeth(v Veth) (l *Lab, err error) {
	var undo cleanup
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.run())
		}
	}()
	var ends [2]*linuxNamespace
	for i := range ends {
		if ends[i], err = newNamespace(); err != nil {
			return nil, err
		}
		undo.add(ends[i].close)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = deviceName
	if v.MTU > 0 {
		attrs.MTU = v.MTU
	}
	pair := netlink.NewVeth(attrs)
	pair.PeerName, pair.PeerNamespace, pair.PeerMTU = deviceName, netlink.NsFd(ends[1].ns), uint32(attrs.MTU)
	if err := ends[0].nl.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("lab: make a veth pair: %w", err)
	}
	l = &Lab{Namespace: &Namespace{sys: ends[0]}, Far: &Namespace{sys: ends[1]}, close: undo.run}
	if v.Near == nil {
		v.Near = At("192.0.2.1/24", "2001:db8::1/64")
	}
	if v.Far == nil {
		v.Far = At("192.0.2.2/24", "2001:db8::2/64")
	}
	if v.Neighbours {
		if err := introduce(ends, v); err != nil {
			return nil, err
		}
	}
	return l, v.configure(l)
}

// configure sets both ends up and routes the served prefixes to the far one.
func (v Veth) configure(l *Lab) error {
	l.Namespace.addrs = slices.Clone(v.Near)
	l.Far.addrs = slices.Clone(v.Far)
	// Neither end has a carrier before both are up.
	if err := errors.Join(l.Far.sys.setUp(true), l.Up(), l.Far.Up()); err != nil {
		return err
	}
	for _, p := range v.Serve {
		i := slices.IndexFunc(v.Far, func(a netip.Prefix) bool { return a.Addr().Is4() == p.Addr().Is4() })
		if i < 0 {
			return fmt.Errorf("lab: serve %v: the far end has no address of that family", p)
		}
		if err := l.AddRoute(p, v.Far[i].Addr()); err != nil {
			return err
		}
	}
	return l.Far.Serve(v.Serve...)
}

// introduce makes each end know the link-layer address of the other.
func introduce(ends [2]*linuxNamespace, v Veth) error {
	var devs [2]netlink.Link
	for i, n := range ends {
		dev, err := n.nl.LinkByName(deviceName)
		if err != nil {
			return err
		}
		devs[i] = dev
	}
	for i, n := range ends {
		for _, a := range [2][]netip.Prefix{v.Far, v.Near}[i] {
			err := n.nl.NeighSet(&netlink.Neigh{
				LinkIndex: devs[i].Attrs().Index, State: unix.NUD_PERMANENT,
				IP: a.Addr().AsSlice(), HardwareAddr: devs[1-i].Attrs().HardwareAddr,
			})
			if err != nil {
				return fmt.Errorf("lab: introduce %v: %w", a.Addr(), err)
			}
		}
	}
	return nil
}

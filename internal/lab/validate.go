package lab

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
)

// Validate reports the first thing in t that no network could be.
func (t *Topology) Validate() error {
	if err := oneEach("prober", t.proberAddrs()); err != nil {
		return err
	}
	if err := errors.Join(t.Out.validate("prober out"), t.Back.validate("prober back")); err != nil {
		return err
	}
	if _, err := validateHops("hop", t.Hops, 0); err != nil {
		return err
	}
	for i := range t.Hosts {
		if err := t.Hosts[i].validate(fmt.Sprintf("host %d", i+1)); err != nil {
			return err
		}
	}
	return t.validateNames()
}

// Bounds of what may be side by side.
const (
	maxPaths = 1 << 16 // different paths through the network
	maxDepth = 8       // sections of ways inside each other
)

// validateHops checks a chain of hops and returns how many paths lead through it.
func validateHops(name string, hops []Hop, depth int) (paths int, err error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("lab: %s: ways nested more than %d deep", name, maxDepth)
	}
	paths = 1
	for i := range hops {
		h, name := &hops[i], fmt.Sprintf("%s %d", name, i+1)
		if h.Ways == nil {
			if err := h.validate(name); err != nil {
				return 0, err
			}
			continue
		}
		n, err := h.validateWays(name, depth)
		if err != nil {
			return 0, err
		}
		if paths *= n; paths > maxPaths {
			return 0, fmt.Errorf("lab: %s: more than %d different paths", name, maxPaths)
		}
	}
	return paths, nil
}

// validateWays checks a section and returns how many paths lead through it.
func (h *Hop) validateWays(name string, depth int) (paths int, err error) {
	rest := *h
	rest.Ways, rest.PerPacket = nil, false
	if !reflect.ValueOf(rest).IsZero() {
		return 0, fmt.Errorf("lab: %s: a section of ways has no fields of its own but PerPacket", name)
	}
	if len(h.Ways) == 0 {
		return 0, fmt.Errorf("lab: %s: a section without a way", name)
	}
	for i, way := range h.Ways {
		n, err := validateHops(fmt.Sprintf("%s way %d hop", name, i+1), way, depth+1)
		if err != nil {
			return 0, err
		}
		paths += n
	}
	return paths, nil
}

func (h *Hop) validate(name string) error {
	err := errors.Join(oneEach(name, h.Addrs), oneEach(name+" redirect", h.Redirect),
		h.Out.validate(name+" out"), h.Back.validate(name+" back"), h.Quote.validate(name),
		h.RateLimit.validate(name), h.NAT.validate(name, h.Addrs), validateTold(name, h.MPLS, h.Interfaces))
	if h.PerPacket {
		err = errors.Join(err, fmt.Errorf("lab: %s: PerPacket without ways", name))
	}
	if h.Delay < 0 {
		err = errors.Join(err, fmt.Errorf("lab: %s: negative delay", name))
	}
	return err
}

func (h *Host) validate(name string) error {
	err := errors.Join(oneEach(name+" from", h.From), h.Out.validate(name+" out"),
		h.Back.validate(name+" back"), h.Quote.validate(name), h.RateLimit.validate(name))
	for _, p := range h.At {
		if !p.IsValid() {
			err = errors.Join(err, fmt.Errorf("lab: %s: invalid prefix", name))
		}
	}
	if h.Delay < 0 {
		err = errors.Join(err, fmt.Errorf("lab: %s: negative delay", name))
	}
	return err
}

func (n *NAT) validate(name string, hop []netip.Addr) error {
	if n == nil {
		return nil
	}
	if n.Addrs == nil && hop == nil {
		return fmt.Errorf("lab: %s: address translation without an outer address", name)
	}
	return oneEach(name+" NAT", n.Addrs)
}

// maxIfName is how long an interface name may be (RFC 5837 section 4.3).
const maxIfName = 63

func validateTold(name string, stack []Label, interfaces []Interface) error {
	for _, l := range stack {
		if l.Label >= 1<<20 || l.TC >= 1<<3 {
			return fmt.Errorf("lab: %s: label %d of 20 bits with traffic class %d of 3", name, l.Label, l.TC)
		}
	}
	for _, i := range interfaces {
		if i.Role > 3 || len(i.Name) > maxIfName || i.MTU < 0 || uint64(i.MTU) > math.MaxUint32 {
			return fmt.Errorf("lab: %s: interface %q with role %d, MTU %d", name, i.Name, i.Role, i.MTU)
		}
	}
	if n := len(told(stack, interfaces)); n > maxTold {
		return fmt.Errorf("lab: %s: labels and interfaces take %d octets of %d", name, n, maxTold)
	}
	return nil
}

func (t *Topology) validateNames() error {
	for _, a := range t.resolvers() {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("lab: resolver: %v is not a plain address", a)
		}
	}
	if t.NameDelay < 0 {
		return errors.New("lab: resolver: negative delay")
	}
	for a, name := range t.Names {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("lab: name %q: %v is not a plain address", name, a)
		}
		if err := validateName(name); err != nil {
			return err
		}
	}
	return nil
}

// validateName checks the lengths in RFC 1035 section 2.3.4.
func validateName(name string) error {
	if len(name) > 253 {
		return fmt.Errorf("lab: name %q: longer than 253 octets", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 {
			return fmt.Errorf("lab: name %q: label of %d octets", name, len(label))
		}
	}
	return nil
}

func oneEach(name string, addrs []netip.Addr) error {
	var seen [2]bool
	for _, a := range addrs {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("lab: %s: %v is not a plain address", name, a)
		}
		f := 0
		if a.Is6() {
			f = 1
		}
		if seen[f] {
			return fmt.Errorf("lab: %s: two addresses of one family", name)
		}
		seen[f] = true
	}
	return nil
}

func (l Link) validate(name string) error {
	for _, share := range []float64{l.Loss, l.Duplicate, l.Corrupt, l.Reorder} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("lab: %s: share %v is not between 0 and 1", name, share)
		}
	}
	if l.Delay < 0 || l.Jitter < 0 || l.ReorderDelay < 0 || l.MTU < 0 {
		return fmt.Errorf("lab: %s: negative delay or MTU", name)
	}
	return nil
}

func (q Quote) validate(name string) error {
	if len(q.Options) > 40 || q.Transport < 0 {
		return fmt.Errorf("lab: %s: quote of %d option octets, %d transport octets", name, len(q.Options), q.Transport)
	}
	return nil
}

func (r RateLimit) validate(name string) error {
	if !(r.PerSecond >= 0) || r.Burst < 0 {
		return fmt.Errorf("lab: %s: negative rate limit", name)
	}
	return nil
}

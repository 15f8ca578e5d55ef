package dnsprobe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of a walk.
const (
	maxWalkQueries = 64
	maxDepth       = 4 // addresses of servers of servers of ...
	maxGlueless    = 4 // servers of one zone whose addresses are looked up
)

// walker is one walk. It remembers the zones it came through.
type walker struct {
	cfg    WalkConfig
	zones  map[string][]nameserver
	asking map[string]bool // addresses being looked up
	steps  []WalkStep
	left   int           // queries
	took   time.Duration // of all of them
}

// finding is how the lookup of one name ended.
type finding struct {
	meaning
	msg   *dns.Msg // nil if broke
	zone  string   // whose server answered, or none of whose servers did
	broke *Break
}

func newWalker(cfg WalkConfig) *walker {
	cfg.Port = cmp.Or(cfg.Port, 53)
	cfg.Timeout = cmp.Or(max(cfg.Timeout, 0), 2*time.Second)
	cfg.MaxQueries = cmp.Or(max(cfg.MaxQueries, 0), maxWalkQueries)
	if cfg.exchange == nil {
		cfg.exchange = carrier{cfg.Socket}.exchange
	}
	w := &walker{
		cfg:    cfg,
		zones:  map[string][]nameserver{".": rootHints},
		asking: map[string]bool{},
		left:   cfg.MaxQueries,
	}
	if cfg.Root.IsValid() {
		w.zones["."] = []nameserver{{addrs: []netip.Addr{cfg.Root.Addr().Unmap()}}}
	}
	return w
}

// fetch is a fetcher: the answer that the authoritative servers give.
func (w *walker) fetch(ctx context.Context, name string, typ uint16) (*dns.Msg, time.Duration, error) {
	before := w.took
	w.left = w.cfg.MaxQueries // validation has its own bound
	l := w.lookup(ctx, name, typ, 0)
	if l.broke != nil {
		return nil, w.took - before, fmt.Errorf("%s: %s", l.broke.Zone, l.broke.Why)
	}
	return l.msg, w.took - before, nil
}

// lookup goes from the deepest known zone above name to the one that answers.
// Referrals lead strictly downward, so that it ends.
func (w *walker) lookup(ctx context.Context, name string, typ uint16, depth int) finding {
	zone := w.nearest(name, typ)
	for {
		l := w.askZone(ctx, zone, name, typ, depth)
		if l.broke != nil || l.kind != Referral {
			return l
		}
		zone = l.to
		w.zones[zone] = l.servers
	}
}

// nearest returns the deepest zone met so far that may know about name. DS
// records are in the zone above.
func (w *walker) nearest(name string, typ uint16) string {
	if typ == dns.TypeDS {
		name = parentOf(name)
	}
	for ; name != "."; name = parentOf(name) {
		if _, ok := w.zones[name]; ok {
			return name
		}
	}
	return "."
}

// setback is why a server of a zone did not lead further.
type setback struct {
	why   string
	local bool // this host could not ask
}

// askZone asks servers of zone, one after the other, until one leads further.
func (w *walker) askZone(ctx context.Context, zone, name string, typ uint16, depth int) finding {
	var failed []setback
	last := -1 // step that has to be told what was tried next
	for s := range w.servers(ctx, zone, depth, &failed) {
		if w.left == 0 {
			return broken(zone, false, "more than %d queries needed", w.cfg.MaxQueries)
		}
		if last >= 0 {
			w.steps[last].Next = s.String()
		}
		step := WalkStep{Zone: show(zone), Server: show(s.name), Addr: s.addr, Name: show(name), Type: showType(typ), Depth: depth}
		l := w.askServer(ctx, s, zone, name, typ, &step)
		last = len(w.steps)
		w.steps = append(w.steps, step)
		if ctx.Err() != nil {
			return broken(zone, false, "interrupted")
		}
		switch l.kind {
		case Referral, Answered, Alias, NoName, NoData:
			return l
		}
		failed = append(failed, setback{fmt.Sprintf("%s: %s", s, step.Why), l.kind == Unasked})
	}
	return w.brokenBy(zone, failed)
}

// brokenBy tells what this host could not do from what the zone's servers did.
func (w *walker) brokenBy(zone string, failed []setback) finding {
	var whys []string
	local := 0
	for _, f := range failed[:min(len(failed), maxServers)] {
		whys = append(whys, f.why)
		if f.local {
			local++
		}
	}
	switch {
	case len(whys) == 0 && w.cfg.Family != 0:
		return broken(zone, false, "no server of it has an IPv%d address", w.cfg.Family)
	case len(whys) == 0:
		return broken(zone, false, "no server of it has an address")
	case local == len(whys):
		return broken(zone, true, "none of its servers could be asked: %s", strings.Join(whys, "; "))
	}
	return broken(zone, false, "none of its servers led further: %s", strings.Join(whys, "; "))
}

func broken(zone string, local bool, format string, args ...any) finding {
	return finding{zone: zone, broke: &Break{Zone: show(zone), Why: fmt.Sprintf(format, args...), Local: local}}
}

// askServer asks one server and completes step by what it said.
func (w *walker) askServer(ctx context.Context, s nsAddr, zone, name string, typ uint16, step *WalkStep) finding {
	q := lookupQuery(name, typ, w.cfg.DNSSEC)
	asked, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	w.left--
	msg, took, err := w.cfg.exchange(asked, s.addr, q)
	if err == nil {
		err = mismatch(msg, q)
	}
	step.Took = took
	w.took += took
	if err != nil {
		return finding{zone: zone, meaning: w.failed(s, err, step)}
	}
	m := meaningOf(msg, zone, name, typ)
	step.Kind, step.Rcode, step.AA = m.kind, showRcode(msg.Rcode), m.mandated
	step.Why, step.Refused, step.Records = m.why, m.refused, texts(m.records)
	if m.to != "" {
		step.To = show(m.to)
	}
	for _, ns := range m.servers {
		step.Servers = append(step.Servers, ns.String())
	}
	return finding{meaning: m, msg: msg, zone: zone}
}

// failed tells silence from what this host could not do.
func (w *walker) failed(s nsAddr, err error, step *WalkStep) meaning {
	switch {
	case errors.Is(err, errLocal):
		step.Kind, step.Why = Unasked, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		step.Kind, step.Why = Silent, fmt.Sprintf("no answer within %v", w.cfg.Timeout)
	default:
		step.Kind, step.Why = Silent, err.Error()
	}
	return meaning{kind: step.Kind, why: step.Why}
}

// nsAddr is one address of a server.
type nsAddr struct {
	name string // empty for an address a walk was told to start at
	addr netip.AddrPort
}

func (s nsAddr) String() string {
	if s.name == "" {
		return s.addr.String()
	}
	return fmt.Sprintf("%s (%v)", show(s.name), s.addr.Addr())
}

func ipVersion(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

// servers yields the addresses of the servers of zone: first those that came
// with the referral, then those that have to be looked up. Why a lookup led to
// nothing goes to failed.
func (w *walker) servers(ctx context.Context, zone string, depth int, failed *[]setback) func(func(nsAddr) bool) {
	return func(yield func(nsAddr) bool) {
		known := slices.Clone(w.zones[zone])
		w.sort(known)
		for _, fam := range [...]int{4, 6} {
			for _, ns := range known {
				for _, a := range ns.addrs {
					if ipVersion(a) == fam && w.wants(fam) && !yield(nsAddr{ns.name, w.port(a)}) {
						return
					}
				}
			}
		}
		looked := 0
		for _, ns := range known {
			if len(ns.addrs) > 0 || ns.name == "" {
				continue
			}
			if looked++; looked > maxGlueless {
				*failed = append(*failed, setback{why: fmt.Sprintf("addresses of more than %d servers not looked up", maxGlueless)})
				return
			}
			addrs, f := w.addresses(ctx, zone, ns.name, depth)
			if len(addrs) == 0 {
				*failed = append(*failed, f)
			}
			for _, a := range addrs {
				if !yield(nsAddr{ns.name, w.port(a)}) {
					return
				}
			}
		}
	}
}

func (w *walker) wants(fam int) bool { return w.cfg.Family == 0 || w.cfg.Family == fam }

func (w *walker) port(a netip.Addr) netip.AddrPort {
	if root := w.cfg.Root; root.Addr().Unmap() == a && root.Port() != 0 {
		return netip.AddrPortFrom(a, root.Port())
	}
	return netip.AddrPortFrom(a, w.cfg.Port)
}

func (w *walker) sort(ns []nameserver) {
	if w.cfg.order != nil {
		w.cfg.order(ns)
		return
	}
	rand.Shuffle(len(ns), func(i, j int) { ns[i], ns[j] = ns[j], ns[i] })
}

// addresses looks a server's name up by a walk of its own.
func (w *walker) addresses(ctx context.Context, zone, name string, depth int) ([]netip.Addr, setback) {
	switch {
	case within(name, zone) && zone != ".":
		return nil, setback{why: fmt.Sprintf("%s is inside of %s, and no address of it came from above", show(name), show(zone))}
	case w.asking[name]:
		return nil, setback{why: fmt.Sprintf("%s is needed to find its own address", show(name))}
	case depth == maxDepth:
		return nil, setback{why: fmt.Sprintf("address of %s not looked up: too many lookups depend on each other", show(name))}
	}
	w.asking[name] = true
	defer delete(w.asking, name)
	var whys []string
	local := true
	for _, q := range [...]struct {
		version int
		typ     uint16
	}{{4, dns.TypeA}, {6, dns.TypeAAAA}} {
		if !w.wants(q.version) {
			continue
		}
		l := w.lookup(ctx, name, q.typ, depth+1)
		if addrs := addrsOf(l); len(addrs) > 0 {
			return addrs, setback{}
		}
		whys = append(whys, addressless(name, q.typ, l))
		local = local && l.broke != nil && l.broke.Local
		if l.broke != nil {
			break // for the other type it would, too
		}
	}
	return nil, setback{strings.Join(whys, "; "), local}
}

// addrsOf returns the addresses of servers in what was found.
func addrsOf(l finding) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range l.records {
		if a := addrOf(rr); a.IsValid() && addressable(a) && len(addrs) < maxGlue {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// addressless says why a lookup gave no address.
func addressless(name string, typ uint16, l finding) string {
	switch {
	case l.broke != nil:
		return fmt.Sprintf("address of %s not found: %s: %s", show(name), l.broke.Zone, l.broke.Why)
	case l.kind == Alias:
		return fmt.Sprintf("%s is an alias, which a server must not be (RFC 2181)", show(name))
	}
	return fmt.Sprintf("%s has no %s: %v", show(name), showType(typ), l.kind)
}

package stats

import (
	"net/netip"
	"slices"

	"netprobe/probe"
)

// Expectation is the set of ports that are to be open on a host, and no others.
type Expectation struct {
	ports []uint16 // ascending
	set   [1 << 10]uint64
}

// Expect returns the Expectation that these ports, in any order, are open; with
// none, that no port is.
func Expect(ports ...uint16) *Expectation {
	e := &Expectation{ports: slices.Clone(ports)}
	slices.Sort(e.ports)
	e.ports = slices.Compact(e.ports)
	for _, p := range e.ports {
		e.set[p/64] |= 1 << (p % 64)
	}
	return e
}

// Ports returns the ports that are to be open, in ascending order.
func (e *Expectation) Ports() []uint16 { return slices.Clone(e.ports) }

func (e *Expectation) has(p uint16) bool { return e.set[p/64]&(1<<(p%64)) != 0 }

// MissingPort is a port that was to be open and is not known to be.
type MissingPort struct {
	Port uint16
	PortVerdict
}

// PortVerdict is what is known of a port, and why.
type PortVerdict struct {
	Asked   bool // it has an outcome, and so what follows
	State   probe.PortState
	Pending bool // State is PortUnknown since the run ended first
	Reason  probe.Reason
	From    netip.Addr // who said so, if that was not the host itself; else invalid
}

// Difference is how the open ports of a host differ from those expected.
type Difference struct {
	Unexpected []uint16      // open, ascending
	Missing    []MissingPort // not open, ascending
}

// Met reports whether the open ports are those expected.
func (d *Difference) Met() bool { return len(d.Unexpected)+len(d.Missing) == 0 }

// Undecided reports whether the only difference is that ports expected could not
// be tested, were not asked, or not long enough: nobody knows whether they are
// open.
func (d *Difference) Undecided() bool {
	return !d.Met() && len(d.Unexpected) == 0 && !slices.ContainsFunc(d.Missing, func(p MissingPort) bool {
		return p.Asked && p.State != probe.PortUnknown
	})
}

// note keeps what came of an expected port of h.
func (e *Expectation) note(h *ScanHost, r *probe.Result, state probe.PortState) {
	port := r.Target.Addr.Port()
	if state == probe.PortOpen || !e.has(port) {
		return
	}
	m := MissingPort{port, PortVerdict{Asked: true, State: state, Pending: r.Status == probe.Pending, Reason: r.Reason}}
	if heard(r) && r.From != h.Addr {
		m.From = r.From
	}
	h.missing = append(h.missing, m)
}

// judge compares the open ports of h with those expected.
func (e *Expectation) judge(h *ScanHost) Difference {
	var d Difference
	open := h.Open()
	for _, p := range open {
		if !e.has(p) {
			d.Unexpected = append(d.Unexpected, p)
		}
	}
	for _, p := range e.ports {
		if _, ok := slices.BinarySearch(open, p); ok {
			continue
		}
		m := MissingPort{Port: p}
		if i := slices.IndexFunc(h.missing, func(m MissingPort) bool { return m.Port == p }); i >= 0 {
			m = h.missing[i]
		}
		d.Missing = append(d.Missing, m)
	}
	return d
}

// maxNamedRanges bounds how many ranges of ports a line of a Difference names,
// and maxVerdicts how many verdicts.
const (
	maxNamedRanges = 10
	maxVerdicts    = 8
)

// String returns the difference for people: "open and not expected: 8080;
// expected and not open: 443 (filtered, no-response)". It is empty if there is
// none, and not escaped.
func (d *Difference) String() string {
	var b []byte
	if len(d.Unexpected) > 0 {
		b = append(b, "open and not expected: "...)
		b = AppendPorts(b, d.Unexpected, maxNamedRanges)
	}
	if len(d.Missing) == 0 {
		return string(b)
	}
	if len(b) > 0 {
		b = append(b, "; "...)
	}
	b = append(b, "expected and not open: "...)
	verdicts, ports := d.byVerdict()
	for i, v := range verdicts {
		if i == maxVerdicts {
			b = append(b, " and others"...)
			break
		}
		if i > 0 {
			b = append(b, ", "...)
		}
		b = AppendPorts(b, ports[i], maxNamedRanges)
		b = append(v.append(append(b, " ("...)), ')')
	}
	return string(b)
}

// byVerdict returns the different verdicts and the missing ports of each.
func (d *Difference) byVerdict() (verdicts []PortVerdict, ports [][]uint16) {
	for _, m := range d.Missing {
		i := slices.Index(verdicts, m.PortVerdict)
		if i < 0 {
			i = len(verdicts)
			verdicts, ports = append(verdicts, m.PortVerdict), append(ports, nil)
		}
		ports[i] = append(ports[i], m.Port)
	}
	return verdicts, ports
}

// append appends "filtered, no-response".
func (v *PortVerdict) append(b []byte) []byte {
	switch {
	case !v.Asked:
		return append(b, "not asked"...)
	case v.Pending:
		return append(b, "not decided"...)
	case v.State == probe.PortUnknown:
		b = append(b, "not tested"...)
	default:
		b = append(b, v.State.String()...)
	}
	b = append(append(b, ", "...), v.Reason.String()...)
	if v.From.IsValid() {
		b = append(b, " from "...)
		b = append(b, v.From.String()...)
	}
	return b
}

package main

import (
	"fmt"
	"maps"
	"slices"

	"netprobe/probe"
	"netprobe/udpprobe/payload"
)

// A remarker is a Sink that has something to say at the end.
type remarker interface {
	probe.Sink
	// Remarks returns lines for people; who shows them escapes them.
	Remarks() []string
}

// udpVerdicts passes Results on and notes for each target what its answers say
// of the port, which over UDP takes words: silence is none.
type udpVerdicts struct {
	probe.Sink
	protocol func(port uint16) (p *payload.Protocol, own bool)
	rows     map[int]*udpVerdict // by the ID of the target
}

// udpVerdict is what is known of one target.
type udpVerdict struct {
	t      *probe.Target
	open   bool         // it answered
	silent bool         // some probe had no answer
	bad    string       // why an answer was none; empty if there was no such
	word   probe.Result // the last ICMP error; its Status is Lost if there was none
}

func newUDPVerdicts(next probe.Sink, protocol func(uint16) (*payload.Protocol, bool)) *udpVerdicts {
	return &udpVerdicts{Sink: next, protocol: protocol, rows: map[int]*udpVerdict{}}
}

func (u *udpVerdicts) Record(r *probe.Result) error {
	if r.Outcome() && r.Status != probe.Pending && r.Status != probe.Failed {
		u.row(r.Target).learn(r)
	}
	return u.Sink.Record(r)
}

func (u *udpVerdicts) row(t *probe.Target) *udpVerdict {
	v := u.rows[t.ID]
	if v == nil {
		v = new(udpVerdict)
		u.rows[t.ID] = v
	}
	v.t = t
	return v
}

func (v *udpVerdict) learn(r *probe.Result) {
	switch r.Status {
	case probe.Reply, probe.Late:
		v.open = true
	case probe.Lost:
		l, _ := r.Detail.(*probe.Layers)
		if r.Reason != probe.BadReply || l == nil {
			v.silent = true
			return
		}
		v.bad = l.Why
	default:
		v.word = *r
	}
}

// maxRemarks bounds how many lines there are at the end.
const maxRemarks = 10

func (u *udpVerdicts) Remarks() []string {
	var lines []string
	more := 0
	for _, id := range slices.Sorted(maps.Keys(u.rows)) {
		switch line := u.remark(u.rows[id]); {
		case line == "":
		case len(lines) == maxRemarks:
			more++
		default:
			lines = append(lines, line)
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more like this", more))
	}
	return lines
}

// remark says what state the port of v is in; nothing if it answered.
func (u *udpVerdicts) remark(v *udpVerdict) string {
	name, state := v.t.Name, ""
	switch {
	case v.open:
		return ""
	case v.bad != "":
		return fmt.Sprintf("%s: somebody is there, but %s", name, v.bad)
	case v.word.Status != probe.Lost:
		state = probe.StateOfPort(&v.word, true).String()
	case v.silent:
		return fmt.Sprintf("%s: open|filtered: %s", name, u.silence(v.t.Addr.Port()))
	default:
		return ""
	}
	if v.word.Status == probe.Refused {
		return fmt.Sprintf("%s: %s: the host itself says port-unreachable", name, state)
	}
	if !v.word.From.IsValid() {
		return fmt.Sprintf("%s: %s: %v", name, state, v.word.Reason)
	}
	return fmt.Sprintf("%s: %s: %v by %v", name, state, v.word.Reason, v.word.From)
}

// silence says what it means that nothing came back from port.
func (u *udpVerdicts) silence(port uint16) string {
	p, own := u.protocol(port)
	switch {
	case own:
		return "no answer; an open port keeps silent unless it understands the payload"
	case p == nil:
		return "no answer; nothing is known that this port would answer (--proto, --payload-hex)"
	case p.Mute != "":
		return p.Mute + ": silence says nothing"
	}
	return fmt.Sprintf("no answer to %s; an open port may keep silent, and so does a firewall", p.Name)
}

package output

import (
	"fmt"
	"slices"
	"strings"

	"netprobe/probe"
)

// noter says what changes along a path: it is told the hops in their order and
// remembers what the packets looked like so far.
type noter struct {
	proto   string
	rewrote probe.Rewrite
	intact  bool // an earlier hop quoted the checksum as it was sent
	tos     uint8
	quoted  uint8 // TTL
	first   uint8 // TTL tried
	offset  int   // hops by which the way back is longer than the way there
	mtu     int
	lossy   bool // packets are lost from an earlier hop on
}

func newNoter(t *TraceHeader) *noter {
	return &noter{proto: t.Proto, tos: t.TOS, quoted: 1, first: t.First}
}

// hop returns what there is to say about h as a whole, and about each of its
// hosts. loss is the share of packets that the path may have lost up to here.
func (n *noter) hop(h *hopRow, loss float64) (all []string, hosts [][]string) {
	for i := range h.hosts {
		hosts = append(hosts, n.host(&h.hosts[i], h.target))
	}
	if len(h.hosts) > 0 {
		all = n.changes(h)
	}
	switch h.balance {
	case probe.BalancePerFlow:
		all = append(all, fmt.Sprintf("%d ways, balanced per flow", len(h.hosts)))
	case probe.BalancePerPacket:
		all = append(all, fmt.Sprintf("%d ways, balanced per packet", len(h.hosts)))
	}
	if h.more {
		all = append(all, "and more addresses")
	}
	if h.mtu > 0 {
		if n.mtu > 0 && h.mtu < n.mtu {
			all = append(all, fmt.Sprintf("MTU %d", h.mtu))
		}
		n.mtu = h.mtu
	}
	return append(all, n.losses(h, loss)...), hosts
}

// losses says why probes to h went unanswered, as far as that is known. Behind
// a hop from which on packets are lost there is nothing to add.
func (n *noter) losses(h *hopRow, loss float64) []string {
	v := h.verdict
	behind := n.lossy
	n.lossy = n.lossy || v != nil && v.Kind == probe.PathLoss
	if behind && (v == nil || v.Kind == probe.HopLossOnly) {
		return nil
	}
	if text := lossText(v); text != "" {
		return []string{text}
	}
	if own, _ := h.lossFraction(); loss >= 0 && own > loss {
		return []string{spaced(percentText(own)) + " unanswered here, " + lostBeyond(loss)}
	}
	return nil
}

func lostBeyond(share float64) string {
	if share == 0 {
		return "none lost beyond"
	}
	return spaced(percentText(share)) + " beyond"
}

// host returns what one address told of itself and of our packet.
func (n *noter) host(o *hopHost, target bool) []string {
	var notes []string
	r := &o.latest
	switch {
	case r.Status == probe.Unreachable:
		notes = append(notes, r.Reason.String()+" "+annotation(r))
	case r.Reason == probe.RST:
		notes = append(notes, "port closed (rst)")
	case r.Reason == probe.SynAck:
		notes = append(notes, "port open (syn-ack)")
	case r.Status == probe.Refused && n.proto == "tcp":
		notes = append(notes, "refused ("+r.Reason.String()+")")
	case r.Status == probe.Late:
		notes = append(notes, "late")
	}
	if len(o.hop.MPLS) > 0 {
		notes = append(notes, labelNote(o.hop.MPLS))
	}
	for i := range o.hop.Interfaces {
		notes = append(notes, interfaceText(&o.hop.Interfaces[i]))
	}
	return notes
}

// labelNote returns "MPLS 24001 ttl 1/16".
func labelNote(labels []probe.Label) string {
	b := []byte("MPLS ")
	for i, l := range labels {
		if i > 0 {
			b = append(b, '/')
		}
		b = fmt.Appendf(b, "%d", l.Label)
		if l.TC > 0 {
			b = fmt.Appendf(b, " tc %d", l.TC)
		}
		if l.TTL != 1 {
			b = fmt.Appendf(b, " ttl %d", l.TTL)
		}
	}
	return string(b)
}

// changes returns what is different at h from the hops before it.
func (n *noter) changes(h *hopRow) []string {
	var notes []string
	o := &h.hosts[0]
	notes = append(notes, n.translation(h)...)
	if q := o.hop.Quote; q != nil {
		notes = append(notes, n.service(q.TOS)...)
		if q.TTL != n.quoted && o.latest.Status == probe.Expired {
			notes = append(notes, fmt.Sprintf("quotes ttl %d", q.TTL))
			n.quoted = q.TTL
		}
	}
	return append(notes, n.wayBack(h, o)...)
}

// translation tells of header fields that have changed since the hop before.
func (n *noter) translation(h *hopRow) []string {
	var now probe.Rewrite
	for i := range h.hosts {
		now |= h.hosts[i].rewrote
	}
	fresh := now &^ n.rewrote &^ probe.RewroteTOS
	n.rewrote |= now
	intact := n.intact
	n.intact = intact || h.hosts[0].hop.Quote != nil && now&probe.RewroteChecksum == 0
	fields := strings.Join(fresh.AppendNames(nil), ", ")
	switch {
	case fresh == 0:
		return nil
	case fresh == probe.RewroteChecksum && !intact:
		return []string{"checksum changed before here (NAT or offload)"}
	}
	return []string{"NAT before here (" + fields + ")"}
}

// service tells of a changed TOS or traffic class octet: six bits of DSCP (RFC
// 2474) above two of ECN (RFC 3168).
func (n *noter) service(tos uint8) []string {
	was := n.tos
	n.tos = tos
	switch {
	case was>>2 != tos>>2:
		return []string{fmt.Sprintf("DSCP %d→%d", was>>2, tos>>2)}
	case was != tos:
		return []string{fmt.Sprintf("ECN %d→%d", was&3, tos&3)}
	}
	return nil
}

// wayBack tells where the answers begin to take a longer or shorter way back
// than the probes took there. One hop more or less is within what guessing the
// initial TTL can tell.
func (n *noter) wayBack(h *hopRow, o *hopHost) []string {
	hops := returnHops(o.latest.TTL)
	if hops == 0 || h.target && n.first == h.ttl && h.ttl > 1 {
		return nil // it may be nearer than the first TTL tried
	}
	offset := hops - int(h.ttl)
	if -1 <= offset && offset <= 1 {
		offset = 0
	}
	if before := n.offset; offset == before || offset != 0 && before != 0 && -1 <= offset-before && offset-before <= 1 {
		return nil
	}
	n.offset = offset
	if offset == 0 {
		return nil
	}
	return []string{fmt.Sprintf("asymmetric: way back ~%d hops", hops)}
}

// conclusion says in one sentence how a trace ended.
func conclusion(p *probe.Path, rows []*hopRow, res *probe.Result) string {
	last := lastAnswer(rows)
	at := ""
	if last != nil {
		at = fmt.Sprintf("hop %d (%s)", last.ttl, Escape(last.hosts[0].addr.String()))
	}
	switch {
	case last != nil && (p.Reached() || last.target):
		return reachedText(p, int(last.ttl))
	case p.Stop == probe.StopReached:
		return "reached"
	case p.Stop == probe.StopFailed:
		text := "could not test"
		if res != nil && res.Err != nil {
			text += ": " + clip(res.Err.Error())
		}
		return text
	case p.Stop == probe.StopUnreachable && last != nil:
		return "stopped at " + at + ": " + stopper(last)
	case p.Stop == probe.StopDeadline:
		return until("the deadline came before the path was known", at)
	case p.Stop == probe.StopCanceled:
		return until("stopped before the path was known", at)
	case last == nil:
		return "no hop answered: firewalled, or this host's way out is broken"
	case p.Stop == probe.StopMaxTTL:
		return fmt.Sprintf("not reached within %d hops, last answer from %s", p.Hops[len(p.Hops)-1].TTL, at)
	}
	return "no answer beyond " + at + ": firewalled or silent"
}

// reachedText says how far the target is, also where the run ended before all
// nearer hops had been given their time; a monitored path always ends so.
func reachedText(p *probe.Path, hops int) string {
	text := fmt.Sprintf("reached in %d hops", hops)
	switch {
	case hops == int(p.First) && hops > 1:
		text = fmt.Sprintf("reached in %d hops or fewer", hops) // no lower TTL was tried
	case hops == 1:
		text = "reached in 1 hop"
	}
	if !p.Reached() && openProbes(p) > 0 {
		text += ", stopped before all hops were known"
	}
	return text
}

func until(text, at string) string {
	if at == "" {
		return text + ", no hop answered"
	}
	return text + ", last answer from " + at
}

// stopper says why h led no further.
func stopper(h *hopRow) string {
	for i := range h.hosts {
		if r := &h.hosts[i].latest; r.Status == probe.Unreachable {
			return r.Reason.String() + " " + annotation(r)
		}
	}
	return "unreachable"
}

// lastAnswer returns the farthest hop that answered, nil if none did.
func lastAnswer(rows []*hopRow) *hopRow {
	for _, h := range slices.Backward(rows) {
		if len(h.hosts) > 0 {
			return h
		}
	}
	return nil
}

// pathMTUText says what the search for the path MTU found, "" if there was none.
func pathMTUText(p *probe.Path) string {
	m := p.MTU
	if m == nil {
		return ""
	}
	at := ""
	if p.MTUHop > 0 {
		at = fmt.Sprintf(" at hop %d", p.MTUHop)
	}
	after := strings.Replace(at, " at ", " after ", 1)
	switch {
	case m.MTU == 0 && !m.Partial:
		return "path MTU unknown: no size was answered"
	case m.MTU == 0:
		return "path MTU unknown: the search could not be finished"
	case m.Partial:
		return fmt.Sprintf("path MTU at least %d: the search could not be finished", m.MTU)
	case m.BlackHole:
		return fmt.Sprintf("path MTU %d: black hole%s, larger packets vanish without an error", m.MTU, after)
	case m.Local:
		return fmt.Sprintf("path MTU %d: the limit of this host's own link", m.MTU)
	case m.From.IsValid():
		return fmt.Sprintf("path MTU %d: named by %s%s", m.MTU, Escape(m.From.String()), at)
	}
	return fmt.Sprintf("path MTU %d: no larger packet was answered%s", m.MTU, after)
}

// openProbes returns how many probes of p were still under way when it ended.
func openProbes(p *probe.Path) int {
	open := 0
	for i := range p.Hops {
		for j := range p.Hops[i].Probes {
			if p.Hops[i].Probes[j].Status == probe.Pending {
				open++
			}
		}
	}
	return open
}

// unsentText says how many probes this host could not send, "" if none.
func unsentText(rows []*hopRow) string {
	n, why := uint64(0), ""
	for _, h := range rows {
		if h.unsent != "" {
			n, why = n+h.summary().Failed, h.unsent
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "1 probe could not be sent: " + clip(why)
	}
	return fmt.Sprintf("%d probes could not be sent: %s", n, clip(why))
}

// remarks are the lines below a trace: how it ended, the path MTU, what could
// not be seen. inMS allows a time in milliseconds.
func remarks(p *probe.Path, rows []*hopRow, res *probe.Result, h *TraceHeader, inMS bool) []string {
	first := conclusion(p, rows, res)
	if last := lastAnswer(rows); inMS && last != nil && last.target {
		if s := last.summary(); s.RTT != nil {
			first += ", " + FormatDuration(s.RTT.Min)
		}
	}
	if p.Elapsed > 0 {
		first += ", took " + seconds(p.Elapsed)
	}
	lines := []string{first}
	if text := pathMTUText(p); text != "" {
		lines = append(lines, text)
	}
	if p.Incomplete {
		lines = append(lines, "there may be more paths: the search for them came to its bounds")
	}
	if text := unsentText(rows); text != "" && p.Stop != probe.StopFailed {
		lines = append(lines, text)
	}
	if open := openProbes(p); open > 0 && (p.Stop == probe.StopCanceled || p.Stop == probe.StopDeadline) {
		lines = append(lines, fmt.Sprintf("probes still under way: %d", open))
	}
	if len(h.Blind) > 0 && inMS { // a narrow terminal cuts the title
		lines = append(lines, "this socket does not show: "+clip(strings.Join(h.Blind, ", ")))
	}
	return lines
}

package dnsprobe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// testNet is servers at addresses, each with zones of its own, reached through
// nothing but time.
type testNet struct {
	t       testing.TB
	zones   map[string]*testZone
	at      map[string][]string               // zones by address
	delay   map[string]time.Duration          // of an address's answers; 1 ms where there is none
	fault   map[string]error                  // instead of an answer
	silent  map[string]bool                   // addresses that never answer
	rewrite map[string]func(*dns.Msg, string) // of an address's answers; told the name asked for
	asked   []string                          // "ADDRESS NAME TYPE"
}

// newNet makes zones of text, by name, unsigned and served at the addresses that
// at says.
func newNet(t testing.TB, zones, at map[string]string) *testNet {
	t.Helper()
	n := &testNet{
		t: t, zones: map[string]*testZone{}, at: map[string][]string{}, delay: map[string]time.Duration{},
		fault: map[string]error{}, silent: map[string]bool{}, rewrite: map[string]func(*dns.Msg, string){},
	}
	for name, text := range zones {
		z := &testZone{name: name, text: text}
		z.load(t, time.Now())
		n.zones[name] = z
	}
	for addr, served := range at {
		n.at[addr] = strings.Fields(served)
	}
	return n
}

func (n *testNet) exchange(ctx context.Context, server netip.AddrPort, q *dns.Msg) (*dns.Msg, time.Duration, error) {
	addr, name := server.Addr().String(), dns.CanonicalName(q.Question[0].Name)
	n.asked = append(n.asked, fmt.Sprintf("%s %s %s", addr, name, showType(q.Question[0].Qtype)))
	if err := n.fault[addr]; err != nil {
		return nil, 0, err
	}
	if n.silent[addr] || n.at[addr] == nil && n.rewrite[addr] == nil {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	took := max(n.delay[addr], time.Millisecond)
	select {
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-time.After(took):
	}
	m := &dns.Msg{}
	m.Rcode = dns.RcodeRefused
	var best *testZone
	for _, zone := range n.at[addr] {
		if z := n.zones[zone]; within(name, zone) && (best == nil || below(zone, best.name)) &&
			!(q.Question[0].Qtype == dns.TypeDS && zone == name && zone != ".") {
			best = z
		}
	}
	if best != nil {
		m = best.answer(name, q.Question[0].Qtype)
	}
	if f := n.rewrite[addr]; f != nil {
		f(m, name)
	}
	head := m.MsgHdr
	m.SetReply(q)
	m.Rcode, m.Authoritative, m.RecursionAvailable = head.Rcode, head.Authoritative, head.RecursionAvailable
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	wire, err := m.Pack()
	if err != nil {
		return nil, 0, err
	}
	out := &dns.Msg{}
	return out, took, out.Unpack(wire)
}

var errNoRoute = fmt.Errorf("%w: network is unreachable", errLocal)

var errRefusedPort = errors.New("connection refused")

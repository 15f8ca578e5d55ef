package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"netprobe/probe"
)

// pathOf makes a path of words: each is a hop, "*" silent, "1,2" answered by
// 198.51.100.1 and .2, "t7" the target 203.0.113.7.
func pathOf(stop probe.Stop, words string) *probe.Path {
	p := &probe.Path{Stop: stop, Target: &probe.Target{Addr: netip.MustParseAddrPort("203.0.113.7:0")}}
	for i, word := range strings.Fields(words) {
		h := probe.PathHop{TTL: uint8(i + 1), Probes: []probe.Result{{Status: probe.Lost}}}
		prefix := "198.51.100."
		if rest, ok := strings.CutPrefix(word, "t"); ok {
			h.Target, prefix, word = true, "203.0.113.", rest
			p.Target = &probe.Target{Addr: netip.MustParseAddrPort(prefix + rest + ":0")}
		}
		for last := range strings.SplitSeq(word, ",") {
			if last != "*" {
				h.Probes = append(h.Probes, probe.Result{Status: probe.Expired, From: netip.MustParseAddr(prefix + last)})
			}
		}
		p.Hops = append(p.Hops, h)
	}
	return p
}

func TestChanges(t *testing.T) {
	const (
		reached, gap, maxTTL, unreachable = probe.StopReached, probe.StopGap, probe.StopMaxTTL, probe.StopUnreachable
		deadline, failed                  = probe.StopDeadline, probe.StopFailed
	)
	for _, tt := range []struct {
		name     string
		wasStop  probe.Stop
		was      string
		nowStop  probe.Stop
		now      string
		want     string // lines, joined by "; "
		finished bool
	}{
		{"same", reached, "1 2 3 t7", reached, "1 2 3 t7", "", true},
		{"another hop", reached, "1 2 3 t7", reached, "1 9 3 t7", "path changed at hop 2: 198.51.100.9 was 198.51.100.2", true},
		{"two hops", reached, "1 2 3 t7", reached, "1 9 8 t7", "path changed at hop 2: 198.51.100.9 was 198.51.100.2; path changed at hop 3: 198.51.100.8 was 198.51.100.3", true},
		{"silent now", reached, "1 2 3 t7", reached, "1 * 3 t7", "", true},
		{"silent then", reached, "1 * 3 t7", reached, "1 2 3 t7", "", true},
		{"equal-cost paths overlap", reached, "1 2,3,4 5 t7", reached, "1 4 5 t7", "", true},
		{"equal-cost paths moved", reached, "1 2,3 5 t7", reached, "1 4,6 5 t7", "path changed at hop 2: 198.51.100.4 or 198.51.100.6 was 198.51.100.2 or 198.51.100.3", true},
		{"longer", reached, "1 2 t7", reached, "1 2 3 t7", "path length changed: 4 hops was 3", true},
		{"shorter by another way", reached, "1 2 3 t7", reached, "9 t7", "path changed at hop 1: 198.51.100.9 was 198.51.100.1; path length changed: 2 hops was 4", true},
		{"no longer reached", reached, "1 2 t7", gap, "1 2 * *", "end of the path changed: silent was reached", true},
		{"reached again", unreachable, "1 2", reached, "1 2 t7", "end of the path changed: reached was unreachable", true},
		{"silent to another depth", gap, "1 2 * *", maxTTL, "1 2 * * * *", "", true},
		{"cut short", reached, "1 2 3 t7", deadline, "1 2", "", false},
		{"cut short on another way", reached, "1 2 3 t7", deadline, "1 4", "path changed at hop 2: 198.51.100.4 was 198.51.100.2", false},
		{"not tested", reached, "1 t7", failed, "", "", false},
		{"target moved", reached, "1 t7", reached, "1 t8", "address of the target changed: 203.0.113.8 was 203.0.113.7", true},
		{"a hop where the target was", reached, "1 2 t7", gap, "1 2 9", "end of the path changed: silent was reached", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := pathOf(tt.nowStop, tt.now)
			var lines []string
			for _, c := range Changes(pathOf(tt.wasStop, tt.was), now) {
				lines = append(lines, c.String())
			}
			if got := strings.Join(lines, "; "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := Finished(now); got != tt.finished {
				t.Errorf("finished %v", got)
			}
		})
	}
}

// Every way that was recorded is one the path may take.
func TestChangesWithLinks(t *testing.T) {
	was := pathOf(probe.StopReached, "1 2 5 t7")
	for _, last := range []int{2, 3, 4} {
		a := netip.MustParseAddr(fmt.Sprint("198.51.100.", last))
		was.Links = append(was.Links, probe.PathLink{TTL: 1, From: netip.MustParseAddr("198.51.100.1"), To: a},
			probe.PathLink{TTL: 2, From: a, To: netip.MustParseAddr("198.51.100.5")})
	}
	if c := Changes(was, pathOf(probe.StopReached, "1 3 5 t7")); len(c) > 0 {
		t.Errorf("%v", c)
	}
	if c := Changes(was, pathOf(probe.StopReached, "1 8 5 t7")); len(c) != 1 || c[0].TTL != 2 || len(c[0].Was) != 3 {
		t.Errorf("%v", c)
	}
}

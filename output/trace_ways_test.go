package output

import (
	"net/netip"
	"slices"
	"testing"

	"netprobe/probe"
)

// linked returns a Path with a way through the routers of each string, one
// letter each from hop 1 on.
func linked(ways ...string) *probe.Path {
	p := &probe.Path{}
	for _, way := range ways {
		for i := 1; i < len(way); i++ {
			p.Links = append(p.Links, probe.PathLink{TTL: uint8(i), From: letter(way[i-1]), To: letter(way[i]), Flows: 1})
		}
	}
	return p
}

func letter(c byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, c - 'a' + 1}) }

// TestWaysOfUnequalLength draws ways by which the target is at different
// distances: the target leads nowhere.
func TestWaysOfUnequalLength(t *testing.T) {
	for _, tc := range []struct {
		name string
		ways []string
		want []string
	}{
		{"one goes on", []string{"abz", "acdz"}, []string{
			"  ┌─ 192.0.2.2 ── 192.0.2.26",
			"  └─ 192.0.2.3 ── 192.0.2.4 ─── 192.0.2.26",
		}},
		{"equal", []string{"abz", "acz"}, []string{
			"  ┌─ 192.0.2.2 ─┐",
			"  └─ 192.0.2.3 ─┘",
		}},
		{"two go on past one", []string{"abdz", "acz", "aeyz"}, []string{
			"  ┌─ 192.0.2.2 ── 192.0.2.4 ──┐",
			"  ├─ 192.0.2.3 ── 192.0.2.26  │",
			"  └─ 192.0.2.5 ── 192.0.2.25 ─┘",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := drawing(linked(tc.ways...), &names{none: true})
			if got := lines[2:]; !slices.Equal(got, tc.want) {
				t.Errorf("drawn\n%q\nwant\n%q", got, tc.want)
			}
		})
	}
}

// TestWaysThatCannotBeFollowed lists routers that packets pass one by one: which
// leads to which nobody knows.
func TestWaysThatCannotBeFollowed(t *testing.T) {
	p := linked("abdz", "acez", "abez", "acdz")
	for i := range p.Links {
		if p.Links[i].TTL == 2 {
			p.Links[i].Flows = 0
		}
	}
	want := []string{
		"",
		"paths from hop 1 (192.0.2.1) to hop 4 (192.0.2.26): which router leads to which cannot be told",
		"  hop 2: 192.0.2.2, 192.0.2.3",
		"  hop 3: 192.0.2.4, 192.0.2.5",
	}
	if got := drawing(p, &names{}); !slices.Equal(got, want) {
		t.Errorf("drawn\n%q\nwant\n%q", got, want)
	}
}

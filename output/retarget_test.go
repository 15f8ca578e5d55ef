package output

import (
	"bytes"
	"context"
	"net/netip"
	"testing"

	"netprobe/probe"
	"netprobe/stats"
)

// A name that is still looked up gets its line when it is known.
func TestPlainLateNames(t *testing.T) {
	var r probe.Resolver
	known := r.Resolve(context.Background(), []probe.Host{{Name: "192.0.2.1", Addr: netip.MustParseAddr("192.0.2.1")}})
	late := probe.NotYet(probe.Host{Name: "late.example", Lookup: "late.example"})
	targets := probe.Targets(append(known, late), false)

	var out bytes.Buffer
	v, err := NewView("plain", &out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	report := NewReport(&Header{Targets: targets, Size: 56}, stats.New(targets), v)
	if err := report.Begin(); err != nil {
		t.Fatal(err)
	}
	report.Retarget(&probe.Target{ID: 1, Name: "late.example", Addr: netip.MustParseAddrPort("192.0.2.7:0")})
	const want = "PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.\n" +
		"PING late.example (192.0.2.7) 56(84) bytes of data.\n"
	if got := out.String(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

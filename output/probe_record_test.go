package output

import (
	"encoding/json"
	"io"
	"net/netip"
	"testing"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// Views that may see a hundred thousand Results a second allocate nothing for one.
func TestResultAllocates(t *testing.T) {
	tg := &probe.Target{Name: "www.example.net", Addr: netip.MustParseAddrPort("[2001:db8::7]:0")}
	for _, format := range []string{"json", "csv", "plain", "table"} {
		v, err := NewView(format, io.Discard, Options{})
		if err != nil {
			t.Fatal(err)
		}
		set := stats.New([]*probe.Target{tg})
		if err := v.Begin(&Header{Verb: "ping", Targets: []*probe.Target{tg}}, set); err != nil {
			t.Fatal(err)
		}
		r := probe.Result{
			Target: tg, Seq: 1, Status: probe.Reply, Reason: probe.EchoReply, Size: 64, TTL: 57,
			From: tg.Addr.Addr(), Sent: time.Now(), RTT: 12_345_678, Clock: probe.Kernel,
			Flags: probe.Reordered | probe.WrongSource,
		}
		row := set.Record(&r)
		show := func() {
			r.Seq++
			if err := v.Result(&r, row); err != nil {
				t.Error(err)
			}
		}
		show()
		if n := testing.AllocsPerRun(100, show); n != 0 {
			t.Errorf("%s: %v allocations for a Result, want 0", format, n)
		}
	}
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\/", "\x00\x1f\x7f\u0085\u202e\u2028😀\U000e0041", "名前"} {
		var got string
		b := appendString(nil, s)
		if err := json.Unmarshal(b, &got); err != nil || got != s {
			t.Errorf("%q: %s decodes as %q, %v", s, b, got, err)
		}
	}
	if got := string(appendString(nil, "\xff")); got != `"\ufffd"` {
		t.Errorf("invalid UTF-8 becomes %s", got)
	}
}

func BenchmarkProbeRecord(b *testing.B) {
	tg := &probe.Target{Name: "www.example.net", Addr: netip.MustParseAddrPort("192.0.2.1:0")}
	v := &jsonView{w: io.Discard}
	if err := v.Begin(&Header{ID: "r1", Verb: "ping"}, stats.New(nil)); err != nil {
		b.Fatal(err)
	}
	r := probe.Result{
		Target: tg, Seq: 12345, Status: probe.Reply, Reason: probe.EchoReply, Size: 64, TTL: 57,
		From: tg.Addr.Addr(), Sent: time.Now(), RTT: 12_345_678, Clock: probe.Kernel, Flags: probe.Reordered,
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := v.Result(&r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

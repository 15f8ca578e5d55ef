package stats

import (
	"fmt"
	"slices"
	"testing"

	"netprobe/probe"
)

func dnsTargets(n int) []*probe.Target {
	var all []*probe.Target
	for i := range n {
		all = append(all, &probe.Target{ID: i, Name: fmt.Sprintf("ns%d", i+1)})
	}
	return all
}

// dnsAnswer is a reply with that rcode and "TYPE DATA" records.
func dnsAnswer(t *probe.Target, seq uint64, rcode string, ttl uint32, records ...string) *probe.Result {
	m := &probe.DNSMessage{Rcode: rcode}
	for _, text := range records {
		var typ, data string
		_, _ = fmt.Sscan(text, &typ)
		data = text[len(typ)+1:]
		rr := probe.DNSRecord{Name: "x.", Class: "IN", Type: typ, TTL: ttl, Data: data}
		if rcode == "NOERROR" {
			m.Answers = append(m.Answers, rr)
		} else {
			m.Authority = append(m.Authority, rr)
		}
	}
	return &probe.Result{Target: t, Seq: seq, Status: probe.Reply, Detail: &probe.DNS{Answer: m}}
}

// What most servers say is the reference, whoever comes first; who differs is told
// in what.
func TestDNSCompare(t *testing.T) {
	soa := func(serial string) string { return "SOA ns1. host. " + serial + " 1 2 3 4" }
	for _, tc := range []struct {
		name    string
		answers func(ts []*probe.Target) []*probe.Result
		want    []string // Different, by server
		differ  bool
	}{
		{"same in another order", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NOERROR", 9, "A 1", "A 2"), dnsAnswer(ts[1], 1, "NOERROR", 9, "A 2", "A 1"), dnsAnswer(ts[2], 1, "NOERROR", 9, "A 1", "A 2")}
		}, []string{"[]", "[]", "[]"}, false},
		{"the first is the odd one", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NOERROR", 9, "A 3"), dnsAnswer(ts[1], 1, "NOERROR", 9, "A 1"), dnsAnswer(ts[2], 1, "NOERROR", 9, "A 1")}
		}, []string{"[records]", "[]", "[]"}, true},
		{"TTLs alone", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NOERROR", 9, "A 1"), dnsAnswer(ts[1], 1, "NOERROR", 8, "A 1"), dnsAnswer(ts[2], 1, "NOERROR", 9, "A 1")}
		}, []string{"[]", "[ttl]", "[]"}, false},
		{"case of names", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NOERROR", 9, "NS a.example."), dnsAnswer(ts[1], 1, "NOERROR", 9, "NS A.EXAMPLE."), dnsAnswer(ts[2], 1, "NOERROR", 9, "NS a.example.")}
		}, []string{"[]", "[]", "[]"}, false},
		{"serial", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NOERROR", 9, soa("7")), dnsAnswer(ts[1], 1, "NOERROR", 9, soa("7")), dnsAnswer(ts[2], 1, "NOERROR", 9, soa("6"))}
		}, []string{"[]", "[]", "[serial]"}, true},
		{"serial of a denial", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NXDOMAIN", 9, soa("7")), dnsAnswer(ts[1], 1, "NXDOMAIN", 9, soa("6")), dnsAnswer(ts[2], 1, "NXDOMAIN", 9, soa("7"))}
		}, []string{"[]", "[serial]", "[]"}, true},
		{"rcode", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{dnsAnswer(ts[0], 1, "NOERROR", 9, "A 1"), dnsAnswer(ts[1], 1, "REFUSED", 9), dnsAnswer(ts[2], 1, "NOERROR", 9, "A 1")}
		}, []string{"[]", "[rcode]", "[]"}, true},
		{"silence", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{{Target: ts[0], Seq: 1, Status: probe.Lost, Detail: &probe.DNS{}}, dnsAnswer(ts[1], 1, "NOERROR", 9, "A 1"), dnsAnswer(ts[2], 1, "NOERROR", 9, "A 1")}
		}, []string{"[answer]", "[]", "[]"}, true},
		{"not asked", func(ts []*probe.Target) []*probe.Result {
			return []*probe.Result{{Target: ts[0], Seq: 1, Status: probe.Failed, Detail: &probe.DNS{}}, dnsAnswer(ts[1], 1, "NOERROR", 9, "A 1"), dnsAnswer(ts[2], 1, "NOERROR", 9, "A 1")}
		}, []string{"[]", "[]", "[]"}, false},
	} {
		ts := dnsTargets(3)
		d := NewDNS(ts, true)
		for _, r := range tc.answers(ts) {
			d.Record(r)
		}
		kept, differ, more := d.Differences()
		if len(kept) != 1 || more != 0 || (differ > 0) != tc.differ {
			t.Errorf("%s: %d kept, %d differ, %d more", tc.name, len(kept), differ, more)
			continue
		}
		for i, a := range kept[0].Answers {
			if got := fmt.Sprint(a.Different); got != tc.want[i] {
				t.Errorf("%s: %s differs in %s, want %s", tc.name, a.Target.Name, got, tc.want[i])
			}
		}
	}
}

// A server without an address is waited for by nobody, and questions are told apart
// by their number, in whatever order answers come.
func TestDNSCompareIncomplete(t *testing.T) {
	ts := dnsTargets(3)
	ts[2].Err = fmt.Errorf("no such host")
	d := NewDNS(ts, true)
	for _, seq := range []uint64{3, 1, 2} {
		d.Record(dnsAnswer(ts[0], seq, "NOERROR", 9, "A 1"))
	}
	for _, seq := range []uint64{1, 2} {
		d.Record(dnsAnswer(ts[1], seq, "NOERROR", 9, "A 1"))
	}
	kept, differ, _ := d.Differences()
	if len(kept) != 2 || differ != 0 || kept[0].Seq != 1 || kept[1].Seq != 2 {
		t.Errorf("%d kept, %d differ", len(kept), differ)
	}
	if len(d.open) != 1 {
		t.Errorf("%d open", len(d.open))
	}
}

// However many questions there are, what is kept is bounded, and the rest counted.
func TestDNSCompareBounded(t *testing.T) {
	ts := dnsTargets(2)
	d := NewDNS(ts, true)
	for seq := range uint64(5000) {
		d.Record(dnsAnswer(ts[0], seq+1, "NOERROR", 9, "A 1"))
		d.Record(dnsAnswer(ts[1], seq+1, "NOERROR", 9, "A 2"))
	}
	kept, differ, more := d.Differences()
	if len(kept) != keptSame+keptDifferent || differ != 5000 || more != 5000-len(kept) || d.Rows()[1].Differs != 5000 || len(d.open) != 0 {
		t.Errorf("%d kept, %d differ, %d more", len(kept), differ, more)
	}
}

// Rcodes, strays and disappointments are counted for each server.
func TestDNSCounts(t *testing.T) {
	ts := dnsTargets(1)
	d := NewDNS(ts, false)
	for i, rcode := range []string{"NOERROR", "SERVFAIL", "NOERROR"} {
		r := dnsAnswer(ts[0], uint64(i+1), rcode, 9)
		about := r.Detail.(*probe.DNS)
		about.StrayN = i
		if i == 1 {
			about.Unmet = []string{"expected"}
		}
		d.Record(r)
		dup := *r
		dup.Flags = probe.Dup
		d.Record(&dup)
	}
	row := d.Rows()[0]
	var got []string
	for name, n := range row.Rcodes {
		got = append(got, fmt.Sprint(name, n))
	}
	slices.Sort(got)
	if fmt.Sprint(got) != "[NOERROR2 SERVFAIL1]" || row.Strays != 3 || row.Unmet != 1 {
		t.Errorf("%v %+v", got, row)
	}
}

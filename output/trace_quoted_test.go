package output

import (
	"slices"
	"testing"

	"netprobe/probe"
)

// TestQuotedTTL expects a note of a quoted TTL only where it tells something:
// whatever refuses a packet for another reason than its TTL has not used it up.
func TestQuotedTTL(t *testing.T) {
	for _, tc := range []struct {
		status probe.Status
		ttl    uint8
		want   []string
	}{
		{probe.Expired, 1, nil},
		{probe.Expired, 2, []string{"quotes ttl 2"}},
		{probe.Unreachable, 2, nil},
		{probe.Refused, 7, nil},
	} {
		h := &hopRow{ttl: 3, hosts: []hopHost{{
			latest: probe.Result{Status: tc.status},
			hop:    probe.Hop{Quote: &probe.Quote{TTL: tc.ttl}},
		}}}
		if got := newNoter(&TraceHeader{First: 1}).changes(h); !slices.Equal(got, tc.want) {
			t.Errorf("%v with quoted TTL %d: %q, want %q", tc.status, tc.ttl, got, tc.want)
		}
	}
}

package probe

import "testing"

// Only what was answered can have a fault above the transport.
func TestGood(t *testing.T) {
	broken := &Layers{FailedAt: "tls", Reason: TLSFailed, Why: "certificate expired 3 days ago"}
	for _, tc := range []struct {
		status Status
		detail any
		good   bool
		fault  bool
	}{
		{Reply, nil, true, false},
		{Late, &Layers{}, true, false},
		{Reply, (*Layers)(nil), true, false},
		{Reply, broken, false, true},
		{Late, broken, false, true},
		{Lost, broken, false, false},
		{Failed, broken, false, false},
		{Refused, nil, false, false},
		{Pending, nil, false, false},
	} {
		r := Result{Status: tc.status, Detail: tc.detail}
		if r.Good() != tc.good || (r.Fault() != nil) != tc.fault {
			t.Errorf("%v %v: good %v, fault %v", tc.status, tc.detail, r.Good(), r.Fault())
		}
	}
}

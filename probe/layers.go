package probe

import "time"

// Layers is what one probe found above the transport it was sent by: how long
// each phase took, at which one it failed, and what was learned. It is the Detail
// of a Result whose probe had more to ask than whether somebody answers. A
// failure above the transport is the target's, so the Status says nothing of it.
type Layers struct {
	Phases   []Step // that were reached, in order; the last may have failed
	FailedAt string // name of the phase that failed; empty if none did
	Reason   Reason // why it failed; valid if FailedAt is
	Why      string // why it failed, for people, on one line, not escaped: "certificate expired 3 days ago"
	Facts    []Fact // what was learned, in the order in which people want to read it
}

// Step is one phase of a probe: resolve, connect, starttls, tls, request, ...
type Step struct {
	Name string
	Took time.Duration
}

// Fact is one thing an answer says. Names are lower-case words joined by
// underscores, start with the layer and end with the unit if there is one:
// tls_version, tls_days_left, http_status, ntp_offset_ms.
type Fact struct {
	Name  string
	Value any // string (from the network: not escaped), int, float64, bool or []string
}

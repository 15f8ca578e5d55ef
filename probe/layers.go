package probe

import "time"

// Layers is what one probe found above the transport it was sent by: how long
// each phase took, at which one it failed, and what was learned. It is the Detail
// of a Result whose probe had more to ask than whether somebody answers. A
// failure above the transport is the target's, so the Status says nothing of it:
// somebody answers. Result.Reason is then the Reason here, and Result.Good false.
type Layers struct {
	Phases   []Step // that were reached, in order; the last may have failed
	FailedAt string // layer that failed: starttls, tls, banner, http, ...; empty if none did. The last of Phases is how far it came
	Reason   Reason // why it failed; valid if FailedAt is
	Why      string // why it failed, for people, on one line, not escaped: "certificate expired 3 days ago"
	Facts    []Fact // what was learned, in the order in which people want to read it
}

// Fault returns what r found to have failed above the transport; nil if nothing
// did, or nothing was asked there.
func (r *Result) Fault() *Layers {
	if r.Status != Reply && r.Status != Late {
		return nil
	}
	if l, ok := r.Detail.(*Layers); ok && l != nil && l.FailedAt != "" {
		return l
	}
	return nil
}

// Good reports whether the target answered, in time or late, and nothing that
// was asked above the transport failed.
func (r *Result) Good() bool {
	return (r.Status == Reply || r.Status == Late) && r.Fault() == nil
}

// Step is one phase of a probe: resolve, connect, starttls, tls, first_byte, ...
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

	Brief string // what a line for people has in place of name=value, not escaped: "71 days left"; empty for just that
	Aside bool   // too much for such a line: it is in records alone
}

package output

import (
	"slices"
	"strings"

	"netprobe/probe"
)

// layersOf returns what r learned above its transport; nil if nothing was asked.
func layersOf(r *probe.Result) *probe.Layers {
	l, _ := r.Detail.(*probe.Layers)
	return l
}

// appendLayers appends phases and facts to a line for people:
// " tls=4.56 ms TLS 1.3 h2, 71 days left ntp_stratum=2".
func (w *vocabulary) appendLayers(b []byte, l *probe.Layers) []byte {
	return appendFactsLine(w.appendSteps(b, l), l.Facts)
}

// appendSteps appends " tls=4.56 ms first_byte=1.20 ms".
func (w *vocabulary) appendSteps(b []byte, l *probe.Layers) []byte {
	for _, p := range l.Phases {
		if p.Name == w.timed {
			continue
		}
		b = append(b, ' ')
		b = appendEscaped(b, p.Name)
		b = append(b, '=')
		b = appendPingTime(b, p.Took)
		b = append(b, " ms"...)
	}
	return b
}

// appendFault appends "failed at tls: certificate expired 3 days ago".
func appendFault(b []byte, l *probe.Layers) []byte {
	b = append(b, "failed at "...)
	b = appendEscaped(b, l.FailedAt)
	b = append(b, ": "...)
	if l.Why == "" {
		return append(b, l.Reason.String()...)
	}
	return appendEscaped(b, bounded(l.Why))
}

// saidText returns what an answer said, in one line of text for people: first
// what the service said itself, then the rest, then at which layer it failed.
func saidText(l *probe.Layers) string {
	if l == nil {
		return ""
	}
	var b []byte
	rest := l.Facts
	if text, ok := banner(l); ok {
		b = appendEscaped(b, text)
		rest = slices.DeleteFunc(slices.Clone(rest), func(f probe.Fact) bool { return f.Name == bannerFact })
	}
	b = appendFactsLine(b, rest)
	if l.FailedAt != "" {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = appendFault(append(b, ' '), l)
	}
	return strings.TrimPrefix(string(b), " ")
}

// appendLayerFields appends what a probe record has of l, and only then:
// failed_at, why and facts.
func appendLayerFields(b []byte, l *probe.Layers) []byte {
	b = append(b, `,"failed_at":`...)
	if l.FailedAt == "" {
		b = append(b, `null,"why":null`...)
	} else {
		b = appendString(b, l.FailedAt)
		b = append(b, `,"why":`...)
		b = appendString(b, bounded(l.Why))
	}
	return appendFactsObject(append(b, `,"facts":`...), l.Facts)
}

// appendPhases appends {"tls":4.56,...}, null where nothing was asked.
func appendPhases(b []byte, l *probe.Layers) []byte {
	if l == nil {
		return append(b, "null"...)
	}
	b = append(b, '{')
	for i, p := range l.Phases {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, p.Name)
		b = append(b, ':')
		b = appendMillis(b, p.Took)
	}
	return append(b, '}')
}

package output

import (
	"math"
	"strconv"

	"netprobe/probe"
)

// maxFacts bounds how many facts of one answer are shown, and how many strings
// of a list.
const maxFacts = 64

// appendFactsObject appends facts as a JSON object, null if there are none.
func appendFactsObject(b []byte, facts []probe.Fact) []byte {
	if len(facts) == 0 {
		return append(b, "null"...)
	}
	b = append(b, '{')
	for i := range facts[:min(len(facts), maxFacts)] {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, facts[i].Name)
		b = appendFactValue(append(b, ':'), facts[i].Value)
	}
	return append(b, '}')
}

// appendFactValue appends the value of a fact as JSON.
func appendFactValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendString(b, bounded(v))
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			return strconv.AppendFloat(b, v, 'f', -1, 64)
		}
	case []string:
		b = append(b, '[')
		for i, s := range v[:min(len(v), maxFacts)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, bounded(s))
		}
		return append(b, ']')
	}
	return append(b, "null"...)
}

// appendFactText appends the value of a fact for people, escaped.
func appendFactText(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendEscaped(b, bounded(v))
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case []string:
		for i, s := range v[:min(len(v), maxFacts)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendEscaped(b, bounded(s))
		}
	}
	return b
}

// saidText returns what an answer said, in one line of text for people: first
// what the service said itself, then the rest, then at which layer it failed.
func saidText(l *probe.Layers) string {
	if l == nil {
		return ""
	}
	var b []byte
	if text, ok := banner(l); ok {
		b = appendEscaped(b, bounded(text))
	}
	for i := range l.Facts[:min(len(l.Facts), maxFacts)] {
		f := &l.Facts[i]
		if f.Name == bannerFact {
			continue
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(appendEscaped(b, f.Name), '=')
		b = appendFactText(b, f.Value)
	}
	if l.FailedAt == "" {
		return string(b)
	}
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	b = appendEscaped(append(b, "failed at "...), l.FailedAt)
	b = append(b, ": "...)
	if l.Why == "" {
		return string(append(b, l.Reason.String()...))
	}
	return string(appendEscaped(b, bounded(l.Why)))
}

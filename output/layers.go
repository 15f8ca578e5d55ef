package output

import (
	"math"
	"strconv"
	"strings"
	"unicode"

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
	b = w.appendSteps(b, l)
	brief := false
	for _, f := range l.Facts {
		switch {
		case f.Aside:
			continue
		case f.Brief == "":
			b = append(b, ' ')
			b = appendEscaped(b, f.Name)
			b = append(b, '=')
			b = appendFact(b, f.Value)
		default:
			if brief {
				b = append(b, ',')
			}
			b = append(b, ' ')
			b = appendEscaped(b, f.Brief)
		}
		brief = f.Brief != ""
	}
	return b
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
	return appendEscaped(b, l.Why)
}

// appendFact appends the value of a fact for people: text in quotes where its
// end would not be seen, lists with commas.
func appendFact(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		if v != "" && !strings.ContainsFunc(v, ambiguous) {
			return appendEscaped(b, v)
		}
		b = append(b, '"')
		b = appendEscaped(b, strings.ReplaceAll(v, `"`, `'`))
		return append(b, '"')
	case []string:
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendFact(b, s)
		}
		return b
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, '-')
}

func ambiguous(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == ',' || r == '=' }

// appendLayerFields appends what a probe record has of l, and only then:
// failed_at, why and facts.
func appendLayerFields(b []byte, l *probe.Layers) []byte {
	b = append(b, `,"failed_at":`...)
	if l.FailedAt == "" {
		b = append(b, `null,"why":null`...)
	} else {
		b = appendString(b, l.FailedAt)
		b = append(b, `,"why":`...)
		b = appendString(b, l.Why)
	}
	b = append(b, `,"facts":{`...)
	for i, f := range l.Facts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f.Name)
		b = append(b, ':')
		b = appendValue(b, f.Value)
	}
	return append(b, '}')
}

// appendValue appends the value of a fact as JSON; null for what JSON has no
// number for.
func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		return appendString(b, v)
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		return append(b, ']')
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			break
		}
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case int, bool:
		return appendFact(b, v)
	}
	return append(b, "null"...)
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

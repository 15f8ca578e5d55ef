package output

import (
	"math"
	"strconv"
	"strings"
	"unicode"

	"netprobe/probe"
)

// maxFacts bounds how many facts of one answer are shown, and how many strings
// of a list.
const maxFacts = 64

// shownFacts returns those facts that are looked at.
func shownFacts(facts []probe.Fact) []probe.Fact { return facts[:min(len(facts), maxFacts)] }

// appendFactsObject appends facts as a JSON object.
func appendFactsObject(b []byte, facts []probe.Fact) []byte {
	b = append(b, '{')
	for i, f := range shownFacts(facts) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, f.Name)
		b = appendFactJSON(append(b, ':'), f.Value)
	}
	return append(b, '}')
}

// appendFactJSON appends the value of a fact as JSON; null for what JSON has no
// number for.
func appendFactJSON(b []byte, value any) []byte {
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

// appendFactsLine appends facts to a line for people, each after a space: in
// their brief words, with commas between those, else as name=value.
func appendFactsLine(b []byte, facts []probe.Fact) []byte {
	brief := false
	for _, f := range shownFacts(facts) {
		switch {
		case f.Aside:
			continue
		case f.Brief == "":
			b = appendFact(append(b, ' '), &f)
		default:
			if brief {
				b = append(b, ',')
			}
			b = appendEscaped(append(b, ' '), bounded(f.Brief))
		}
		brief = f.Brief != ""
	}
	return b
}

// appendFact appends name=value.
func appendFact(b []byte, f *probe.Fact) []byte {
	return appendFactText(append(appendEscaped(b, f.Name), '='), f.Value)
}

// appendFactText appends the value of a fact for people: text in quotes where
// its end would not be seen, lists with commas.
func appendFactText(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		v = bounded(v)
		if v != "" && !strings.ContainsFunc(v, ambiguous) {
			return appendEscaped(b, v)
		}
		b = append(b, '"')
		b = appendEscaped(b, strings.ReplaceAll(v, `"`, `'`))
		return append(b, '"')
	case []string:
		for i, s := range v[:min(len(v), maxFacts)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendFactText(b, s)
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

// bannerFact is the name of the fact that is what a service said first.
const bannerFact = "banner"

// banner returns what the service said first.
func banner(l *probe.Layers) (text string, ok bool) {
	if l == nil {
		return "", false
	}
	for i := range l.Facts {
		if text, ok := l.Facts[i].Value.(string); ok && l.Facts[i].Name == bannerFact {
			return bounded(text), true
		}
	}
	return "", false
}

package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"netprobe/internal/spell"
	"unicode"
)

// Condition is a parsed expression such as "loss>2%,p95>40ms": clauses of which
// any one is enough.
type Condition struct {
	clauses []clause
}

type clause struct {
	text   string // as written, without spaces
	metric *metric
	op     string
	limit  float64 // percent, nanoseconds or a count
}

// unit is what a metric is measured in.
type unit uint8

const (
	count unit = iota
	percent
	duration
)

// metric is a name that a clause may use. Its value is known only if ok: a
// target that never answered has no p95, and no limit on it ever fires.
type metric struct {
	names []string // the first is the one shown in errors
	unit  unit
	value func(s *Summary) (v float64, ok bool)
}

func counter(f func(s *Summary) uint64) func(*Summary) (float64, bool) {
	return func(s *Summary) (float64, bool) { return float64(f(s)), true }
}

func roundTrip(f func(r *RTT) time.Duration) func(*Summary) (float64, bool) {
	return func(s *Summary) (float64, bool) {
		if s.RTT == nil {
			return 0, false
		}
		return float64(f(s.RTT)), true
	}
}

func outageLength(s *Summary) (float64, bool) {
	if s.Outage == nil {
		return 0, s.HasLoss
	}
	return float64(s.Outage.Length), true
}

var metrics = []metric{
	{[]string{"loss"}, percent, func(s *Summary) (float64, bool) { return s.LossPercent, s.HasLoss }},
	{[]string{"min"}, duration, roundTrip(func(r *RTT) time.Duration { return r.Min })},
	{[]string{"mean", "avg"}, duration, roundTrip(func(r *RTT) time.Duration { return r.Mean })},
	{[]string{"max"}, duration, roundTrip(func(r *RTT) time.Duration { return r.Max })},
	{[]string{"p50"}, duration, roundTrip(func(r *RTT) time.Duration { return r.P50 })},
	{[]string{"p90"}, duration, roundTrip(func(r *RTT) time.Duration { return r.P90 })},
	{[]string{"p95"}, duration, roundTrip(func(r *RTT) time.Duration { return r.P95 })},
	{[]string{"p99"}, duration, roundTrip(func(r *RTT) time.Duration { return r.P99 })},
	{[]string{"stddev", "mdev"}, duration, roundTrip(func(r *RTT) time.Duration { return r.StdDev })},
	{[]string{"jitter"}, duration, func(s *Summary) (float64, bool) { return float64(s.Jitter), s.HasJitter }},
	{[]string{"outage"}, duration, outageLength},
	{[]string{"downtime"}, duration, func(s *Summary) (float64, bool) { return float64(s.Outages.Total), s.HasLoss }},
	{[]string{"outages"}, count, counter(func(s *Summary) uint64 { return uint64(s.Outages.N) })},
	{[]string{"sent"}, count, counter(func(s *Summary) uint64 { return s.Sent })},
	{[]string{"received"}, count, counter(func(s *Summary) uint64 { return s.Received })},
	{[]string{"late"}, count, counter(func(s *Summary) uint64 { return s.Late })},
	{[]string{"duplicates", "dup"}, count, counter(func(s *Summary) uint64 { return s.Duplicates })},
	{[]string{"reordered"}, count, counter(func(s *Summary) uint64 { return s.Reordered })},
	{[]string{"retrans"}, count, counter(func(s *Summary) uint64 { return s.Retrans })},
	{[]string{"errors"}, count, counter(func(s *Summary) uint64 { return s.Errors })},
	{[]string{"failed"}, count, counter(func(s *Summary) uint64 { return s.Failed })},
}

// ParseCondition reads clauses separated by commas, each METRIC OP VALUE, as in
// "loss>2%,p95>40ms". Metrics: loss (percent); min, mean or avg, max, p50, p90,
// p95, p99, stddev or mdev, jitter, outage and downtime (Go durations); sent, received,
// late, duplicates or dup, reordered, retrans, errors, failed and outages (counts). Operators: >
// >= < <= = (or ==) and !=. Errors are one line that says what to write instead.
func ParseCondition(expr string) (*Condition, error) {
	c := &Condition{}
	for text := range strings.SplitSeq(expr, ",") {
		clause, err := parseClause(text)
		if err != nil {
			return nil, err
		}
		c.clauses = append(c.clauses, clause)
	}
	return c, nil
}

func parseClause(text string) (clause, error) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	if text == "" {
		return clause{}, errors.New("empty condition: write one like loss>2% or p95>40ms")
	}
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return clause{}, fmt.Errorf("condition %q has no comparison: write one like loss>2%% or p95>40ms", text)
	}
	end := at
	for end < len(text) && strings.IndexByte("<>=!", text[end]) >= 0 {
		end++
	}
	c := clause{text: text, op: text[at:end]}
	if c.op == "==" {
		c.op = "="
	}
	if !slices.Contains([]string{">", ">=", "<", "<=", "=", "!="}, c.op) {
		return clause{}, fmt.Errorf("unknown comparison %q in %q: use > >= < <= = or !=", c.op, text)
	}
	var err error
	if c.metric, err = findMetric(text[:at]); err != nil {
		return clause{}, err
	}
	c.limit, err = c.metric.parse(text[end:], text)
	return c, err
}

func findMetric(name string) (*metric, error) {
	name = strings.ToLower(name)
	var known, all []string
	for i := range metrics {
		m := &metrics[i]
		known = append(known, m.names[0])
		for _, n := range m.names {
			if n == name {
				return m, nil
			}
			all = append(all, n)
		}
	}
	if name == "" {
		return nil, fmt.Errorf("a condition starts with a metric: %s", strings.Join(known, ", "))
	}
	if best := spell.Nearest(name, all); best != "" {
		return nil, fmt.Errorf("unknown metric %q, did you mean %q?", name, best)
	}
	return nil, fmt.Errorf("unknown metric %q: use one of %s", name, strings.Join(known, ", "))
}

// parse reads value in the unit of m; text is the whole clause, for errors.
func (m *metric) parse(value, text string) (float64, error) {
	if value == "" {
		return 0, fmt.Errorf("condition %q has no value: write one like %s>%s", text, m.names[0], m.unit.example())
	}
	switch m.unit {
	case percent:
		v, ok := number(strings.TrimSuffix(value, "%"))
		if !ok || v > 100 {
			return 0, fmt.Errorf("%q in %q is not a percentage from 0%% to 100%%", value, text)
		}
		return v, nil
	case duration:
		if _, ok := number(value); ok && value != "0" {
			return 0, fmt.Errorf("%q in %q needs a unit: write %sms or %ss", value, text, value, value)
		}
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q in %q is not a duration: write one like 40ms", value, text)
		}
		return float64(d), nil
	}
	v, err := strconv.ParseUint(value, 10, 53) // what a float64 holds exactly
	if err != nil {
		return 0, fmt.Errorf("%q in %q is not a whole number", value, text)
	}
	return float64(v), nil
}

func (u unit) example() string { return [...]string{"3", "2%", "40ms"}[u] }

// number reads a plain decimal number, not negative: no hex, exponent or infinity.
func number(s string) (float64, bool) {
	if strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// Fired reports whether any clause holds for s, and returns the first that does
// with the value that made it: "loss>2% (33.3333%)".
func (c *Condition) Fired(s Summary) (clause string, fired bool) {
	for _, cl := range c.clauses {
		v, ok := cl.metric.value(&s)
		if ok && cl.holds(v) {
			return cl.text + " (" + cl.metric.unit.format(v) + ")", true
		}
	}
	return "", false
}

func (c *clause) holds(v float64) bool {
	switch c.op {
	case ">":
		return v > c.limit
	case ">=":
		return v >= c.limit
	case "<":
		return v < c.limit
	case "<=":
		return v <= c.limit
	case "=":
		return v == c.limit
	}
	return v != c.limit
}

func (u unit) format(v float64) string {
	switch u {
	case percent:
		return strconv.FormatFloat(v, 'g', 6, 64) + "%"
	case duration:
		return time.Duration(math.Round(v)).Round(time.Microsecond).String()
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

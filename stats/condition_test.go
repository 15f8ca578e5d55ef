package stats

import (
	"strings"
	"testing"
	"time"
)

// sample is the Summary of a target that lost one probe of four.
func sample() Summary {
	ms := time.Millisecond
	return Summary{
		Sent: 4, Received: 3, Lost: 1, Late: 0, Duplicates: 2, Reordered: 1, Errors: 0, Failed: 5,
		HasLoss: true, LossPercent: 25,
		RTT:    &RTT{Min: 10 * ms, Mean: 20 * ms, Max: 30 * ms, P50: 21 * ms, P90: 28 * ms, P95: 29 * ms, P99: 30 * ms, StdDev: 4 * ms},
		Jitter: 5 * ms, HasJitter: true,
		Outage: &Outage{Length: 2 * time.Second, Probes: 1}, Outages: Outages{N: 2, Total: 3 * time.Second}, Retrans: 3,
	}
}

func TestCondition(t *testing.T) {
	for _, tt := range []struct{ expr, fired string }{
		{"loss>2%", "loss>2% (25%)"},
		{"loss > 25 %", ""},
		{"loss>=25%", "loss>=25% (25%)"},
		{"loss=25", "loss=25 (25%)"},
		{"loss==25%", "loss==25% (25%)"},
		{"loss!=25%", ""},
		{"loss<25.5%", "loss<25.5% (25%)"},
		{"min<=10ms", "min<=10ms (10ms)"},
		{"mean>19.9ms", "mean>19.9ms (20ms)"},
		{"avg>1s", ""},
		{"MAX>20ms", "MAX>20ms (30ms)"},
		{"p50>21ms", ""},
		{"p90>28ms,p95>28ms", "p95>28ms (29ms)"},
		{"p99>0", "p99>0 (30ms)"},
		{"stddev<1ms,mdev>1ms", "mdev>1ms (4ms)"},
		{"jitter>4500us", "jitter>4500us (5ms)"},
		{"outage>1.5s", "outage>1.5s (2s)"},
		{"downtime>=3s", "downtime>=3s (3s)"},
		{"outages>1", "outages>1 (2)"},
		{"retrans>2", "retrans>2 (3)"},
		{"late>0", ""},
		{"duplicates>1", "duplicates>1 (2)"},
		{"dup=2", "dup=2 (2)"},
		{"reordered!=0", "reordered!=0 (1)"},
		{"errors>0", ""},
		{"failed>=5", "failed>=5 (5)"},
		{"received<4", "received<4 (3)"},
		{"sent=4", "sent=4 (4)"},
	} {
		c, err := ParseCondition(tt.expr)
		if err != nil {
			t.Errorf("%s: %v", tt.expr, err)
			continue
		}
		if clause, fired := c.Fired(sample()); clause != tt.fired || fired != (tt.fired != "") {
			t.Errorf("%s: fired %q, want %q", tt.expr, clause, tt.fired)
		}
	}
}

// A target that never answered has no times to compare, only its loss; one of
// which nothing was decided has not even that.
func TestConditionWithoutData(t *testing.T) {
	silent := Summary{Sent: 3, Lost: 3, HasLoss: true, LossPercent: 100, Outage: &Outage{Length: time.Second}}
	var untested Summary
	for _, tt := range []struct {
		expr             string
		silent, untested bool
	}{
		{"p95<40ms", false, false},
		{"p95!=40ms", false, false},
		{"jitter<1s", false, false},
		{"loss>2%", true, false},
		{"loss<2%", false, false},
		{"outage>=1s", true, false},
		{"outage<1h", true, false},
		{"received<1", true, true},
	} {
		c, err := ParseCondition(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if _, fired := c.Fired(silent); fired != tt.silent {
			t.Errorf("%s: fired %v for a silent target", tt.expr, fired)
		}
		if _, fired := c.Fired(untested); fired != tt.untested {
			t.Errorf("%s: fired %v for an untested target", tt.expr, fired)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		{"", "empty condition"},
		{"loss>2%,", "empty condition"},
		{"loss", "has no comparison"},
		{">2%", "starts with a metric"},
		{"los>2%", `did you mean "loss"?`},
		{"p59>1ms", `did you mean "p50"?`},
		{"jiter>1ms", `did you mean "jitter"?`},
		{"bananas>2", "use one of loss, min"},
		{"loss=>2%", `unknown comparison "=>"`},
		{"loss>>2%", `unknown comparison ">>"`},
		{"loss!2%", `unknown comparison "!"`},
		{"loss>", "has no value"},
		{"loss>101%", "percentage"},
		{"loss>-1%", "percentage"},
		{"loss>2ms", "percentage"},
		{"loss>nan", "percentage"},
		{"loss>inf%", "percentage"},
		{"loss>2%%", "percentage"},
		{"p95>40", "write 40ms or 40s"},
		{"p95>40%", "not a duration"},
		{"p95>-4ms", "not a duration"},
		{"p95>x", "not a duration"},
		{"late>1.5", "whole number"},
		{"late>-1", "whole number"},
		{"late>99999999999999999999", "whole number"},
		{"lo\x1b[31mss>1%", "\\x1b"},
	} {
		_, err := ParseCondition(tt.expr)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q in it", tt.expr, err, tt.want)
		}
	}
}

func FuzzParseCondition(f *testing.F) {
	for _, s := range []string{
		"loss>2%,p95>40ms", "dup=0", "avg <= 1h2m", "loss>1e3", "p95>40", ",,", "\x00>\xff", "loss=0x1p3%", "min>0.5µs",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		c, err := ParseCondition(expr)
		if err != nil {
			text := err.Error()
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.HasSuffix(text, ".") {
				t.Errorf("error is not one plain line: %q", text)
			}
			return
		}
		clause, fired := c.Fired(sample())
		if fired != (clause != "") {
			t.Errorf("fired %v with clause %q", fired, clause)
		}
	})
}

package output

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
)

func TestAppendProgress(t *testing.T) {
	half := Progress{Asked: 360_000, Decided: 356_123, Planned: 1_048_576, Known: true, Alive: 17, Rate: 12_000, Elapsed: 30 * time.Second}
	with := func(change func(*Progress)) Progress {
		p := half
		change(&p)
		return p
	}
	for _, tt := range []struct {
		name string
		p    Progress
		cols int
		want string
	}{
		{"whole", half, 0, "33 %  356,123 of 1,048,576  17 alive  12,000/s  ETA 58 s"},
		{"just fits", half, 57, "33 %  356,123 of 1,048,576  17 alive  12,000/s  ETA 58 s"},
		{"no room for the rate", half, 56, "33 %  356,123 of 1,048,576  17 alive  ETA 58 s"},
		{"no room for the ETA", half, 40, "33 %  356,123 of 1,048,576  17 alive"},
		{"percent and alive", half, 30, "33 %  17 alive"},
		{"percent", half, 12, "33 %"},
		{"hardly anything", half, 3, "33"},
		{"nothing", half, 1, ""},
		{"list still read", with(func(p *Progress) { p.Known = false }), 0, "356,123 hosts  17 alive  12,000/s  30 s"},
		{"nothing decided", Progress{Planned: 254, Known: true}, 0, "0 %  0 of 254  0 alive  0 s"},
		{"packets", with(func(p *Progress) { p.Pace = 60 }), 0, "33 %  356,123 of 1,048,576  17 alive  60/s  ETA 58 s"},
		{"most are not decided yet", with(func(p *Progress) { p.Decided, p.Blind = 20, time.Minute }), 0, "0 %  20 of 1,048,576  17 alive  12,000/s  30 s"},
		{"no rate yet", with(func(p *Progress) { p.Rate = 0 }), 0, "33 %  356,123 of 1,048,576  17 alive  30 s"},
		{"slow", with(func(p *Progress) { p.Rate = 0.5; p.Planned = 356_133 }), 0, "99 %  356,123 of 356,133  17 alive  0.5/s  ETA 20 s"},
		{"one left", with(func(p *Progress) { p.Planned = 356_124 }), 0, "99 %  356,123 of 356,124  17 alive  12,000/s  ETA 1 s"},
		{"all", with(func(p *Progress) { p.Decided = p.Planned }), 0, "100 %  1,048,576 of 1,048,576  17 alive  12,000/s  30 s"},
		{"nothing planned", Progress{Known: true}, 0, "100 %  0 of 0  0 alive  0 s"},
		{"for ever", with(func(p *Progress) { p.Planned, p.Rate = math.MaxUint64, 10 }), 0, "0 %  356,123 of 18,446,744,073,709,551,615  17 alive  10/s  30 s"},
		{"hours", with(func(p *Progress) { p.Planned = 500_000_000 }), 0, "0 %  356,123 of 500,000,000  17 alive  12,000/s  ETA 11 h 33 min"},
	} {
		got := string(AppendProgress([]byte("x"), tt.p, tt.cols))
		if got != "x"+tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got[1:], tt.want)
		}
	}
}

// A scan counts ports, says so if nobody knows how long it takes, and when its
// budget is over before that.
func TestAppendProgressOfPorts(t *testing.T) {
	scan := Progress{Ports: true, Asked: 4000, Decided: 3_561, Planned: 10_240, Known: true, Alive: 17, Rate: 120, Pace: 500, Elapsed: 20 * time.Second}
	with := func(change func(*Progress)) Progress {
		p := scan
		change(&p)
		return p
	}
	for _, tt := range []struct {
		name string
		p    Progress
		cols int
		want string
	}{
		{"whole", scan, 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA 56 s"},
		{"no room for the rate", scan, 50, "34 %  3,561 of 10,240 ports  17 open  ETA 56 s"},
		{"no rate yet", with(func(p *Progress) { p.Rate = 0 }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA unknown  20 s"},
		{"most are not decided yet", with(func(p *Progress) { p.Decided, p.Blind = 20, time.Minute }), 0, "0 %  20 of 10,240 ports  17 open  500/s  ETA unknown  20 s"},
		{"hosts still listed", with(func(p *Progress) { p.Known = false }), 0, "3,561 ports  17 open  500/s  ETA unknown  20 s"},
		{"known better", with(func(p *Progress) { p.ETA = 15 * time.Minute }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA 15 min"},
		{"known for ever", with(func(p *Progress) { p.ETA = longestETA + 1 }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA unknown  20 s"},
		{"budget is enough", with(func(p *Progress) { p.Budget = 2 * time.Minute }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA 56 s"},
		{"budget is not", with(func(p *Progress) { p.Budget = 30 * time.Second }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA 56 s  budget ends in 10 s"},
		{"budget is over", with(func(p *Progress) { p.Budget = time.Second }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA 56 s  budget ends in 0 s"},
		{"nobody knows, but the budget", with(func(p *Progress) { p.Rate, p.Budget = 0, 30*time.Second }), 0, "34 %  3,561 of 10,240 ports  17 open  500/s  ETA unknown  budget ends in 10 s"},
		{"all", with(func(p *Progress) { p.Decided = p.Planned }), 0, "100 %  10,240 of 10,240 ports  17 open  500/s  20 s"},
	} {
		if got := string(AppendProgress(nil, tt.p, tt.cols)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Whatever the width, the line fits and is the start of the same thoughts.
func TestProgressFits(t *testing.T) {
	p := Progress{Asked: 1, Decided: 1_234_567, Planned: 7_654_321, Known: true, Alive: 99_999, Rate: 123_456, Elapsed: time.Hour}
	for i := range 4 {
		p.Known, p.Ports = i&1 > 0, i&2 > 0
		p.Budget = time.Duration(i) * time.Hour
		for cols := 1; cols < 90; cols++ {
			line := string(AppendProgress(nil, p, cols))
			if runewidth.StringWidth(line) >= cols || strings.HasSuffix(line, " ") {
				t.Errorf("%d cells: %q", cols, line)
			}
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 999: "999", 1000: "1,000", 65_535: "65,535", 1_048_576: "1,048,576", math.MaxUint64: "18,446,744,073,709,551,615",
	} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for rate, want := range map[float64]string{0.04: "0.0/s", 9.94: "9.9/s", 9.96: "10/s", 155_000.4: "155,000/s", math.Inf(1): "∞/s"} {
		if got := perSecond(rate); got != want {
			t.Errorf("%v is %q, want %q", rate, got, want)
		}
	}
}

func TestOrdinals(t *testing.T) {
	for n, want := range map[uint64]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 102: "102nd", 111: "111th"} {
		if got := string(appendOrdinal(nil, n)); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

package output

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// Progress is how far a long run is. It counts hosts, or ports of a scan.
type Progress struct {
	Asked   uint64        // those of which at least one probe left
	Decided uint64        // those with a verdict
	Planned uint64        // those of the whole run; valid if Known
	Known   bool          // false while the list is still being read
	Alive   uint64        // hosts that answered, open ports
	Ports   bool          // ports are counted, not hosts
	Rate    float64       // of them decided a second, as smooth as the ETA is to be; 0 if unknown
	Pace    float64       // packets sent a second, which is what is shown; 0 if unknown: then Rate is
	Elapsed time.Duration // since the start of the run
	Blind   time.Duration // how long it takes from the start until what is silent shows in Rate

	// ETA is how long the rest takes, where that is known better than from Rate: by
	// an engine that knows the limits of its targets. 0 if it is not.
	ETA time.Duration
	// Budget is how long the run may take as a whole; 0 for as long as it needs.
	Budget time.Duration
}

// longestETA is the longest time to go that is worth saying.
const longestETA = 1000 * time.Hour

// progressPart is a piece of the line.
type progressPart struct {
	text string
	drop int // where the line is too long, the part with the highest drop goes first; 0 stays
}

// AppendProgress appends the line that says how far a run is, in at most cols-1
// cells, so that a terminal of cols does not wrap it: "34 %  356,123 of
// 1,048,576  17 alive  12,000/s  ETA 58 s". What does not fit goes, what matters
// least first. With cols 0 the line is as long as need be.
func AppendProgress(b []byte, p Progress, cols int) []byte {
	parts := p.parts()
	for cols > 0 && progressWidth(parts) > cols-1 {
		least := 0
		for i := range parts {
			if parts[i].drop > parts[least].drop {
				least = i
			}
		}
		if parts[least].drop == 0 {
			break
		}
		parts = append(parts[:least], parts[least+1:]...)
	}
	var line string
	for i, part := range parts {
		if i > 0 {
			line += gap
		}
		line += part.text
	}
	if cols > 0 {
		line = strings.TrimRight(runewidth.Truncate(line, max(cols-1, 0), ""), " ")
	}
	return append(b, line...)
}

func progressWidth(parts []progressPart) int {
	width := len(gap) * (len(parts) - 1)
	for _, part := range parts {
		width += runewidth.StringWidth(part.text)
	}
	return width
}

func (p *Progress) parts() []progressPart {
	var parts []progressPart
	counted, unit, found := " hosts", "", " alive"
	if p.Ports {
		counted, unit, found = " ports", " ports", " open"
	}
	if p.Known {
		parts = append(parts,
			progressPart{strconv.Itoa(p.percent()) + " %", 0},
			progressPart{grouped(p.Decided) + " of " + grouped(p.Planned) + unit, 2})
	} else {
		parts = append(parts, progressPart{grouped(p.Decided) + counted, 0})
	}
	parts = append(parts, progressPart{grouped(p.Alive) + found, 1})
	if pace := cmp.Or(p.Pace, p.Rate); pace > 0 {
		parts = append(parts, progressPart{perSecond(pace), 4})
	}
	return append(parts, p.time()...)
}

// time returns how long the rest takes, or what the run took so far. Of ports it
// says also that nobody knows how long, and where the run ends before.
func (p *Progress) time() []progressPart {
	left, ok := p.left()
	budget := ceilSecond(max(p.Budget-p.Elapsed, 0))
	switch {
	case ok && p.Budget > 0 && left > budget:
		return []progressPart{{"ETA " + wholeSeconds(left), 3}, {"budget ends in " + wholeSeconds(budget), 2}}
	case ok:
		return []progressPart{{"ETA " + wholeSeconds(left), 3}}
	case !p.Ports || p.Known && p.Decided >= p.Planned:
		return []progressPart{{wholeSeconds(max(p.Elapsed, 0)), 5}}
	case p.Budget > 0:
		return []progressPart{{"ETA unknown", 3}, {"budget ends in " + wholeSeconds(budget), 2}}
	}
	return []progressPart{{"ETA unknown", 3}, {wholeSeconds(max(p.Elapsed, 0)), 5}}
}

// percent returns the share decided of what is planned: 100 only if all are.
func (p *Progress) percent() int {
	switch {
	case p.Decided >= p.Planned:
		return 100
	case p.Planned == 0:
		return 0
	}
	return min(int(float64(p.Decided)/float64(p.Planned)*100), 99)
}

// left returns how long the rest is likely to take.
func (p *Progress) left() (d time.Duration, ok bool) {
	if p.ETA > 0 {
		return ceilSecond(p.ETA), p.ETA <= longestETA
	}
	if !p.Known || p.Rate <= 0 || p.Decided >= p.Planned {
		return 0, false
	}
	if p.Elapsed < p.Blind && p.Decided < p.Asked/2 {
		return 0, false // most of those asked may be silent, of which nothing is known yet
	}
	seconds := float64(p.Planned-p.Decided) / p.Rate
	if seconds > longestETA.Seconds() {
		return 0, false
	}
	return time.Duration(seconds*float64(time.Second)) + time.Second - 1, true
}

// ceilSecond returns d in whole seconds, rounded up.
func ceilSecond(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }

// perSecond returns a rate as people read it: "12,000/s", "0.5/s".
func perSecond(rate float64) string {
	switch {
	case rate < 9.95:
		return strconv.FormatFloat(rate, 'f', 1, 64) + "/s"
	case rate >= 1<<63:
		return "∞/s"
	}
	return grouped(uint64(rate+0.5)) + "/s"
}

// grouped returns n with its thousands set apart: 1,048,576.
func grouped(n uint64) string { return string(appendGrouped(nil, n)) }

func appendGrouped(b []byte, n uint64) []byte {
	var digits [20]byte
	d := strconv.AppendUint(digits[:0], n, 10)
	for i, c := range d {
		if i > 0 && (len(d)-i)%3 == 0 {
			b = append(b, ',')
		}
		b = append(b, c)
	}
	return b
}

package output

import (
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
	"netprobe/stats"
)

// fpingKept is how many round-trip times of a target are kept in an endless run.
const fpingKept = 10000

// fping prints, when the run ends, the lines of fping -C: for each target its
// name and the round-trip times in the order of sending, "-" for a probe
// without an answer in time. fping prints them on stderr, this on stdout.
//
// The lines have room for nothing else: a probe that could not be sent is a "-"
// too, and a target never probed has no line, as in fping. All round-trip times
// are kept until the end (4 bytes each); of an endless run only the last 10,000
// of each target, and only those are printed.
type fping struct {
	w    io.Writer
	set  *stats.Set
	rows []rttRow // by target ID
	keep int      // 0 for all
}

var nan = float32(math.NaN())

// rttRow holds the RTTs of one target by sequence number.
type rttRow struct {
	ms   []float32 // NaN without an answer; a ring of keep once it is full
	high uint64    // highest sequence number seen
}

func newFping(w io.Writer, _ Options) View { return &fping{w: w} }

func (v *fping) Begin(h *Header, set *stats.Set) error {
	v.set = set
	v.rows = make([]rttRow, len(h.Targets))
	if h.Planned < 0 {
		v.keep = fpingKept
	}
	return nil
}

func (v *fping) Result(r *probe.Result, _ *stats.Target) error {
	if !r.Outcome() || r.Seq == 0 || r.Status == probe.Pending {
		return nil // a pending probe is not a lost one
	}
	ms := nan
	if r.Status == probe.Reply && r.Good() {
		ms = float32(float64(r.RTT) / float64(time.Millisecond))
	}
	v.rows[r.Target.ID].put(r.Seq, ms, v.keep)
	return nil
}

// put stores the RTT of probe seq, forgetting all but the last keep.
func (t *rttRow) put(seq uint64, ms float32, keep int) {
	k := uint64(keep)
	if keep > 0 && t.high >= k && seq <= t.high-k {
		return
	}
	if keep > 0 && seq-t.high > k && seq > t.high { // so far ahead that nothing before it is kept
		t.ms, t.high = slices.Repeat([]float32{nan}, keep), seq
	}
	for ; t.high < seq; t.high++ {
		if keep > 0 && len(t.ms) == keep {
			t.ms[t.slot(t.high+1)] = nan
		} else {
			t.ms = append(t.ms, nan)
		}
	}
	t.ms[t.slot(seq)] = ms
}

// slot returns where the RTT of probe seq is. As long as the ring has not gone
// round, that is its own place.
func (t *rttRow) slot(seq uint64) uint64 { return (seq - 1) % uint64(len(t.ms)) }

// Refresh does nothing: the lines come at the end.
func (v *fping) Refresh(time.Time) error { return nil }

func (v *fping) End(*End) error {
	var names []string
	width := 0
	for _, t := range v.set.Rows() {
		// The name is one word to whoever parses the line.
		name := strings.ReplaceAll(Escape(t.Name), " ", `\x20`)
		names = append(names, name)
		width = max(width, runewidth.StringWidth(name))
	}
	var b []byte
	for i := range v.rows {
		if len(v.rows[i].ms) == 0 {
			continue
		}
		b = append(b, runewidth.FillRight(names[i], width)...)
		b = append(b, " :"...)
		b = v.rows[i].appendTo(b)
		b = append(b, '\n')
	}
	if len(b) == 0 {
		return nil
	}
	_, err := v.w.Write(b)
	return err
}

func (t *rttRow) appendTo(b []byte) []byte {
	for i := range t.ms {
		seq := t.high - uint64(len(t.ms)) + 1 + uint64(i)
		b = append(b, ' ')
		b = appendFpingTime(b, float64(t.ms[t.slot(seq)]))
	}
	return b
}

// appendFpingTime appends milliseconds with three significant digits as fping
// has them, "-" for NaN.
func appendFpingTime(b []byte, ms float64) []byte {
	switch {
	case math.IsNaN(ms):
		return append(b, '-')
	case ms < 1:
		return strconv.AppendFloat(b, ms, 'f', 3, 64)
	case ms < 10:
		return strconv.AppendFloat(b, ms, 'f', 2, 64)
	case ms < 100:
		return strconv.AppendFloat(b, ms, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, ms, 'f', 0, 64)
}

package output_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"netprobe/output"
	"netprobe/output/outputtest"
	"netprobe/probe"
)

// randomRun returns a run of a few targets with every kind of Result an engine
// may emit, and names of any bytes.
func randomRun(rng *rand.Rand) *scenario {
	s := &scenario{name: "random", end: output.End{StoppedBy: "signal", Exit: rng.IntN(4), Time: start.Add(time.Minute)}}
	s.header = output.Header{ID: randomText(rng), Verb: "ping", Host: randomText(rng), Socket: "dgram", Start: start, Planned: -1}
	for id := range 1 + rng.IntN(8) {
		t := host(id, randomText(rng), "192.0.2.7")
		switch rng.IntN(6) {
		case 0:
			t = host(id, randomText(rng), "")
		case 1:
			t.Addr = netip.MustParseAddrPort("[fe80::1%eth0]:0")
		case 2:
			t.Addr = netip.MustParseAddrPort("[2001:db8::1]:443")
		}
		s.target = append(s.target, t)
	}
	s.header.Targets = s.target
	s.header.Args = []string{randomText(rng), randomText(rng)}
	for seq := range uint64(rng.IntN(40)) {
		for _, t := range s.target {
			if t.Err == nil {
				s.result = append(s.result, randomResults(rng, t, seq+1)...)
			}
		}
	}
	return s
}

func randomResults(rng *rand.Rand, t *probe.Target, seq uint64) []probe.Result {
	rtt := time.Duration(rng.ExpFloat64() * 2e7)
	var out []probe.Result
	if rng.IntN(4) == 0 {
		out = append(out, overdue(t, seq))
	}
	switch probe.Status(rng.IntN(8)) {
	case probe.Late:
		out = append(out, late(t, seq, rtt))
	case probe.Lost:
		r := lost(t, seq)
		if rng.IntN(3) == 0 { // something came back, but no answer
			r.Reason, r.From, r.RTT, r.TTL, r.Flags = probe.BadReply, t.Addr.Addr(), rtt, 64, probe.Corrupt
		}
		out = append(out, r)
	case probe.Pending:
		out = append(out, pending(t, seq))
	case probe.Failed:
		out = append(out, failed(t, seq, probe.Reason(rng.IntN(32)), errors.New(randomText(rng))))
	case probe.Unreachable, probe.Expired, probe.Refused:
		r := icmpError(t, seq, probe.Unreachable, probe.Reason(rng.IntN(32)), "2001:db8::9", uint8(rng.Uint32()), uint8(rng.Uint32()))
		r.Status, r.MTU = []probe.Status{probe.Unreachable, probe.Expired, probe.Refused}[rng.IntN(3)], rng.IntN(3)*700
		out = append(out, r)
	default:
		r := reply(t, seq, rtt, probe.Flags(rng.Uint32())&^probe.Dup)
		if rng.IntN(10) == 0 {
			r.Detail = probe.PathMTU{MTU: rng.IntN(1501), Local: rng.IntN(2) == 0, BlackHole: rng.IntN(2) == 0}
		}
		out = append(out, r)
		for range rng.IntN(2) {
			out = append(out, with(r, func(r *probe.Result) { r.Flags |= probe.Dup }))
		}
	}
	return out
}

func randomText(rng *rand.Rand) string {
	alphabet := []string{"a", "host", ".", "\n", "\x1b[31m", "\xff", "\u202e", "\"", ",", "名", "\\", " ", "\u2028", "=", "\x00"}
	var b strings.Builder
	for range 1 + rng.IntN(8) {
		b.WriteString(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

func TestRandomRuns(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := randomRun(rng)
		var records, table, plain bytes.Buffer
		var views []output.View
		for format, w := range map[string]io.Writer{"json": &records, "csv": &table, "plain": &plain} {
			v, err := output.NewView(format, w, output.Options{})
			if err != nil {
				t.Fatal(err)
			}
			views = append(views, v)
		}
		if err := s.play(nil, views...); err != nil {
			t.Fatal(err)
		}
		if _, err := outputtest.Run(records.Bytes()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		outcomes := 0
		for i := range s.result {
			if s.result[i].Outcome() {
				outcomes++
			}
		}
		rows, err := csv.NewReader(&table).ReadAll()
		if err != nil || len(rows) != outcomes+1 {
			t.Fatalf("seed %d: %d CSV rows, %v, want %d", seed, len(rows), err, outcomes+1)
		}
		if text := plain.String(); text != readable([]byte(text)) {
			t.Fatalf("seed %d: control characters in plain lines", seed)
		}
	}
}

// screen is a terminal that knows what the table uses.
type screen struct {
	t          *testing.T
	cols, rows int
	lines      []string // all that was ever written, scrolled off or not
	y          int      // line of the cursor
	hidden     bool
}

func (s *screen) Write(p []byte) (int, error) {
	text := string(p)
	for text != "" {
		text = s.next(text)
	}
	return len(p), nil
}

// next consumes one control sequence or one run of text.
func (s *screen) next(text string) string {
	for len(s.lines) <= s.y {
		s.lines = append(s.lines, "")
	}
	switch {
	case text[0] == '\n':
		s.y++
		for len(s.lines) <= s.y {
			s.lines = append(s.lines, "")
		}
		return text[1:]
	case text[0] == '\r':
		return text[1:] // the table only writes whole lines
	case text[0] != '\x1b':
		end := strings.IndexAny(text, "\n\r\x1b")
		if end < 0 {
			end = len(text)
		}
		s.lines[s.y] += text[:end]
		return text[end:]
	}
	end := strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' }) + 2
	sequence, rest := text[2:end+1], text[end+1:]
	switch {
	case sequence == "?25l", sequence == "?25h":
		s.hidden = sequence == "?25l"
	case sequence == "K":
		if s.lines[s.y] != "" {
			s.t.Fatal("clears behind a text that may reach the edge")
		}
	case sequence == "J":
		s.lines = s.lines[:s.y+1]
		s.lines[s.y] = ""
	case strings.HasSuffix(sequence, "m"):
	case strings.HasSuffix(sequence, "A"):
		var n int
		fmt.Sscanf(sequence, "%dA", &n)
		if n > s.y || n >= s.rows {
			s.t.Fatalf("cursor goes %d lines up from line %d of a screen of %d", n, s.y, s.rows)
		}
		s.y -= n
		for i := range n {
			s.lines[s.y+i] = ""
		}
	default:
		s.t.Fatalf("unknown sequence %q", sequence)
	}
	return rest
}

// However small the terminal, a frame fits it, the cursor comes back, and what
// stays in the end is the table and nothing of the frames before it.
func TestTableOnScreen(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := randomRun(rng)
		for len(s.result) == 0 {
			s = randomRun(rng)
		}
		sc := &screen{t: t, cols: 10 + rng.IntN(150), rows: 5 + rng.IntN(10)}
		v, err := output.NewView("table", sc, output.Options{
			Terminal: true, Color: rng.IntN(2) == 0, Size: func() (int, int) { return sc.cols, sc.rows },
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.play(func(r *output.Report, i int) {
			if err := r.Refresh(start.Add(time.Duration(i) * time.Second)); err != nil {
				t.Error(err)
			}
			for _, l := range sc.lines {
				if w := cells(l); w > sc.cols {
					t.Fatalf("seed %d: %d cells wide, the terminal has %d: %q", seed, w, sc.cols, l)
				}
			}
			if len(sc.lines) > sc.rows {
				t.Fatalf("seed %d: %d lines on a screen of %d", seed, len(sc.lines), sc.rows)
			}
		}, v)
		if err != nil {
			t.Fatal(err)
		}
		if sc.hidden {
			t.Errorf("seed %d: the cursor stays hidden", seed)
		}
		if !strings.HasPrefix(sc.lines[0], "target") || len(sc.lines) < 1+len(s.target) {
			t.Errorf("seed %d: left standing:\n%s", seed, strings.Join(sc.lines, "\n"))
		}
		for _, l := range sc.lines[1:] {
			if strings.HasPrefix(l, "netprobe ") || strings.HasPrefix(l, "and ") {
				t.Errorf("seed %d: of an earlier frame: %q", seed, l)
			}
		}
	}
}

// The terminal becomes narrow: lines drawn wide have wrapped, and the next
// frame still starts where the last one did.
func TestTableResize(t *testing.T) {
	cols := 120
	var out bytes.Buffer
	v, err := output.NewView("table", &out, output.Options{
		Terminal: true, Size: func() (int, int) { return cols, 24 },
	})
	if err != nil {
		t.Fatal(err)
	}
	s := several()
	s.header.Targets = s.target
	err = s.play(func(r *output.Report, i int) {
		if i != len(s.result)-1 {
			return
		}
		_ = r.Refresh(start)
		out.Reset()
		cols = 60
		_ = r.Refresh(start)
		// 1 title, 1 line of names and 5 rows; some were wider than 60 cells.
		if first, _, _ := strings.Cut(out.String(), "\r"); first == "\x1b[7A" || !strings.HasSuffix(first, "A") {
			t.Errorf("cursor up %q", first)
		}
	}, v)
	if err != nil {
		t.Fatal(err)
	}
}

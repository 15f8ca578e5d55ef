package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"netprobe/internal/spell"
	"netprobe/stats"
)

// The types here are flag values (pflag.Value). The error of Set is the hint:
// it says what is allowed, in words that follow "invalid value".

// year bounds every duration: longer is a slip of the keyboard.
const year = 365 * 24 * time.Hour

// switchValue is a flag without a value. Its type is one whose help pflag leaves
// alone; that of a plain bool ends in [=true|false].
type switchValue struct{ p *bool }

func (v switchValue) Type() string     { return "boolfunc" }
func (v switchValue) String() string   { return strconv.FormatBool(*v.p) }
func (v switchValue) IsBoolFlag() bool { return true }

func (v switchValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("it takes no value, or true or false")
	}
	*v.p = b
	return nil
}

// onOff defines a switch in fs.
func onOff(fs *pflag.FlagSet, p *bool, name, shorthand, usage string) {
	f := fs.VarPF(switchValue{p}, name, shorthand, usage)
	f.NoOptDefVal, f.DefValue = "true", ""
}

// durationValue is a duration between min and max: bare numbers are seconds,
// else Go's notation.
type durationValue struct {
	p        *time.Duration
	min, max time.Duration
}

func (v durationValue) Type() string   { return "D" }
func (v durationValue) String() string { return shortDuration(*v.p) }

func (v durationValue) Set(s string) error {
	d, err := parseDuration(s)
	if err != nil || d < v.min || d > v.max {
		return fmt.Errorf("a duration from %s to %s: seconds (0.2), or with a unit (200ms, 1m30s)", shortDuration(v.min), shortDuration(v.max))
	}
	*v.p = d
	return nil
}

// parseDuration reads seconds as a decimal number, or a Go duration.
func parseDuration(s string) (time.Duration, error) {
	if strings.Trim(s, "0123456789.") != "" {
		return time.ParseDuration(s)
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || seconds > math.MaxInt64/float64(time.Second) {
		return 0, errors.New("not a number of seconds")
	}
	return time.Duration(math.Round(seconds * float64(time.Second))), nil
}

// shortDuration leaves out the zero parts that Duration.String ends with.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// intValue is a whole number between min and max, also in hexadecimal (0x).
type intValue struct {
	p        *int
	min, max int64
}

func (v intValue) Type() string   { return "N" }
func (v intValue) String() string { return strconv.Itoa(*v.p) }

func (v intValue) Set(s string) error {
	n, err := parseInt(s)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("a whole number from %d to %d", v.min, v.max)
	}
	*v.p = int(n)
	return nil
}

func parseInt(s string) (int64, error) {
	if digits, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		n, err := strconv.ParseUint(digits, 16, 62)
		return int64(n), err
	}
	return strconv.ParseInt(s, 10, 64)
}

// rateValue is packets per second: 0 is the flag's "max", no cap.
type rateValue struct{ p *float64 }

// maxRate is beyond what any host sends, packets per second.
const maxRate = 1e8

func (v rateValue) Type() string { return "N" }
func (v rateValue) String() string {
	if *v.p == 0 {
		return "max"
	}
	return strconv.FormatFloat(*v.p, 'g', -1, 64)
}

func (v rateValue) Set(s string) error {
	if s == "max" {
		*v.p = 0
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0.001 && n <= maxRate) {
		return fmt.Errorf("packets per second from 0.001 to %.0f, or max", maxRate)
	}
	*v.p = n
	return nil
}

// textValue is any text but none: that is what a script's unset variable gives.
type textValue struct {
	p    *string
	kind string
	what string // the hint
}

func (v textValue) Type() string   { return v.kind }
func (v textValue) String() string { return *v.p }

func (v textValue) Set(s string) error {
	if s == "" {
		return errors.New(v.what)
	}
	*v.p = s
	return nil
}

// wordValue is one of a list of words.
type wordValue struct {
	p     *string
	words []string
}

func (v wordValue) Type() string    { return "WORD" }
func (v wordValue) String() string  { return *v.p }
func (v wordValue) Words() []string { return v.words }

func (v wordValue) Set(s string) error {
	if !slices.Contains(v.words, s) {
		return oneOf(s, v.words)
	}
	*v.p = s
	return nil
}

// oneOf is the hint for a word that is not in the list.
func oneOf(word string, words []string) error {
	hint := "one of " + strings.Join(words, ", ")
	if near := spell.Nearest(word, words); near != "" {
		hint = fmt.Sprintf("did you mean %s? %s", near, hint)
	}
	return errors.New(hint)
}

// dscpValue is a Differentiated Services codepoint by name or number, kept as
// the TOS octet it makes (RFC 2474, section 3: the upper six bits).
type dscpValue struct{ tos *int }

// codepoints in the order of their numbers: class selectors (RFC 2474), assured
// (RFC 2597) and expedited forwarding (RFC 3246), voice-admit (RFC 5865), lower
// effort (RFC 8622).
var codepoints = []struct {
	name string
	dscp int
}{
	{"df", 0}, {"be", 0}, {"cs0", 0}, {"le", 1}, {"cs1", 8}, {"af11", 10}, {"af12", 12}, {"af13", 14},
	{"cs2", 16}, {"af21", 18}, {"af22", 20}, {"af23", 22}, {"cs3", 24}, {"af31", 26}, {"af32", 28}, {"af33", 30},
	{"cs4", 32}, {"af41", 34}, {"af42", 36}, {"af43", 38}, {"cs5", 40}, {"va", 44}, {"ef", 46}, {"cs6", 48}, {"cs7", 56},
}

func dscpNames() []string {
	var names []string
	for _, c := range codepoints {
		names = append(names, c.name)
	}
	return names
}

func (v dscpValue) Type() string    { return "NAME" }
func (v dscpValue) String() string  { return "" }
func (v dscpValue) Words() []string { return dscpNames() }

func (v dscpValue) Set(s string) error {
	for _, c := range codepoints {
		if strings.EqualFold(s, c.name) {
			*v.tos = c.dscp << 2
			return nil
		}
	}
	if n, err := parseInt(s); err == nil && n >= 0 && n <= 63 {
		*v.tos = int(n) << 2
		return nil
	}
	return fmt.Errorf("%w, or a number from 0 to 63", oneOf(s, dscpNames()))
}

// patternValue is up to 16 bytes of payload in hexadecimal.
type patternValue struct{ p *[]byte }

func (v patternValue) Type() string   { return "HEX" }
func (v patternValue) String() string { return hex.EncodeToString(*v.p) }

func (v patternValue) Set(s string) error {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) == 0 || len(b) > 16 {
		return errors.New("1 to 16 bytes, each two hexadecimal digits, as in 00ff")
	}
	*v.p = b
	return nil
}

// addrValue is an address of this host.
type addrValue struct{ p *netip.Addr }

func (v addrValue) Type() string { return "ADDR" }
func (v addrValue) String() string {
	if !v.p.IsValid() {
		return ""
	}
	return v.p.String()
}

func (v addrValue) Set(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return errors.New("an IP address of this host; an interface goes with -I")
	}
	*v.p = a.Unmap()
	return nil
}

// sweepRange is the sizes of --sweep-sizes: first to last by step, payload bytes.
type sweepRange struct{ first, last, step int }

// count is how many sizes there are.
func (r sweepRange) count() int { return (r.last-r.first)/r.step + 1 }

type sweepValue struct{ p *sweepRange }

func (v sweepValue) Type() string { return "A-B" }
func (v sweepValue) String() string {
	if *v.p == (sweepRange{}) {
		return ""
	}
	return fmt.Sprintf("%d-%d/%d", v.p.first, v.p.last, v.p.step)
}

func (v sweepValue) Set(s string) error {
	bad := fmt.Errorf("payload sizes A-B or A-B/STEP with 0 <= A <= B <= %d and STEP from 1", maxPayload)
	sizes, step, hasStep := strings.Cut(s, "/")
	first, last, ok := strings.Cut(sizes, "-")
	if !ok {
		return bad
	}
	if !hasStep {
		step = "1"
	}
	var n [3]int
	for i, field := range []string{first, last, step} {
		var err error
		if n[i], err = strconv.Atoi(field); err != nil || n[i] > maxPayload {
			return bad
		}
	}
	r := sweepRange{n[0], n[1], n[2]}
	if r.first < 0 || r.last < r.first || r.step < 1 {
		return bad
	}
	*v.p = r
	return nil
}

// conditionValue is the expression of --fail-if.
type conditionValue struct {
	p    **stats.Condition
	text string
}

func (v *conditionValue) Type() string   { return "EXPR" }
func (v *conditionValue) String() string { return v.text }

func (v *conditionValue) Set(s string) error {
	c, err := stats.ParseCondition(s)
	if err != nil {
		return err
	}
	*v.p, v.text = c, s
	return nil
}

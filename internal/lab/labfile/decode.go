package labfile

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"netprobe/internal/lab"
	"netprobe/internal/spell"
)

// decoder walks the tree of a file. It keeps the first error only and goes on
// with zero values, so that no caller has to ask in between.
type decoder struct {
	file  string
	err   error // an *Error
	names map[netip.Addr]string
	hops  int // so far, in all ways
}

// fields are what to do with the value of each key of a map, by key.
type fields map[string]func(*yaml.Node)

// add returns f with the fields of g, too.
func (f fields) add(g fields) fields {
	maps.Copy(f, g)
	return f
}

// fail records what is wrong at n.
func (d *decoder) fail(n *yaml.Node, format string, args ...any) { d.failHint(n, "", format, args...) }

func (d *decoder) failHint(n *yaml.Node, hint, format string, args ...any) {
	if d.err != nil {
		return
	}
	d.err = &Error{File: d.file, Line: n.Line, Column: n.Column, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// special reports whether n uses what would let a file grow while it is read.
func special(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Tag == "!!merge"
}

// nothing reports whether n is a key's missing value.
func nothing(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kind says what n is, in words.
func kind(n *yaml.Node) string {
	switch {
	case special(n):
		return "an anchor, alias, merge or tag, which are not used here"
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case nothing(n):
		return "nothing"
	}
	return fmt.Sprintf("%q", short(n.Value))
}

// short returns the beginning of a long s.
func short(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// table reads a map whose keys are those of f.
func (d *decoder) table(n *yaml.Node, f fields) {
	if n.Kind != yaml.MappingNode || special(n) {
		d.fail(n, "a map of keys and values is needed, not %s", kind(n))
		return
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		do, ok := f[key.Value]
		switch {
		case d.err != nil:
			return
		case key.Kind != yaml.ScalarNode || special(key):
			d.fail(key, "%s is not a key", kind(key))
		case !ok:
			d.unknownKey(key, f)
		case seen[key.Value]:
			d.fail(key, "%s is there twice", key.Value)
		case nothing(value):
			d.fail(key, "%s has no value", key.Value)
		default:
			seen[key.Value] = true
			do(value)
		}
	}
}

func (d *decoder) unknownKey(n *yaml.Node, f fields) {
	known := slices.Sorted(maps.Keys(f))
	hint := "known here: " + strings.Join(known, ", ")
	if near := spell.Nearest(n.Value, known); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	d.failHint(n, hint, "unknown key %q", short(n.Value))
}

// list calls do for every element of a list, and once for what is none: a
// single value may stand for a list of one.
func (d *decoder) list(n *yaml.Node, do func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode || special(n) {
		do(n)
		return
	}
	for _, v := range n.Content {
		if d.err != nil {
			return
		}
		do(v)
	}
}

// sequence is list for what has to be a list of at most most elements.
func (d *decoder) sequence(n *yaml.Node, what string, most int, do func(*yaml.Node)) {
	switch {
	case n.Kind != yaml.SequenceNode || special(n):
		d.fail(n, "a list of %s is needed, not %s", what, kind(n))
	case len(n.Content) > most:
		d.fail(n, "%d %s, more than %d", len(n.Content), what, most)
	default:
		d.list(n, do)
	}
}

// word returns a scalar as it was written, without its quotes.
func (d *decoder) word(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || special(n) || nothing(n) {
		d.fail(n, "one value is needed, not %s", kind(n))
		return ""
	}
	return n.Value
}

// line returns a text of one line.
func (d *decoder) line(n *yaml.Node) string {
	s := d.word(n)
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(s) > 200 {
		d.fail(n, "a text of one line and at most 200 octets is needed")
	}
	return s
}

func (d *decoder) truth(n *yaml.Node) bool {
	s := d.word(n)
	if s != "true" && s != "false" {
		d.fail(n, "true or false is needed, not %s", kind(n))
	}
	return s == "true"
}

// number returns an integer between least and most.
func (d *decoder) number(n *yaml.Node, least, most uint64) uint64 {
	v, err := strconv.ParseUint(d.word(n), 10, 64)
	if err != nil || v < least || v > most {
		d.fail(n, "a number from %d to %d is needed, not %s", least, most, kind(n))
		return 0
	}
	return v
}

// maxDelay bounds every duration: longer is a slip of the keyboard.
const maxDelay = time.Minute

// duration returns a duration from 0 to maxDelay.
func (d *decoder) duration(n *yaml.Node) time.Duration {
	v, err := time.ParseDuration(d.word(n))
	if err != nil || v < 0 || v > maxDelay {
		d.fail(n, "a duration from 0 to %v is needed, as in 20ms or 1.5s, not %s", maxDelay, kind(n))
		return 0
	}
	return v
}

// share returns a share between 0 and 1, written as 5% or 0.05.
func (d *decoder) share(n *yaml.Node) float64 {
	s, percent := strings.CutSuffix(d.word(n), "%")
	v, err := strconv.ParseFloat(s, 64)
	if percent {
		v /= 100
	}
	if err != nil || math.IsNaN(v) || v < 0 || v > 1 {
		d.fail(n, "a share from 0%% to 100%% is needed, as in 5%% or 0.05, not %s", kind(n))
		return 0
	}
	return v
}

// addr returns one plain address.
func (d *decoder) addr(n *yaml.Node) netip.Addr {
	a, err := netip.ParseAddr(d.word(n))
	if err != nil || a.Zone() != "" || a.Is4In6() || !a.IsGlobalUnicast() {
		d.fail(n, "the address of one host is needed, as in 192.0.2.1 or 2001:db8::1, not %s", kind(n))
		return netip.Addr{}
	}
	return a
}

// addrs returns at most one address per family.
func (d *decoder) addrs(n *yaml.Node) []netip.Addr {
	var list []netip.Addr
	d.list(n, func(v *yaml.Node) {
		a := d.addr(v)
		for _, b := range list {
			if a.IsValid() && a.Is4() == b.Is4() {
				d.fail(v, "%v and %v: one address per family", b, a)
			}
		}
		list = append(list, a)
	})
	return list
}

// prefixes returns addresses and prefixes.
func (d *decoder) prefixes(n *yaml.Node) []netip.Prefix {
	var list []netip.Prefix
	d.list(n, func(v *yaml.Node) {
		if p, err := netip.ParsePrefix(d.word(v)); err == nil {
			if p.Masked() != p {
				d.fail(v, "%v has bits set behind its length; %v is meant", p, p.Masked())
			}
			list = append(list, p)
			return
		}
		a := d.addr(v)
		list = append(list, netip.PrefixFrom(a, a.BitLen()))
	})
	return list
}

// ports returns a list of ports.
func (d *decoder) ports(n *yaml.Node) []uint16 {
	list := []uint16{}
	d.list(n, func(v *yaml.Node) { list = append(list, uint16(d.number(v, 1, 65535))) })
	return list
}

// choice returns the value that a word stands for.
func choice[T any](d *decoder, n *yaml.Node, words map[string]T) T {
	s := d.word(n)
	v, ok := words[s]
	if !ok {
		d.failHint(n, "known here: "+strings.Join(slices.Sorted(maps.Keys(words)), ", "), "unknown word %q", short(s))
	}
	return v
}

// flags sets what a list of words stands for.
func (d *decoder) flags(n *yaml.Node, words map[string]*bool) {
	d.list(n, func(n *yaml.Node) {
		if p := choice(d, n, words); p != nil {
			*p = true
		}
	})
}

// limit reads "1/s burst 6": the rate and how many may come at once.
func (d *decoder) limit(n *yaml.Node) lab.RateLimit {
	rate, burst, _ := strings.Cut(d.word(n), " ")
	var l lab.RateLimit
	perSecond, unit := strings.CutSuffix(rate, "/s")
	v, err := strconv.ParseFloat(perSecond, 64)
	ok := unit && err == nil && v >= 0 && v <= 1e6
	l.PerSecond, l.Burst = v, 1
	if burst != "" {
		count, named := strings.CutPrefix(strings.TrimSpace(burst), "burst ")
		b, err := strconv.ParseUint(strings.TrimSpace(count), 10, 20)
		ok = ok && named && err == nil && b > 0
		l.Burst = int(b)
	}
	if !ok {
		d.fail(n, `a rate is needed, as in "1/s burst 6", not %s`, kind(n))
		return lab.RateLimit{}
	}
	return l
}

// hostName reads a host name and remembers it for the addresses.
func (d *decoder) hostName(n *yaml.Node) string {
	s := strings.TrimSuffix(d.word(n), ".")
	ok := s != "" && len(s) <= 253
	for label := range strings.SplitSeq(s, ".") {
		ok = ok && label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-' &&
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
	}
	if !ok {
		d.fail(n, "a host name in lower-case letters is needed, as in server.lab, not %s", kind(n))
		return ""
	}
	return s
}

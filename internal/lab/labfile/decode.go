package labfile

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

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
type fields map[string]func(ast.Node)

// add returns f with the fields of g, too.
func (f fields) add(g fields) fields {
	for k, do := range g {
		f[k] = do
	}
	return f
}

// fail records what is wrong at n.
func (d *decoder) fail(n ast.Node, format string, args ...any) { d.failHint(n, "", format, args...) }

func (d *decoder) failHint(n ast.Node, hint, format string, args ...any) {
	if d.err != nil {
		return
	}
	e := &Error{File: d.file, Msg: fmt.Sprintf(format, args...), Hint: hint}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	d.err = e
}

// kind says what n is, in words.
func kind(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a map"
	case ast.SequenceType:
		return "a list"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType, ast.TagType:
		return "an anchor, alias, merge or tag, which are not used here"
	case ast.NullType:
		return "nothing"
	}
	return fmt.Sprintf("%q", short(n.GetToken().Value))
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
func (d *decoder) table(n ast.Node, f fields) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		d.fail(n, "a map of keys and values is needed, not %s", kind(n))
		return
	}
	for _, v := range values {
		key := v.Key.GetToken().Value
		do, ok := f[key]
		switch {
		case d.err != nil:
			return
		case v.Key.Type() != ast.StringType:
			d.fail(v.Key, "%s is not a key", kind(v.Key))
		case !ok:
			d.unknownKey(v.Key, key, f)
		case v.Value == nil || v.Value.Type() == ast.NullType:
			d.fail(v.Key, "%s has no value", key)
		default:
			do(v.Value)
		}
	}
}

func (d *decoder) unknownKey(n ast.Node, key string, f fields) {
	var known []string
	for k := range f {
		known = append(known, k)
	}
	sortWords(known)
	hint := "known here: " + strings.Join(known, ", ")
	if near := spell.Nearest(key, known); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	d.failHint(n, hint, "unknown key %q", short(key))
}

// list calls do for every element of a list, and once for what is none: a
// single value may stand for a list of one.
func (d *decoder) list(n ast.Node, do func(ast.Node)) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		do(n)
		return
	}
	for _, v := range s.Values {
		if d.err != nil {
			return
		}
		do(v)
	}
}

// sequence is list for what has to be a list of at most most elements.
func (d *decoder) sequence(n ast.Node, what string, most int, do func(ast.Node)) {
	s, ok := n.(*ast.SequenceNode)
	switch {
	case !ok:
		d.fail(n, "a list of %s is needed, not %s", what, kind(n))
	case len(s.Values) > most:
		d.fail(n, "%d %s, more than %d", len(s.Values), what, most)
	default:
		d.list(n, do)
	}
}

// word returns a scalar as it was written, without its quotes.
func (d *decoder) word(n ast.Node) string {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value
	}
	d.fail(n, "one value is needed, not %s", kind(n))
	return ""
}

// line returns a text of one line.
func (d *decoder) line(n ast.Node) string {
	s := d.word(n)
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(s) > 200 {
		d.fail(n, "a text of one line and at most 200 octets is needed")
	}
	return s
}

func (d *decoder) truth(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		d.fail(n, "true or false is needed, not %s", kind(n))
		return false
	}
	return b.Value
}

// number returns an integer between least and most.
func (d *decoder) number(n ast.Node, least, most uint64) uint64 {
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
func (d *decoder) duration(n ast.Node) time.Duration {
	v, err := time.ParseDuration(d.word(n))
	if err != nil || v < 0 || v > maxDelay {
		d.fail(n, "a duration from 0 to %v is needed, as in 20ms or 1.5s, not %s", maxDelay, kind(n))
		return 0
	}
	return v
}

// share returns a share between 0 and 1, written as 5% or 0.05.
func (d *decoder) share(n ast.Node) float64 {
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
func (d *decoder) addr(n ast.Node) netip.Addr {
	a, err := netip.ParseAddr(d.word(n))
	if err != nil || a.Zone() != "" || a.Is4In6() || !a.IsGlobalUnicast() {
		d.fail(n, "the address of one host is needed, as in 192.0.2.1 or 2001:db8::1, not %s", kind(n))
		return netip.Addr{}
	}
	return a
}

// addrs returns at most one address per family.
func (d *decoder) addrs(n ast.Node) []netip.Addr {
	var list []netip.Addr
	d.list(n, func(v ast.Node) {
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
func (d *decoder) prefixes(n ast.Node) []netip.Prefix {
	var list []netip.Prefix
	d.list(n, func(v ast.Node) {
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
func (d *decoder) ports(n ast.Node) []uint16 {
	list := []uint16{}
	d.list(n, func(v ast.Node) { list = append(list, uint16(d.number(v, 1, 65535))) })
	return list
}

// choice returns the value that a word stands for.
func choice[T any](d *decoder, n ast.Node, words map[string]T) T {
	s := d.word(n)
	v, ok := words[s]
	if !ok {
		var known []string
		for w := range words {
			known = append(known, w)
		}
		sortWords(known)
		d.failHint(n, "known here: "+strings.Join(known, ", "), "unknown word %q", short(s))
	}
	return v
}

// limit reads "1/s burst 6": the rate and how many may come at once.
func (d *decoder) limit(n ast.Node) lab.RateLimit {
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
func (d *decoder) hostName(n ast.Node) string {
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

package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"netprobe/ports"
	"netprobe/probe"
)

// uintValue is a whole number from min upwards.
type uintValue struct {
	p   *uint64
	min uint64
}

func (v uintValue) Type() string   { return "N" }
func (v uintValue) String() string { return strconv.FormatUint(*v.p, 10) }

func (v uintValue) Set(s string) error {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n < v.min {
		return fmt.Errorf("a whole number from %d to %d", v.min, uint64(math.MaxUint64))
	}
	*v.p = n
	return nil
}

// factorValue is by how much each wait is longer than the one before.
type factorValue struct{ p *float64 }

// maxFactor bounds --backoff: with the ten retries there can be, the last wait
// would be beyond any patience.
const maxFactor = 10

func (v factorValue) Type() string   { return "FACTOR" }
func (v factorValue) String() string { return strconv.FormatFloat(*v.p, 'g', -1, 64) }

func (v factorValue) Set(s string) error {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 1 && n <= maxFactor) {
		return fmt.Errorf("a factor from 1 to %d", maxFactor)
	}
	*v.p = n
	return nil
}

// adaptiveValue is packets per second, or that the run finds out by itself.
type adaptiveValue struct{ rateValue }

// String is empty for no cap: unless it was given, the rate is adaptive.
func (v adaptiveValue) String() string {
	if *v.p == 0 {
		return ""
	}
	return v.rateValue.String()
}

// shardValue is one part of a sweep over several hosts.
type shardValue struct{ p *probe.Shard }

func (v shardValue) Type() string { return "I/N" }
func (v shardValue) String() string {
	if v.p.N == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", v.p.I, v.p.N)
}

func (v shardValue) Set(s string) error {
	part, parts, ok := strings.Cut(s, "/")
	i, err1 := strconv.ParseUint(part, 10, 64)
	n, err2 := strconv.ParseUint(parts, 10, 64)
	if !ok || err1 != nil || err2 != nil || i < 1 || i > n {
		return errors.New("part I of N, as in 1/4, 2/4, 3/4 and 4/4 on four machines")
	}
	*v.p = probe.Shard{I: i, N: n}
	return nil
}

// prefixes are the lengths of the subnets that --by counts, bits; 0 for a family
// that is not counted.
type prefixes struct{ v4, v6 int }

// byValue is one prefix length for IPv4, one for IPv6, or both. A single one
// beyond an IPv4 address is that of IPv6.
type byValue struct{ p *prefixes }

func (v byValue) Type() string { return "/N" }
func (v byValue) String() string {
	var list []string
	for _, bits := range []int{v.p.v4, v.p.v6} {
		if bits > 0 {
			list = append(list, fmt.Sprintf("/%d", bits))
		}
	}
	return strings.Join(list, ",")
}

func (v byValue) Set(s string) error {
	first, second, both := strings.Cut(s, ",")
	a, ok := prefixLength(first)
	p := prefixes{v4: a}
	switch {
	case both:
		b, ok6 := prefixLength(second)
		p.v6 = b
		ok = ok && ok6 && a <= 32
	case a > 32:
		p = prefixes{v6: a}
	}
	if !ok {
		return errors.New("a prefix length, as in /24; for IPv4 and IPv6 both, as in /24,/64")
	}
	*v.p = p
	return nil
}

// prefixLength reads /24 or 24, bits.
func prefixLength(s string) (bits int, ok bool) {
	bits, err := strconv.Atoi(strings.TrimPrefix(s, "/"))
	return bits, err == nil && bits >= 1 && bits <= 128
}

// A kind is one way to ask whether a host is there.
type kind struct {
	proto string // icmp, tcp or udp
	port  uint16 // of tcp and udp
}

func (k kind) String() string {
	if k.port == 0 {
		return k.proto
	}
	return fmt.Sprintf("%s:%d", k.proto, k.port)
}

// kindsValue is a list of kinds, the next for hosts that are silent so far.
type kindsValue struct{ p *[]kind }

func (v kindsValue) Type() string { return "LIST" }
func (v kindsValue) String() string {
	var words []string
	for _, k := range *v.p {
		words = append(words, k.String())
	}
	return strings.Join(words, ",")
}

// maxKinds bounds how often one silent host is asked anew.
const maxKinds = 16

func (v kindsValue) Set(s string) error {
	var kinds []kind
	seen := map[kind]bool{}
	for word := range strings.SplitSeq(s, ",") {
		k, err := parseKind(strings.TrimSpace(word))
		if err != nil {
			return err
		}
		if seen[k] {
			return fmt.Errorf("%v is there twice", k)
		}
		seen[k] = true
		kinds = append(kinds, k)
	}
	if len(kinds) > maxKinds {
		return fmt.Errorf("at most %d kinds", maxKinds)
	}
	*v.p = kinds
	return nil
}

func parseKind(word string) (kind, error) {
	proto, port, hasPort := strings.Cut(strings.ToLower(word), ":")
	switch {
	case proto == "icmp" && !hasPort:
		return kind{proto: proto}, nil
	case proto == "icmp":
		return kind{}, errors.New("icmp has no port; ports go with tcp and udp, as in tcp:443")
	case (proto == "tcp" || proto == "udp") && port == "":
		return kind{}, fmt.Errorf("%s needs a port, as in tcp:443 or udp:53", proto)
	case proto == "tcp":
		n, err := parsePort(ports.TCP, port)
		return kind{proto, n}, err
	case proto == "udp":
		n, err := parsePort(ports.UDP, port)
		return kind{proto, n}, err
	case proto == "":
		return kind{}, errors.New("kinds of probes with commas between them, as in icmp,tcp:443")
	}
	return kind{}, fmt.Errorf("%w, as in icmp,tcp:443,udp:53", oneOf(proto, protoWords))
}

// listValue is a list with commas; each time the flag is given adds to it.
type listValue struct {
	p    *[]string
	kind string
	what string // the hint
}

func (v listValue) Type() string   { return v.kind }
func (v listValue) String() string { return strings.Join(*v.p, ",") }

func (v listValue) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			return errors.New(v.what)
		}
		*v.p = append(*v.p, word)
	}
	return nil
}

// millisHint speaks up where a number is too large for a TTL: elsewhere -t is
// the timeout.
func millisHint(s string) string {
	if n, err := strconv.Atoi(s); err == nil && n > 255 {
		return "the timeout is -W " + shortDuration(time.Duration(n)*time.Millisecond)
	}
	return ""
}

// sizeHint knows two habits that do not mean a size.
func sizeHint(s string) string {
	switch {
	case s == "n":
		return "nmap's -sn is what sweep does without any flag"
	case strings.HasPrefix(s, "-"):
		return "the summary, fping's -s, is there without asking"
	}
	return nameHint("a source address goes with -S")(s)
}

// fileListValue is a file; each time the flag is given adds one.
type fileListValue struct{ p *[]string }

func (v fileListValue) Type() string   { return "FILE" }
func (v fileListValue) String() string { return strings.Join(*v.p, ",") }

func (v fileListValue) Set(s string) error {
	if s == "" {
		return errors.New("the name of a file")
	}
	*v.p = append(*v.p, s)
	return nil
}

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// protoValue is the protocol of probes, with a destination port if one follows
// a colon.
type protoValue struct {
	p    *string
	port *int
}

var protoWords = []string{"icmp", "udp", "tcp"}

func (v protoValue) Type() string    { return "WORD" }
func (v protoValue) String() string  { return *v.p }
func (v protoValue) Words() []string { return protoWords }

func (v protoValue) Set(s string) error {
	word, port, hasPort := strings.Cut(strings.ToLower(s), ":")
	if _, ok := protos[word]; !ok {
		if _, err := strconv.ParseUint(s, 10, 16); err == nil {
			return errors.New("the destination port goes with --port, as in -P tcp --port " + s)
		}
		return oneOf(word, protoWords)
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || word == "icmp" {
			return errors.New("udp and tcp may be followed by a port from 1 to 65535, as in tcp:443")
		}
		*v.port = int(n)
	}
	*v.p = word
	return nil
}

// percentValue is a percentage between min and max.
type percentValue struct {
	p        *float64
	min, max float64
}

func (v percentValue) Type() string   { return "PERCENT" }
func (v percentValue) String() string { return strconv.FormatFloat(*v.p, 'g', -1, 64) }

func (v percentValue) Set(s string) error {
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(n >= v.min && n <= v.max) {
		return fmt.Errorf("a percentage from %v to %v", v.min, v.max)
	}
	*v.p = n
	return nil
}

// hinted is a value whose letter means something else elsewhere: hint says what
// to write instead, if the value looks like that.
type hinted struct {
	pflag.Value
	hint func(s string) string
}

func (v hinted) Set(s string) error {
	err := v.Value.Set(s)
	if err == nil {
		return nil
	}
	if hint := v.hint(s); hint != "" {
		return fmt.Errorf("%s; here it is %w", hint, err)
	}
	return err
}

// nameHint gives a hint for what is an address or an interface of this host.
func nameHint(hint string) func(string) string {
	return func(s string) string {
		if _, err := netip.ParseAddr(s); err == nil {
			return hint
		}
		if _, err := net.InterfaceByName(s); err == nil {
			return hint
		}
		return ""
	}
}

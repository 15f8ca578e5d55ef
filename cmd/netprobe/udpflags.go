package main

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/udpprobe/payload"
)

// udpFlags are the flags of udp.
type udpFlags struct {
	portFlags

	proto   string // empty goes by the port
	payload []byte // nil sends what goes with the protocol
	file    string // that payload is read from; empty for none
}

// define gives cmd its flags.
func (f *udpFlags) define(cmd *cobra.Command) {
	var g flagGroups
	f.paced(g.add("How many and how often"), time.Second, "")
	f.way(g.add("Where to and by which way"))
	packet := g.add("The packet")
	packet.Var(wordValue{&f.proto, payload.Names()}, "proto", "ask as this `PROTOCOL` does, whatever the port")
	packet.Var(hexValue{&f.payload}, "payload-hex", "send these bytes, and take any answer")
	packet.Var(textValue{&f.file, "FILE", "the name of a file"}, "payload-file", "send what is in `FILE`, and take any answer")
	f.packet(packet)
	f.shown(g.add("Output"))
	f.scripts(g.add("For scripts"), "answered")
	g.attach(cmd)
	completeFlags(cmd)
}

var udpConflicts = []conflict{
	{"proto", "payload-hex", "--payload-hex says what to send"},
	{"proto", "payload-file", "the file says what to send"},
	{"payload-hex", "payload-file", "one of them says what to send"},
}

// check finishes the flags after parsing.
func (f *udpFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, udpConflicts); err != nil {
		return err
	}
	return f.portFlags.check(fs)
}

// hexValue is the payload of a datagram in hexadecimal.
type hexValue struct{ p *[]byte }

func (v hexValue) Type() string   { return "HEX" }
func (v hexValue) String() string { return hex.EncodeToString(*v.p) }

func (v hexValue) Set(s string) error {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "").Replace(s))
	if err != nil || len(b) > maxDatagram {
		return errors.New("up to 65507 bytes, each two hexadecimal digits, as in 00ff; nothing at all is an empty datagram")
	}
	*v.p = b
	return nil
}

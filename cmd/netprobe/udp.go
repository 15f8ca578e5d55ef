package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"netprobe/internal/rounds"
	"netprobe/ports"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/udpprobe"
	"netprobe/udpprobe/payload"
)

func newUDP(args []string) *cobra.Command {
	f := &udpFlags{}
	cmd := &cobra.Command{
		Use:   "udp [flags] HOST:PORT... | HOST PORT...",
		Short: "UDP questions that services understand, again and again",
		Long: "A HOST is a name or an address, [2001:db8::1]:123 if that is IPv6; a PORT is a\n" +
			"number, a service such as ntp, or a list as of scan: 53,ntp,5000-5003,@dns.\n" +
			"Without a port the first argument is the one host, the others are ports of it.\n\n" +
			"What is sent goes by the port, or by --proto: " + wrapped(payload.Names(), 76, 46) + ".\n" +
			"To a port without a protocol goes an empty datagram, and anything is an answer.\n" +
			"An answer counts if it is the protocol's and to our question, else it is a\n" +
			"bad-reply, which is no success. It has to come from the address and port that\n" +
			"was asked, but for tftp, which answers from another port.\n\n" +
			"Silence is open|filtered: an open port may keep it as well as a firewall.\n" +
			muteLine() + "\n" +
			"Exit code: 0 all answered, 1 some did not, 2 usage, 3 could not test.",
		Example: "  netprobe udp 192.0.2.1:123                           until Ctrl-C\n" +
			"  netprobe udp 192.0.2.1 dns ntp snmp                  ports side by side\n" +
			"  netprobe udp -c 3 --proto stun stun.example.com:19302\n" +
			"  netprobe udp --payload-hex 0000000a 192.0.2.1:27015  a question of one's own\n" +
			"  netprobe udp --wait 60s 192.0.2.1:53                 in scripts: go on when it answers\n" +
			"  netprobe udp --json -c 3 192.0.2.1:123 | jq .facts.ntp_offset_ms",
		RunE:              runSession(f.session, args),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.define(cmd)
	return cmd
}

// wrapped joins words by commas into lines of at most width columns, of which
// the first has taken some already.
func wrapped(words []string, width, taken int) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(",")
			if taken+len(w)+2 > width {
				b.WriteString("\n")
				taken = 0
			} else {
				b.WriteString(" ")
				taken += 2
			}
		}
		b.WriteString(w)
		taken += len(w)
	}
	return b.String()
}

// muteLine names the protocols whose services never answer.
func muteLine() string {
	mute := slices.DeleteFunc(payload.Names(), func(name string) bool { return payload.ByName(name).Mute == "" })
	last := len(mute) - 1
	return strings.Join(mute[:last], ", ") + " and " + mute[last] + " never answer strangers."
}

// session checks the flags and targets of a command line and returns its run.
func (f *udpFlags) session(cmd *cobra.Command, args []string) (*session, error) {
	if err := f.check(cmd.Flags()); err != nil {
		return nil, err
	}
	s, err := f.portFlags.session(cmd, ports.UDP, args)
	if err != nil {
		return nil, err
	}
	s.watch = func(next probe.Sink) remarker { return newUDPVerdicts(next, f.protocol) }
	s.open = f.open
	return s, nil
}

// open reads what is to be sent and checks that it can be.
func (f *udpFlags) open() (engine, error) {
	if f.file != "" {
		if err := f.readPayload(); err != nil {
			return nil, err
		}
	}
	cfg := f.config()
	if err := rawsock.CheckDial(cfg.Socket); err != nil {
		return nil, openFailure(err, &f.runFlags)
	}
	rawsock.KeepStamps() // which take a moment to begin
	e := f.connect(1, 0, func() rounds.Asker { return udpprobe.NewAsker(cfg) })
	if rawsock.StampsDatagrams {
		e.clock = probe.Kernel
	}
	return e, nil
}

// config is what the flags say to those who ask.
func (f *udpFlags) config() udpprobe.Config {
	return udpprobe.Config{Socket: f.dial(), Proto: payload.ByName(f.proto), Payload: f.payload}
}

// protocol is what is asked at port, nil if that is nothing that is understood;
// own is set where the user said what to send.
func (f *udpFlags) protocol(port uint16) (p *payload.Protocol, own bool) {
	return f.config().Protocol(port), f.payload != nil
}

// readPayload reads --payload-file with the rights of who started us.
func (f *udpFlags) readPayload() error {
	in, err := openAsCaller(f.file)
	if err != nil {
		return untested(err, "--payload-file takes a file that can be read")
	}
	defer in.Close()
	f.payload, err = io.ReadAll(io.LimitReader(in, maxDatagram+1))
	switch {
	case err != nil:
		return untested(err, "--payload-file takes a file that can be read")
	case len(f.payload) > maxDatagram:
		return usage("the largest payload of a UDP datagram", "%q has more than %d bytes", f.file, maxDatagram)
	case f.payload == nil:
		f.payload = []byte{}
	}
	return nil
}

// maxDatagram is how much a UDP datagram over IPv4 carries, bytes: its packet has
// 65535 at most, with headers of 20 and 8 (RFC 791, RFC 768).
const maxDatagram = 65535 - 20 - 8

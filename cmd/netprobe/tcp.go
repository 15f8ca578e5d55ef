package main

import (
	"time"

	"github.com/spf13/cobra"

	"netprobe/internal/rounds"
	"netprobe/ports"
	"netprobe/probe"
	"netprobe/rawsock"
	"netprobe/tcpprobe"
)

func newTCP(args []string) *cobra.Command {
	f := &tcpFlags{}
	cmd := &cobra.Command{
		Use:   "tcp [flags] HOST:PORT... | HOST PORT...",
		Short: "TCP connects to any number of ports, again and again",
		Long: "A HOST is a name or an address, [2001:db8::1]:443 if that is IPv6; a PORT is a\n" +
			"number, a service such as https, or a list as of scan: 22,https,8000-8003,@web.\n" +
			"Without a port the first argument is the one host, the others are ports of it.\n\n" +
			"A connection that stands is reset at once. The time is the kernel's, from the\n" +
			"SYN that was answered to the answer; retrans says how often one was sent again\n" +
			"before, and wall how long that took in all. A SYN that is lost once is no outage;\n" +
			"such answers count as received, and are left out of the statistics of times.\n\n" +
			"More can be asked on the same connection: TLS, HTTP, what the server says. All of\n" +
			"it, and looking up the name before, has the time of one probe (-W), each phase is\n" +
			"timed, and a line says at which layer it failed. Such a probe counts as an error,\n" +
			"though the port is open.\n" +
			"Exit code: 0 all answered, 1 some did not, 2 usage, 3 could not test.",
		Example: "  netprobe tcp www.example.com:443                     until Ctrl-C\n" +
			"  netprobe tcp 192.0.2.1 22 https 8000-8003            ports side by side\n" +
			"  netprobe tcp -c 5 [2001:db8::1]:22 192.0.2.1:22      IPv6 in brackets\n" +
			"  netprobe tcp --wait 60s db.example.com:5432          in scripts: go on when it is open\n" +
			"  netprobe tcp -c 100 --fail-if 'loss>1%,retrans>0' 192.0.2.1:443\n" +
			"  netprobe tcp --tls --http /health www.example.com:443\n" +
			"  netprobe tcp --starttls smtp -c 1 mail.example.com:25\n" +
			"  netprobe tcp --send 'PING\\r\\n' --expect '^\\+PONG' 192.0.2.1:6379\n" +
			"  netprobe tcp --json -c 3 192.0.2.1:443 | jq .rtt_ms",
		RunE:              runSession(f.session, args),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.define(cmd)
	return cmd
}

// session checks the flags and targets of a command line and returns its run.
func (f *tcpFlags) session(cmd *cobra.Command, args []string) (*session, error) {
	if err := f.check(cmd.Flags()); err != nil {
		return nil, err
	}
	s, err := f.portFlags.session(cmd, ports.TCP, args)
	if err != nil {
		return nil, err
	}
	s.open = func() (engine, error) { return f.open(s.resolver()) }
	return s, nil
}

// open checks that connects can work. names looks up those of targets.
func (f *tcpFlags) open(names *probe.Resolver) (engine, error) {
	socket := f.dial()
	if err := rawsock.CheckDial(socket); err != nil {
		return nil, openFailure(err, &f.runFlags)
	}
	climb, err := f.ready(&f.runFlags)
	if err != nil {
		return nil, err
	}
	var grace time.Duration
	if climb != nil {
		climb.Names, grace = names, climbGrace
	}
	e := f.connect(climb.Cost(), grace, func() rounds.Asker { return tcpprobe.NewAsker(socket, climb) })
	if rawsock.TellsHandshakes {
		e.clock = probe.Kernel
	}
	return e, nil
}

// climbGrace is how much later than an Asker the engine gives up a probe that
// asks above the connection: the Asker knows what to say of it.
const climbGrace = time.Second

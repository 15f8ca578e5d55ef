package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"netprobe/output"
)

func newScan(args []string) *cobra.Command {
	f := &scanFlags{}
	cmd := &cobra.Command{
		Use:   "scan [flags] TARGET... [-p PORTS]",
		Short: "which ports are open, closed or filtered, and by whom",
		Long: "A TARGET is an address, a name, a network or a range. PORTS are numbers, ranges,\n" +
			"names and groups: 22,80,8000-8100,https,@web,top:100; - is all 65535. By default\n" +
			"ports are connected to, which needs no privilege; --syn asks by half-open\n" +
			"connections, --udp by datagrams with a question. It goes as fast as nothing is\n" +
			"lost, asks only silent ports again, and says what it could not test.\n" +
			"Exit code: 0 the scan was completed, 1 --expect was not met, 2 usage (nothing was\n" +
			"sent), 3 could not test all ports.",
		Example: "  netprobe scan 192.0.2.7                             the 1000 common infrastructure ports\n" +
			"  netprobe scan -p- 192.0.2.7                         all of them\n" +
			"  netprobe scan -p @web,@db,6443 192.0.2.0/24 --open  who serves what\n" +
			"  sudo netprobe scan --syn -p top:100 192.0.2.0/24    half-open\n" +
			"  netprobe scan --udp -p @dns,ntp,snmp 192.0.2.0/24   services that understand a question\n" +
			"  netprobe scan -p- --expect 22,443 192.0.2.7         exit 1 if anything else is open\n" +
			"  netprobe scan -p- --budget 30s 192.0.2.7            what is known after half a minute\n" +
			"  netprobe scan --alive -p 22,443 2001:db8::/112      only hosts that answer a sweep\n" +
			"  netprobe scan -p 443 -f hosts --json | jq -r 'select(.state == \"open\").addr'",
		RunE: func(cmd *cobra.Command, targets []string) error {
			s, err := f.prepare(cmd, targets)
			if err != nil {
				return err
			}
			defer s.list.close()
			s.args = args
			return s.run(cmd.Context())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.define(cmd)
	return cmd
}

// withPorts is the error for targets of which one looks like a port, with the
// hint where those go.
func withPorts(err error, args []string) error {
	told, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	for _, arg := range args {
		host, port, _ := strings.Cut(arg, ":")
		if port == "" {
			host, port = "", arg
		}
		if strings.Trim(port, "0123456789,-") != "" || strings.Trim(port, ",-") == "" {
			continue
		}
		if host != "" {
			host = " " + host
		}
		told.hints = []string{fmt.Sprintf("ports are named apart from targets: -p %s%s", port, host)}
	}
	return told
}

// prepare checks the flags and targets of a command line and returns its run.
func (f *scanFlags) prepare(cmd *cobra.Command, args []string) (*scanRun, error) {
	if err := f.check(cmd.Flags()); err != nil {
		return nil, err
	}
	s := &scanRun{f: f}
	s.setUp(cmd, &f.runFlags)
	s.marks = f.mark != 0 && (!f.syn || f.alive)
	specs, err := f.parseTargets(s.verb, args)
	if err != nil {
		return nil, withPorts(err, args)
	}
	s.display = display{usual: func(bool, int) string { return "table" }, view: output.NewScanView}
	s.gauge.show(&s.common, cmd.ErrOrStderr())
	if s.from, err = readState(f.resume); err != nil {
		return nil, err
	}
	if s.begun, err = f.readRest(s.from); err != nil {
		return nil, err
	}
	if err := s.gather(cmd, &f.hostFlags, args, specs); err != nil {
		return nil, err
	}
	return s, nil
}

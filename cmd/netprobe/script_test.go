package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"netprobe/dnsprobe/dnstest"
	"netprobe/icmp"
	"netprobe/internal/lab"
	"netprobe/output/outputtest"
	"netprobe/rawsock"
	"netprobe/udpprobe/payload/payloadtest"
)

func TestMain(m *testing.M) {
	testscript.Main(lab.M{M: m}, map[string]func(){"netprobe": main})
}

// The scripts in testdata say what users can rely on, one thing each. Beside
// the commands of testscript they have
//
//	network NAME        from here on, programs run inside that network
//	code N PROGRAM...   run a program that must exit with code N
//	user N PROGRAM...   the same as an ordinary user, inside a network
//	records FILE        FILE (or stdout) holds the records of one whole run
//	server NAME         start a server on this host; its address is then $addr
//	nameserver NAME ADDR [SERIAL]   a name server of dnstest runs at that loopback
//	                    address: $NAME is ADDR:PORT, $NAME_TLS and $NAME_HTTPS are
//	                    for those, and the file NAME.pem has who issued its certificate
//
// and the conditions [icmp] (an ICMP socket can be opened here) and [lab]
// (networks work here). NETPROBE_LAB=require makes it an error if they fail.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"network": network, "code": code, "user": user, "records": records, "server": server, "nameserver": nameserver,
		},
		Setup: func(env *testscript.Env) error {
			env.Values["script"] = &script{env: env.Vars}
			return nil
		},
	})
}

// script is the state of one script.
type script struct {
	env []string
	lab *lab.Lab // nil until a network was asked for
}

// networks are those a script can ask for, by name.
var networks = map[string]lab.Topology{
	// Every address answers but 203.0.113.9 and 2001:db8:7::9.
	"plain": {Hosts: []lab.Host{{At: lab.At("203.0.113.9/32", "2001:db8:7::9/128"), Silent: true}, {}}},
	// 203.0.113.2 filters echo but not port 443, 203.0.113.3 is silent, a router
	// has no way to 203.0.113.4, and 203.0.113.5 answers from another address.
	"office": {Hosts: []lab.Host{
		{At: lab.At("203.0.113.2/32"), Drop: lab.Filter{ICMP: true}, TCP: []uint16{443}},
		{At: lab.At("203.0.113.3/32"), Silent: true},
		{At: lab.At("203.0.113.4/32"), Error: lab.HostUnreachable},
		{At: lab.At("203.0.113.5/32"), From: lab.Addrs("198.51.100.5")},
		{},
	}},
	// 203.0.113.2 and 2001:db8:7::2 serve three ports and refuse the others, of
	// 203.0.113.3 a firewall lets one port through, a router forbids 203.0.113.4,
	// 203.0.113.5 refuses all, and nobody has another address.
	"ports": {
		Hops: []lab.Hop{{
			Addrs: lab.Addrs("198.51.100.1", "2001:db8:100::1"), Error: lab.AdminProhibited, ErrorFor: lab.At("203.0.113.4/32"),
		}},
		Hosts: []lab.Host{
			{At: lab.At("203.0.113.2/32", "2001:db8:7::2/128"), TCP: []uint16{22, 80, 5432}},
			{At: lab.At("203.0.113.3/32"), TCP: []uint16{443}, Drop: lab.Filter{TCP: true, Except: []uint16{443}}},
			{At: lab.At("203.0.113.5/32")},
			{Silent: true},
		},
	},
	// The first three packets to each address vanish.
	"recovering": {Hook: lab.Each(map[int]lab.Verdict{1: {Drop: true}, 2: {Drop: true}, 3: {Drop: true}})},
	// The fourth packet to each address vanishes.
	"failing": {Hook: lab.Nth(4, lab.Verdict{Drop: true})},
	// The second answer comes 300 ms late.
	"late": {Hook: lab.Nth(2, lab.Verdict{Delay: 300 * time.Millisecond})},
	// A router passes no packet above 1400 bytes, and says so.
	"narrow": {Hops: []lab.Hop{{Addrs: lab.Addrs("198.51.100.1", "2001:db8:100::1"), Out: lab.Link{MTU: 1400}}}},
	// Three routers, the second of which says nothing; 203.0.113.9 is behind a
	// firewall, of 203.0.113.80 and 2001:db8:7::80 port 443 is open.
	"path": pathTo("198.51.100.9", "2001:db8:100::9"),
	// The same with another router behind the second.
	"detour": pathTo("198.51.100.13", "2001:db8:100::13"),
	// Two routers side by side share packets out by flow.
	"wide": {Hops: []lab.Hop{
		{Addrs: lab.Addrs("198.51.100.1")},
		{Ways: [][]lab.Hop{{{Addrs: lab.Addrs("198.51.100.5")}}, {{Addrs: lab.Addrs("198.51.100.6")}}}},
		{Addrs: lab.Addrs("198.51.100.9")},
	}},
	// The second router passes nothing on to 203.0.113.0/24, and says so.
	"forbidden": {Hops: []lab.Hop{
		{Addrs: lab.Addrs("198.51.100.1")},
		{Addrs: lab.Addrs("198.51.100.5"), Error: lab.AdminProhibited, ErrorFor: lab.At("203.0.113.0/24")},
	}},
	// The first SYN of each connect vanishes; port 443 of 203.0.113.80 is open.
	"slip": {
		Hosts: []lab.Host{{At: lab.At("203.0.113.80/32"), TCP: []uint16{443}}, {}},
	},
	// An NTP server, a host without one, one that is silent, one behind a firewall
	// that says so, and one that sends back what it gets.
	"services": {Hosts: []lab.Host{
		{At: lab.At("203.0.113.1/32", "2001:db8:7::1/128"), UDP: []uint16{123, 1123}, Payload: ntpServer},
		{At: lab.At("203.0.113.2/32", "2001:db8:7::2/128")},
		{At: lab.At("203.0.113.3/32"), Silent: true},
		{At: lab.At("203.0.113.4/32"), Error: lab.AdminProhibited},
		{At: lab.At("203.0.113.5/32"), UDP: []uint16{123, 9}},
	}},
	// A router knows no way to 203.0.113.0/24.
	"unreachable": {Hosts: []lab.Host{{At: lab.At("203.0.113.0/24"), Error: lab.HostUnreachable}}},
}

// pathTo is a path whose third router has the addresses third.
func pathTo(third ...string) lab.Topology {
	link := lab.Link{Delay: 2 * time.Millisecond}
	return lab.Topology{
		Hops: []lab.Hop{
			{Addrs: lab.Addrs("198.51.100.1", "2001:db8:100::1"), Out: link},
			{Addrs: lab.Addrs("198.51.100.5", "2001:db8:100::5"), Out: link, Silent: true},
			{Addrs: lab.Addrs(third...), Out: link},
		},
		Hosts: []lab.Host{
			{At: lab.At("203.0.113.9/32", "2001:db8:7::9/128"), Silent: true},
			{At: lab.At("203.0.113.80/32", "2001:db8:7::80/128"), TCP: []uint16{443}},
			{},
		},
	}
}

func ntpServer(question []byte) []byte { return payloadtest.Answer("ntp", question, 0) }

func condition(cond string) (bool, error) {
	var err error
	switch cond {
	case "icmp":
		err = canPing()
	case "lab":
		var l *lab.Lab
		if l, err = (lab.Topology{}).Start(); err == nil {
			err = l.Close()
		}
	default:
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	if err != nil && os.Getenv("NETPROBE_LAB") == "require" {
		return false, fmt.Errorf("NETPROBE_LAB=require, but: %w", err)
	}
	return err == nil, nil
}

func canPing() error {
	e, err := icmp.Open(icmp.Config{}, rawsock.IPv4)
	if err != nil {
		return err
	}
	return e.Close()
}

func network(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: network NAME")
	}
	topology, ok := networks[args[0]]
	if args[0] == "slip" {
		topology.Hook = lab.FirstSYN(lab.Verdict{Drop: true}) // which remembers
	}
	if !ok {
		ts.Fatalf("no network %q", args[0])
	}
	l, err := topology.Start()
	ts.Check(err)
	ts.Defer(func() { ts.Check(l.Close()) })
	ts.Value("script").(*script).lab = l
}

func code(ts *testscript.TestScript, neg bool, args []string) { start(ts, neg, args, false) }
func user(ts *testscript.TestScript, neg bool, args []string) { start(ts, neg, args, true) }

// start runs args[1:] and compares its exit code with args[0]. Nothing a script
// starts takes long: two minutes mean that it hangs.
func start(ts *testscript.TestScript, neg bool, args []string, ordinary bool) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s := ts.Value("script").(*script)
	run := func(c *exec.Cmd, do func() error) {
		c.Dir, c.Env, c.Stdout, c.Stderr = ts.MkAbs("."), s.env, ts.Stdout(), ts.Stderr()
		c.WaitDelay = time.Second
		err := do()
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			ts.Fatalf("%s: %v", args[1], err)
		}
		if got := c.ProcessState.ExitCode(); got != want {
			ts.Fatalf("exit code %d, want %d (%v)", got, want, c.ProcessState)
		}
	}
	switch {
	case s.lab != nil:
		c := s.lab.Command(ctx, args[1], args[2:]...)
		if ordinary {
			c = c.Ordinary()
		}
		run(c.Cmd, c.Run)
	case ordinary:
		ts.Fatalf("user needs a network")
	default:
		c := exec.CommandContext(ctx, args[1], args[2:]...)
		run(c, c.Run)
	}
}

func records(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: records FILE")
	}
	_, err := outputtest.Run([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
}

func nameserver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: nameserver NAME ADDR [SERIAL]")
	}
	serial := "2024050101"
	if len(args) == 3 {
		serial = args[2]
	}
	s, err := dnstest.Serve(netip.MustParseAddr(args[1]), serial)
	ts.Check(err)
	ts.Defer(func() { _ = s.Close() })
	state := ts.Value("script").(*script)
	for name, addr := range map[string]netip.AddrPort{args[0]: s.Addr, args[0] + "_TLS": s.TLS, args[0] + "_HTTPS": s.HTTPS} {
		ts.Setenv(name, addr.String())
		state.env = append(state.env, name+"="+addr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pem"), s.CA, 0o644))
}

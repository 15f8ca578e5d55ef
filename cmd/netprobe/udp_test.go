package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netprobe/probe"
)

// parseUDP reads a command line of udp without running it.
func parseUDP(t *testing.T, args ...string) (*udpFlags, *session) {
	t.Helper()
	f := &udpFlags{}
	cmd := newUDP(nil)
	cmd.ResetFlags()
	f.define(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	s, err := f.session(cmd, cmd.Flags().Args())
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

// What the flags say arrives at those who ask, and protocols are ports, too.
func TestUDPConfig(t *testing.T) {
	f, s := parseUDP(t, "--proto", "stun", "-t", "9", "-S", "127.0.0.1", "--mark", "3", "127.0.0.1", "53", "ike", "snmp,coap")
	if c := f.config(); c.Proto.Name != "stun" || c.Payload != nil || c.Socket.TTL != 9 || c.Socket.Mark != 3 || c.Somebody || c.Any {
		t.Errorf("%+v", c)
	}
	var ports []uint16
	for _, h := range s.hosts {
		ports = append(ports, h.Port)
	}
	if diff := cmp.Diff([]uint16{53, 500, 161, 5683}, ports); diff != "" || !s.marks {
		t.Error(diff)
	}
	if f, _ = parseUDP(t, "a:1"); f.config().Proto != nil || f.config().Protocol(123).Name != "ntp" || f.config().Protocol(9) != nil {
		t.Error("not by the port")
	}
	for _, hex := range []string{"", "00ff"} {
		f, _ = parseUDP(t, "--payload-hex", hex, "a:123")
		if p, own := f.protocol(123); p != nil || !own || fmt.Sprintf("%x", f.payload) != hex {
			t.Errorf("%q: %v, %v, %x", hex, p, own, f.payload)
		}
	}
}

// A file is sent as it is, but no more of it than a datagram holds.
func TestUDPPayloadFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "question")
	for _, n := range []int{0, 3, maxDatagram} {
		if err := os.WriteFile(file, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
		f := &udpFlags{file: file}
		if err := f.readPayload(); err != nil || f.payload == nil || len(f.payload) != n {
			t.Errorf("%d bytes: %d, %v", n, len(f.payload), err)
		}
	}
	if err := os.WriteFile(file, make([]byte, maxDatagram+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&udpFlags{file: file}).readPayload(); err == nil || !strings.Contains(err.Error(), "more than 65507 bytes") {
		t.Error(err)
	}
}

// At the end it is said of each port that did not answer what it is, once, and of
// no more than people read.
func TestUDPVerdicts(t *testing.T) {
	f := &udpFlags{}
	router := netip.MustParseAddr("198.51.100.1")
	bad := &probe.Layers{FailedAt: "ntp", Why: "the answer is not ntp: too short"}
	cases := []struct {
		port    uint16
		results []probe.Result
		want    string // empty for nothing
	}{
		{123, []probe.Result{{Status: probe.Lost, Interim: true}, {Status: probe.Lost}, {Status: probe.Late}}, ""},
		{123, []probe.Result{{Status: probe.Pending}, {Status: probe.Failed}}, ""},
		{123, []probe.Result{{Status: probe.Lost}, {Status: probe.Pending}}, "open|filtered: no answer to ntp; an open port may keep silent, and so does a firewall"},
		{123, []probe.Result{{Status: probe.Lost}, {Status: probe.Lost, Reason: probe.BadReply, Detail: bad}}, "somebody is there, but the answer is not ntp: too short"},
		{123, []probe.Result{{Status: probe.Lost}, {Status: probe.Refused, Reason: probe.PortUnreachable}}, "closed: the host itself says port-unreachable"},
		{123, []probe.Result{{Status: probe.Unreachable, Reason: probe.PortUnreachable, From: router}}, "filtered: port-unreachable by 198.51.100.1"},
		{123, []probe.Result{{Status: probe.Unreachable, Reason: probe.HostUnreachable}}, "filtered: host-unreachable"},
		{51820, []probe.Result{{Status: probe.Lost}}, "open|filtered: wireguard never answers strangers: silence says nothing"},
		{9, []probe.Result{{Status: probe.Lost}}, "open|filtered: no answer; nothing is known that this port would answer (--proto, --payload-hex)"},
	}
	u := newUDPVerdicts(nobody{}, f.protocol)
	var want []string
	for i, tc := range cases {
		target := &probe.Target{ID: len(cases) - i, Name: fmt.Sprintf("host%d", i), Addr: netip.AddrPortFrom(router, tc.port)}
		for _, r := range tc.results {
			r.Target = target
			if err := u.Record(&r); err != nil {
				t.Fatal(err)
			}
		}
		if tc.want != "" {
			want = append([]string{target.Name + ": " + tc.want}, want...)
		}
	}
	if diff := cmp.Diff(want, u.Remarks()); diff != "" {
		t.Error(diff)
	}
	for i := range 100 {
		_ = u.Record(&probe.Result{Target: &probe.Target{ID: 100 + i}, Status: probe.Lost})
	}
	lines := u.Remarks()
	if last := lines[len(lines)-1]; len(lines) != maxRemarks+1 || last != "and 97 more like this" {
		t.Errorf("%d lines, the last %q", len(lines), last)
	}
}

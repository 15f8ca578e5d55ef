package udpprobe

import (
	"bytes"
	"encoding/hex"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// What is sent is what the RFCs say, but for what must not be guessed.
func TestPayload(t *testing.T) {
	cases := []struct {
		port   uint16
		random [2]int // octets drawn anew each time, from and up to
		want   string // with zeros in their place
	}{
		{9, [2]int{}, ""},
		{53, [2]int{0, 2}, "0000 0100 0001 0000 0000 0000 00 0002 0001"},
		{123, [2]int{40, 48}, "23" + string(bytes.Repeat([]byte("00"), 47))},
		{5353, [2]int{0, 2}, "0000 0000 0001 0000 0000 0000" +
			"095f7365727669636573 075f646e732d7364 045f756470 056c6f63616c 00 000c 0001"},
	}
	for _, tc := range cases {
		a, b := appendPayload(nil, tc.port), appendPayload(nil, tc.port)
		if tc.random[1] > 0 && bytes.Equal(a, b) {
			t.Errorf("port %d: the same twice", tc.port)
		}
		clear(a[tc.random[0]:tc.random[1]])
		want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(tc.want), []byte(" "), nil)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, want) {
			t.Errorf("port %d: %x, want %x", tc.port, a, want)
		}
	}
}

// Another parser reads the queries as they are meant.
func TestPayloadParses(t *testing.T) {
	for port, want := range map[uint16]string{53: ".", 5353: "_services._dns-sd._udp.local."} {
		var m dnsmessage.Message
		if err := m.Unpack(appendPayload(nil, port)); err != nil {
			t.Fatal(err)
		}
		if len(m.Questions) != 1 || m.Questions[0].Name.String() != want || m.Response {
			t.Errorf("port %d: %+v", port, m)
		}
	}
}

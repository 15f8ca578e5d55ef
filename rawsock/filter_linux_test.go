package rawsock

import (
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// The filters let through what is ours and nothing else, in a machine that runs
// the very program the kernel gets.
func TestFilter(t *testing.T) {
	const (
		ip4    = "4500 0020 0001 4000 3901 0000 cb007107 c0000201 "
		ip4opt = "4700 0028 0001 4000 3901 0000 cb007107 c0000201 0101010101010100 "
		our4   = "4500 0054 0001 4000 0101 0000 c0000201 cb007107 "
		our4o  = "4f00 007c 0001 4000 0101 0000 c0000201 cb007107 " +
			"01010101 01010101 01010101 01010101 01010101 01010101 01010101 01010101 01010101 01010100 "
	)
	cases := []struct {
		name   string
		family Family
		packet string
		one    bool // passes the filter for identifier 0x4e50
		block  bool // passes the filter for 0x4e50 to 0x4e5f
	}{
		{"our reply", IPv4, ip4 + "0000 0000 4e50 0007 01020304", true, true},
		{"our reply behind options", IPv4, ip4opt + "0000 0000 4e50 0007", true, true},
		{"a reply of the block", IPv4, ip4 + "0000 0000 4e5f 0007", false, true},
		{"one below the block", IPv4, ip4 + "0000 0000 4e4f 0007", false, false},
		{"one above the block", IPv4, ip4 + "0000 0000 4e60 0007", false, false},
		{"a foreign reply", IPv4, ip4 + "0000 0000 1234 0007", false, false},
		{"a request with our identifier", IPv4, ip4 + "0800 0000 4e50 0007", false, false},
		{"an error about our packet", IPv4, ip4 + "0301 0000 00000000" + our4 + "0800 0000 4e50 0007", false, false},
		{"an error with our identifier where a reply has it", IPv4, ip4 + "0301 0000 4e500007" + our4 + "0800 0000 4e50 0007", false, false},
		{"a redirect about our packet", IPv4, ip4 + "0501 0000 c0000263" + our4 + "0800 0000 4e50 0007", true, true},
		{"a redirect behind options", IPv4, ip4opt + "0501 0000 c0000263" + our4 + "0800 0000 4e50 0007", true, true},
		{"a redirect quoting options", IPv4, ip4 + "0501 0000 c0000263" + our4o + "0800 0000 4e50 0007", true, true},
		{"a redirect about the block", IPv4, ip4 + "0501 0000 c0000263" + our4o + "0800 0000 4e51 0007", false, true},
		{"a redirect about a foreign packet", IPv4, ip4 + "0501 0000 c0000263" + our4 + "0800 0000 1234 0007", false, false},
		{"a redirect about UDP", IPv4, ip4 + "0501 0000 c0000263" + strings.Replace(our4, "0101", "0111", 1) + "0800 0000 4e50 0007", false, false},
		{"a redirect cut short", IPv4, ip4 + "0501 0000 c0000263" + our4 + "0800 0000 4e", false, false},
		{"a reply cut short", IPv4, ip4 + "0000 0000 4e", false, false},
		{"a header", IPv4, ip4, false, false},
		{"nothing", IPv4, "", false, false},

		{"our reply", IPv6, "8100 0000 4e50 0007 01020304", true, true},
		{"a reply of the block", IPv6, "8100 0000 4e5f 0007", false, true},
		{"one above the block", IPv6, "8100 0000 4e60 0007", false, false},
		{"a foreign reply", IPv6, "8100 0000 1234 0007", false, false},
		{"a request", IPv6, "8000 0000 4e50 0007", false, false},
		{"an error", IPv6, "0100 0000 4e50 0007", false, false},
		{"a router advertisement", IPv6, "8600 0000 4e50 0007", false, false},
		{"cut short", IPv6, "8100 0000 4e", false, false},
		{"nothing", IPv6, "", false, false},
	}
	for _, tc := range cases {
		b := unhex(t, tc.packet)
		for ids, want := range map[uint16]bool{1: tc.one, 16: tc.block} {
			vm, err := bpf.NewVM(filterProgram(tc.family, 0x4e50, ids))
			if err != nil {
				t.Fatal(err)
			}
			n, err := vm.Run(b)
			if err != nil {
				t.Fatal(err)
			}
			if n != 0 && n < 1<<16 || (n != 0) != want {
				t.Errorf("IPv%d, %s, %d identifiers: kept %d octets, want all %v", tc.family, tc.name, ids, n, want)
			}
		}
	}
}

// The block of all identifiers, and the last of them.
func TestFilterBlocks(t *testing.T) {
	for _, block := range []struct{ id, ids uint16 }{{0xffff, 1}, {0xfff0, 16}, {0, 0x8000}, {0x8000, 0x8000}} {
		vm, err := bpf.NewVM(filterProgram(IPv6, block.id, block.ids))
		if err != nil {
			t.Fatal(err)
		}
		for id := range 1 << 16 {
			n, err := vm.Run([]byte{typeEchoReply6, 0, 0, 0, byte(id >> 8), byte(id), 0, 1})
			want := id >= int(block.id) && id < int(block.id)+int(block.ids)
			if err != nil || (n != 0) != want {
				t.Fatalf("%d identifiers from %d on: %d kept %d, %v", block.ids, block.id, id, n, err)
			}
		}
	}
}

func TestAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"6.13.0": true, "6.13": true, "6.13-rc1": true, "6.18.44-fc-v669": true, "7.0": true, "10.2.1": true,
		"6.12.99": false, "6.1.0-13-amd64": false, "5.99": false, "6.9": false, "": false, "6": false, "six.13": false, "6.x": false,
	} {
		if got := atLeast(release, 6, 13); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}

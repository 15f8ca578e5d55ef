// Package ports knows what numbers and names of ports mean: it reads lists as people
// write them (22,80,8000-8100,https,@web,top:100,u:53), and names services.
//
// A port is a number and a transport: 53 over TCP and 53 over UDP are two ports, in a
// list too. Names come from a list of infrastructure ports that was written for this
// package, then from IANA's registry (RFC 6335); where the registry is stale, the
// first wins: 6443 is kubernetes-api. Both are in data, with their origins; what is
// embedded of them is unpacked and parsed when it is first asked for.
package ports

//go:generate go run ./gen data
//go:generate go run netprobe/internal/packed/gen data/table.txt

import "strconv"

// Proto is the transport of a port.
type Proto uint8

const (
	TCP Proto = iota
	UDP

	protos = iota
)

// String returns the name used in records.
func (p Proto) String() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// other returns the transport that p is not.
func (p Proto) other() Proto { return 1 - p }

// prefix is what makes an item of a list one of p.
func (p Proto) prefix() string { return p.String()[:1] + ":" }

// Port is a port of a transport. Number 0 is reserved and no port (RFC 6335, section 6).
type Port struct {
	Proto  Proto
	Number uint16
}

// String returns the port as Parse reads it: "53/udp".
func (p Port) String() string { return strconv.Itoa(int(p.Number)) + "/" + p.Proto.String() }

package rawsock

import (
	"net/netip"
	"time"
)

// Kind is the kind of ICMP socket.
type Kind uint8

const (
	Auto     Kind = iota // Raw where allowed, else Datagram
	Raw                  // SOCK_RAW: needs root or CAP_NET_RAW
	Datagram             // SOCK_DGRAM: needs a group in net.ipv4.ping_group_range
)

var kindNames = [...]string{"auto", "raw", "dgram"}

// String returns the name used by the flag --socket and in records.
func (k Kind) String() string { return kindNames[k] }

// Family is an IP version.
type Family uint8

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf returns the family of a, which must be valid and unmapped.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Families lists those of the two that are wanted.
func Families(v4, v6 bool) []Family {
	var all []Family
	if v4 {
		all = append(all, IPv4)
	}
	if v6 {
		all = append(all, IPv6)
	}
	return all
}

// PMTUMode is how packets larger than the path are treated (IP_MTU_DISCOVER,
// ip(7); IPV6_MTU_DISCOVER, ipv6(7)).
type PMTUMode uint8

const (
	PMTUDefault PMTUMode = iota // what the system does
	PMTUDo                      // never fragment; the kernel refuses what exceeds the known path MTU
	PMTUWant                    // fragment here to the known path MTU
	PMTUDont                    // do not set DF
	PMTUProbe                   // set DF, ignore the known path MTU
)

// Config says how to open a Conn. The zero value is a raw or datagram IPv4
// socket (whichever is allowed) with the system's defaults.
type Config struct {
	Family Family // IPv4 if 0
	Kind   Kind

	// ID is the first echo identifier and IDs how many follow it; IDs is a
	// power of two and ID a multiple of it (0 means 1). A Datagram socket has
	// exactly one: it binds to ID, and the kernel picks one if ID is 0.
	ID, IDs uint16

	Source    netip.Addr    // bind to this local address; any if invalid
	Interface string        // leave and arrive through this interface only
	Mark      int           // fwmark; 0 for none (needs CAP_NET_ADMIN or CAP_NET_RAW)
	TTL       int           // TTL or hop limit; 0 for the system's
	TOS       int           // TOS or traffic class octet
	PMTU      PMTUMode      // path-MTU discovery
	RecvBuf   int           // receive buffer, bytes; 0 for the system's
	SendBuf   int           // send buffer, bytes; 0 for the system's
	Timeout   time.Duration // SO_RCVTIMEO: longest block of Wait; 0 means 100 ms
	MaxSize   int           // largest ICMP message to receive whole, bytes; 0 means 2048
	NoStamps  bool          // no transmit timestamps (they cost one receive a packet)
	Broadcast bool          // may send to the broadcast addresses of this host's networks, which is refused as Denied otherwise
}

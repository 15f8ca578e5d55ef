package probe

// PortState is what a scan says of one port.
type PortState uint8

const (
	PortUnknown      PortState = iota // we could not test it, or the run ended first
	PortOpen                          // the service answered
	PortClosed                        // the host answered that nobody listens
	PortFiltered                      // somebody rejects, or nothing came back where an open or a closed port would have answered
	PortOpenFiltered                  // UDP: silence, which an open port keeps as well as a filter
)

var portStateNames = [...]string{"unknown", "open", "closed", "filtered", "open|filtered"}

// String returns the name used in records.
func (s PortState) String() string {
	if int(s) < len(portStateNames) {
		return portStateNames[s]
	}
	return portStateNames[PortUnknown]
}

// PortStates returns the names of all states, in order.
func PortStates() []string { return append([]string(nil), portStateNames[:]...) }

// StateOfPort returns what r, the outcome of a port, says of it. A host answers
// every SYN (RFC 9293, section 3.10.7), so over TCP silence means a filter, and a
// port-unreachable is a firewall's word, whoever sends it; over UDP that is what
// the host itself says of a closed port (RFC 1122, section 4.1.3.1). An answer
// that is not the protocol's (BadReply) is somebody's all the same.
func StateOfPort(r *Result, udp bool) PortState {
	switch r.Status {
	case Reply, Late:
		return PortOpen
	case Refused:
		if udp == (r.Reason == PortUnreachable) {
			return PortClosed
		}
		return PortFiltered
	case Unreachable, Expired:
		return PortFiltered
	case Lost:
		if udp {
			return PortOpenFiltered
		}
		return PortFiltered
	}
	return PortUnknown
}

// ScannedHost is the Detail of every outcome of a scan: the host whose port it
// is, shared by all of them. It is valid while the Result is emitted.
type ScannedHost struct {
	Ports  int     // how many ports of it this run asks
	Left   int     // how many of them have no outcome yet after this one; 0 makes it the host's last
	Tells  bool    // UDP: it has answered port-unreachable, so that silence means more than of one that never did
	Layers *Layers // what the answer of this port said; nil if nothing was asked
}

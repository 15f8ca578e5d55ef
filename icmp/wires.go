package icmp

// wires are the numbers that probes of one family have on the wire. Probe number
// n has the wire number n modulo 65,536 times the identifiers: its upper part
// chooses the identifier, its lower 16 bits are the sequence number.
type wires struct {
	ids []uint16 // echo identifiers
}

// space is how many wire numbers there are.
func (w *wires) space() uint64 { return uint64(len(w.ids)) << 16 }

// wire returns the wire number of probe n: identifier index and sequence number.
func (w *wires) wire(n uint64) (wire uint32, index int, seq uint16) {
	number := n % w.space()
	return uint32(number), int(number >> 16), uint16(number)
}

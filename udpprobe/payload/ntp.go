package payload

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"netprobe/probe"
)

// ntp asks for the time as a client (RFC 5905, section 7.3), without extensions:
//
//	 0                   1                   2                   3
//	|LI | VN  |Mode |    Stratum     |     Poll      |  Precision   |
//	|          Root Delay (4)        |      Root Dispersion (4)     |
//	|         Reference ID (4)       |   Reference Timestamp (8)    |
//	|      Origin Timestamp (8)      |    Receive Timestamp (8)     |
//	|     Transmit Timestamp (8)     |
//
// Our transmit timestamp is random, as the server only returns it as the origin,
// by which its answer is known (section 8, test 2); when it really left is
// remembered here.
var ntp = Protocol{
	Name: "ntp", Ports: []uint16{123},
	ask: func(b []byte, t *Transaction) []byte {
		b = append(b, ntpVersion<<3|ntpClient)
		b = append(b, make([]byte, 39)...)
		return append(b, t.Nonce[:8]...)
	},
	parse: parseNTP,
}

const (
	ntpVersion = 4
	ntpClient  = 3 // modes
	ntpServer  = 4

	ntpLen     = 48
	ntpUnknown = 3  // leap indicator: the clock is not synchronized
	ntpMax     = 16 // stratum: unsynchronized
)

func parseNTP(b []byte, t *Transaction) ([]probe.Fact, error) {
	if len(b) < ntpLen {
		return nil, errShort
	}
	leap, version, mode := b[0]>>6, b[0]>>3&7, b[0]&7
	stratum := b[1]
	switch {
	case mode == ntpClient:
		return nil, errRequest
	case mode != ntpServer || version == 0 || version > ntpVersion:
		return nil, malformed("mode %d of version %d", mode, version)
	case stratum > ntpMax:
		return nil, malformed("stratum %d", stratum)
	case [8]byte(b[24:]) != [8]byte(t.Nonce[:]):
		return nil, errForeign
	}
	var f facts
	f.add("ntp_stratum", int(stratum))
	if stratum == 0 {
		// A kiss-o'-death says why the server does not tell the time (section 7.4).
		f.text("ntp_kiss", ascii(b[12:16]))
		return f, nil
	}
	if leap == ntpUnknown || stratum == ntpMax {
		f.add("ntp_synchronized", false)
		return f, nil
	}
	f.add("ntp_offset_ms", round(ntpOffset(b, t)))
	f.text("ntp_refid", refid(b[12:16], stratum))
	f.add("ntp_root_delay_ms", round(ntpShort(b[4:])))
	f.add("ntp_root_dispersion_ms", round(ntpShort(b[8:])))
	return f, nil
}

// ntpOffset is how far the server's clock is ahead of ours, in ms (section 8):
// ((T2-T1)+(T3-T4))/2. Our two readings are one, and the time that passed.
func ntpOffset(b []byte, t *Transaction) float64 {
	sent, took := t.Sent, t.Arrived.Sub(t.Sent)
	received := ntpTime(binary.BigEndian.Uint64(b[32:]), sent)
	answered := ntpTime(binary.BigEndian.Uint64(b[40:]), sent)
	// Halves first: the sum of two may be out of range.
	d := received.Sub(sent)/2 + answered.Sub(sent.Add(took))/2
	return float64(d) / float64(time.Millisecond)
}

// ntpTime is the time of a 64-bit timestamp, seconds since 1900 and fractions, in
// whichever era is closest to now (section 6).
func ntpTime(stamp uint64, now time.Time) time.Time {
	const since1900 = 2208988800 // of 1970, in seconds
	ahead := int32(uint32(stamp>>32) - uint32(now.Unix()+since1900))
	ns := int64(stamp&math.MaxUint32) * int64(time.Second) >> 32
	return time.Unix(now.Unix()+int64(ahead), ns)
}

// ntpShort is a 32-bit duration, seconds and fractions of 16 bits each, in ms.
func ntpShort(b []byte) float64 { return float64(binary.BigEndian.Uint32(b)) * 1000 / 65536 }

// refid says what the server is synchronized to (section 7.3). For IPv6 it is a
// hash of the address, shown like one of IPv4 by everybody.
func refid(b []byte, stratum uint8) string {
	if stratum == 1 {
		return ascii(b)
	}
	return netip.AddrFrom4([4]byte(b)).String()
}

// ascii is a string of at most four characters, filled up with zeros.
func ascii(b []byte) string {
	s := strings.TrimRight(string(b), "\x00")
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("%#x", b)
		}
	}
	return s
}

// round rounds ms to microseconds: more than that no network carries.
func round(ms float64) float64 { return math.Round(ms*1000) / 1000 }

package lab

// What routers read and change in the IP header of a packet, which is whole.

// tos returns the TOS or traffic class octet of an IP packet.
func tos(raw []byte) uint8 {
	if raw[0]>>4 == 4 {
		return raw[1]
	}
	return raw[0]<<4 | raw[1]>>4
}

// setTTL writes the TTL or hop limit and mends the IPv4 header checksum.
func setTTL(raw []byte, ttl uint8) {
	if raw[0]>>4 == 6 {
		raw[7] = ttl
		return
	}
	raw[8] = ttl
	sumHeader4(raw)
}

// setTOS writes the TOS or traffic class octet and mends the IPv4 header checksum.
func setTOS(raw []byte, tos uint8) {
	if raw[0]>>4 == 6 {
		raw[0], raw[1] = 6<<4|tos>>4, tos<<4|raw[1]&0x0f
		return
	}
	raw[1] = tos
	sumHeader4(raw)
}

// mayFragment reports whether routers may cut the packet: IPv4 without DF.
func mayFragment(raw []byte) bool { return raw[0]>>4 == 4 && raw[6]&0x40 == 0 }

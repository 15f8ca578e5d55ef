// Package payloadtest answers the questions of package payload as a service
// would: it reads the datagram that was asked, not what the asker remembers of it.
package payloadtest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Answer returns what a service of that protocol answers to request; nil if
// nothing. Ahead is how far the clock of an NTP server is ahead.
func Answer(proto string, request []byte, ahead time.Duration) []byte {
	f := services[proto]
	if f == nil {
		return nil
	}
	return f(request, ahead)
}

var services = map[string]func([]byte, time.Duration) []byte{
	"dns": func(q []byte, _ time.Duration) []byte {
		// a.root-servers.example is an NS of the root, compressed away to nothing.
		return join(q[:2], "8180 0001 0001 0000 0000", q[12:], "00 0002 0001 0000 0e10 0003 01 61 00")
	},
	"mdns": func(q []byte, _ time.Duration) []byte {
		ptr := func(service string) []byte {
			// The name is that of the question, the target ends in its "_udp.local".
			rdata := join([]byte{byte(len(service))}, []byte(service), "c0 1e")
			return join("c00c 000c 0001 0000 000a", binary.BigEndian.AppendUint16(nil, uint16(len(rdata))), rdata)
		}
		return join(q[:2], "8400 0001 0002 0000 0000", q[12:], ptr("_ipp"), ptr("_ssh"))
	},
	"netbios": func(q []byte, _ time.Duration) []byte {
		names := "02 4f464649434531202020202020202000 0400 574f524b47524f555020202020202000 8400"
		return join(q[:2], "8400 0000 0001 0000 0000", q[12:46], "0021 0001 00000000 002b", names, "0200 5e10 2030")
	},
	"ntp": func(q []byte, ahead time.Duration) []byte {
		now := time.Now().Add(ahead)
		stamp := binary.BigEndian.AppendUint32(nil, uint32(now.Unix()+2208988800))
		stamp = binary.BigEndian.AppendUint32(stamp, uint32(int64(now.Nanosecond())<<32/1e9))
		return join("24 02 06 e8 00000800 00000400 c0000207 0000000000000000", q[40:48], stamp, stamp)
	},
	"snmp": func(q []byte, _ time.Duration) []byte {
		// The message ID is the first integer of the header data: 30 len 02 01 03 30 len 02 len ID.
		id := q[9 : 9+q[8]]
		header := tlv(0x30, tlv(0x02, id), unhex("020300ffe3 040100 020103"))
		security := tlv(0x30, unhex("0409 8000 1f88 80 0a0b0c0d 020107 02020e10 0400 0400 0400"))
		counter := tlv(0x30, unhex("06 0a 2b06010603 0f010104 00 410105"))
		pdu := tlv(0xa8, tlv(0x02, id), unhex("020100 020100"), tlv(0x30, counter))
		return tlv(0x30, unhex("020103"), header, tlv(0x04, security), tlv(0x30, unhex("0409 80001f88800a0b0c0d 0400"), pdu))
	},
	"stun": func(q []byte, _ time.Duration) []byte {
		// 192.0.2.1:32853 as in RFC 5769, section 2.2.
		return join("0101 0018", q[4:20], "0020 0008 0001 a147 e112a643", "8022 0005 74657374 31 000000")
	},
	"sip": func(q []byte, _ time.Duration) []byte {
		pick := func(name string) string {
			return string(regexp.MustCompile(`(?m)^`+name+`: .*$`).Find(q)) + "\n"
		}
		return []byte("SIP/2.0 200 OK\r\n" + strings.Replace(pick("Via"), ";rport", ";received=192.0.2.1;rport=40000", 1) +
			strings.Replace(pick("To"), "\r", ";tag=93810874\r", 1) + pick("From") + pick("Call-ID") + pick("CSeq") +
			"Allow: INVITE, ACK, CANCEL,\r\n OPTIONS, BYE\r\nServer: testing/1.0\r\nContent-Length: 0\r\n\r\n")
	},
	"ike": func(q []byte, _ time.Duration) []byte {
		marker := 0
		if bytes.HasPrefix(q, make([]byte, 4)) {
			marker = 4
		}
		q = q[marker:]
		return join(make([]byte, marker), q[:8], "0000000000000000 29 20 22 20 00000000 00000024", "00 00 0008 00 00 000e")
	},
	"coap": func(q []byte, _ time.Duration) []byte {
		return join("68 45", q[2:4], q[4:12], "c1 28 ff 3c2f613e")
	},
	"dtls": func(q []byte, _ time.Duration) []byte {
		return join("16 feff 0000", q[5:11], "0017 03 00000b 0000 000000 00000b feff 08 0102030405060708")
	},
	"quic": func(q []byte, _ time.Duration) []byte {
		dcid := q[6 : 6+q[5]]
		rest := q[6+q[5]:]
		scid := rest[1 : 1+rest[0]]
		return join("80 00000000", []byte{rest[0]}, scid, []byte{q[5]}, dcid, "00000001 6b3343cf ff00001d 4a5a6a7a")
	},
	"tftp": func([]byte, time.Duration) []byte {
		return join("0005 0001", []byte("File not found"), "00")
	},
	"memcached": func(q []byte, _ time.Duration) []byte {
		return join(q[:2], "0000 0001 0000", []byte("VERSION 1.6.18\r\n"))
	},
	"wireguard": func(q []byte, _ time.Duration) []byte {
		return join("03000000", q[4:8], make([]byte, 56))
	},
}

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			b = append(b, p...)
		case string:
			b = append(b, unhex(p)...)
		}
	}
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(fmt.Sprintf("%q: %v", s, err))
	}
	return b
}

func tlv(tag byte, parts ...[]byte) []byte {
	value := bytes.Join(parts, nil)
	return append([]byte{tag, byte(len(value))}, value...)
}

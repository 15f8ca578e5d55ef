package icmp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"net/netip"

	"netprobe/probe"
)

// cookieLen is how many payload octets prove that an answer is to a packet of
// ours: a forger would have to guess 64 bits.
const cookieLen = 8

// cookies computes the cookie of each probe: one block of AES-128 under a key
// of this run over the probe's number and target. Nothing is stored for it.
type cookies struct {
	block   cipher.Block
	in, out [aes.BlockSize]byte // here, as arguments of an interface call escape
}

func newCookies() (cookies, error) {
	var key [16]byte
	rand.Read(key[:])
	block, err := aes.NewCipher(key[:])
	return cookies{block: block}, err
}

// of returns the cookie of probe n of a lane; valid until the next call.
func (c *cookies) of(n uint64, t *probe.Target) []byte {
	binary.BigEndian.PutUint64(c.in[0:], n)
	binary.BigEndian.PutUint32(c.in[8:], uint32(t.ID))
	c.in[12] = 4
	if !t.Addr.Addr().Is4() {
		c.in[12] = 6
	}
	c.block.Encrypt(c.out[:], c.in[:])
	return c.out[:cookieLen]
}

// sweepCookies are cookies that can be checked without knowing the probe: over
// what its answer shows of it, the wire number and the address asked.
type sweepCookies struct{ cookies }

// of returns the cookie of the probe to addr with that wire number; valid until
// the next call. An IPv6 address takes a block of its own, chained to the rest.
func (c *sweepCookies) of(wire uint32, addr netip.Addr) []byte {
	clear(c.in[:])
	if addr.Is4() {
		a := addr.As4()
		copy(c.in[:], a[:])
		c.in[12] = 4
	} else {
		c.in = addr.As16()
		c.block.Encrypt(c.out[:], c.in[:])
		c.in = c.out
		c.in[12] ^= 6
	}
	for i := range 4 {
		c.in[4+i] ^= byte(wire >> (8 * i))
	}
	c.block.Encrypt(c.out[:], c.in[:])
	return c.out[:cookieLen]
}

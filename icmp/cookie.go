package icmp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"

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

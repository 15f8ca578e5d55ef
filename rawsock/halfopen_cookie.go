package rawsock

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
)

// synCookies computes the sequence number of a SYN from what its answer shows of
// it, so that nothing is stored to check one: a block of AES-128 under a random
// key. Who sees the cookies of his own ports learns nothing about those of others.
type synCookies struct {
	block   cipher.Block
	in, out [aes.BlockSize]byte // here, as arguments of an interface call escape
}

func newSYNCookies() (synCookies, error) {
	var key [16]byte
	rand.Read(key[:])
	return synCookiesOf(key[:])
}

func synCookiesOf(key []byte) (synCookies, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return synCookies{}, fmt.Errorf("rawsock: %w", err)
	}
	return synCookies{block: block}, nil
}

// of returns the sequence number of a SYN between two ports, and 16 bits for what
// else is to look random. The zone is a number of the caller's. An IPv6 address
// takes a block of its own, chained to the rest.
func (c *synCookies) of(to netip.Addr, zone int, port, from uint16) (seq uint32, rest uint16) {
	clear(c.in[:])
	if to.Is4() {
		a := to.As4()
		copy(c.in[:], a[:])
		c.in[15] = 4
	} else {
		c.in = to.As16()
		c.block.Encrypt(c.out[:], c.in[:])
		c.in = c.out
		c.in[15] ^= 6
	}
	xor := binary.BigEndian.Uint64(c.in[4:]) ^ (uint64(port)<<48 | uint64(from)<<32 | uint64(uint32(zone)))
	binary.BigEndian.PutUint64(c.in[4:], xor)
	c.block.Encrypt(c.out[:], c.in[:])
	return binary.BigEndian.Uint32(c.out[:]), binary.BigEndian.Uint16(c.out[4:])
}

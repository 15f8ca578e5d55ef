//go:build !linux

package rawsock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

const (
	dialCost        = 1
	tellsHandshakes = false
	stampsDatagrams = false
)

func dialSupported(cfg *Config) error {
	if cfg.Mark != 0 || cfg.Interface != "" || cfg.TTL != 0 || cfg.TOS != 0 {
		return fmt.Errorf("rawsock: interface, mark, TTL and TOS of a dial: %w", errors.ErrUnsupported)
	}
	return nil
}

func (d *Dial) rejected() (r Rejection, ok bool) { return r, false }
func (d *Dial) local() netip.Addr                { return netip.Addr{} }
func (d *Dial) end() Ending                      { return Ending{} }
func (d *Dial) close()                           {}

func keepStamps()                                        {}
func readErrors(syscall.RawConn) Errors                  { return Errors{} }
func lastBytes(syscall.RawConn, []byte) (n int, ok bool) { return 0, false }
func handshakeOf(syscall.RawConn) (h Handshake, ok bool) { return h, false }

func receive(c *net.UDPConn, buf []byte, wait bool) (r Receipt, err error) {
	if !wait {
		return r, errors.ErrUnsupported
	}
	n, from, err := c.ReadFromUDPAddrPort(buf)
	return Receipt{Len: n, From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}, err
}

func checkDial(cfg Config) error {
	if err := dialSupported(&cfg); err != nil || !cfg.Source.IsValid() {
		return err
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Source, 0)))
	if err != nil {
		return fmt.Errorf("rawsock: %w", err)
	}
	return conn.Close()
}

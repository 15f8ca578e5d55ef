// Package dnstest is a name server for tests that need one from outside package
// dnsprobe. The first label of a name says what becomes of a question for it; see
// Serve.
package dnstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Server answers by UDP and TCP at Addr, and by TLS and HTTPS at addresses of their
// own.
type Server struct {
	Addr       netip.AddrPort
	TLS, HTTPS netip.AddrPort
	CA         []byte // that issued its certificate, for its IP address, in PEM
	serial     string
	closers    []io.Closer
}

// Serve starts a server at addr with this SOA serial. To questions for A it says
// 192.0.2.7, for AAAA 2001:db8::7, for SOA and PTR something fitting, for others
// nothing; but names that start with
//
//	nx, servfail, refused   get that rcode
//	other                   192.0.2.<last octet of the server's address>
//	silent                  nothing
//	source, id, question    an answer that is wrong in this, then a good one
//	tc                      by UDP a truncated answer
//	many                    one hundred records
//	escape                  text with control characters
//	late                    their answer after 400 ms
func Serve(addr netip.Addr, serial string) (*Server, error) {
	s := &Server{serial: serial}
	cert, err := s.certify(addr)
	if err != nil {
		return nil, err
	}
	if err := s.listen(addr); err != nil {
		s.Close()
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	secure, err := tls.Listen("tcp", netip.AddrPortFrom(addr, 0).String(), config)
	if err != nil {
		s.Close()
		return nil, err
	}
	s.closers = append(s.closers, secure)
	s.TLS = netip.MustParseAddrPort(secure.Addr().String())
	go s.accept(secure)
	web, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		s.Close()
		return nil, err
	}
	s.HTTPS = netip.MustParseAddrPort(web.Addr().String())
	h := &http.Server{Handler: http.HandlerFunc(s.web), TLSConfig: config.Clone()}
	s.closers = append(s.closers, h)
	go h.ServeTLS(web, "", "")
	return s, nil
}

// Close stops the server.
func (s *Server) Close() error {
	var errs []error
	for _, c := range s.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// listen opens a port that is free for UDP and TCP.
func (s *Server) listen(addr netip.Addr) error {
	var last error
	for range 50 {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			return err
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil {
			udp.Close()
			last = err
			continue
		}
		s.Addr = udp.LocalAddr().(*net.UDPAddr).AddrPort()
		s.closers = append(s.closers, udp, tcp)
		go s.datagrams(udp)
		go s.accept(tcp)
		return nil
	}
	return last
}

func (s *Server) datagrams(c *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		q := new(dns.Msg)
		if q.Unpack(buf[:n]) != nil || len(q.Question) != 1 {
			continue
		}
		go func() {
			for _, a := range s.answers(q, true) {
				time.Sleep(a.after)
				if a.elsewhere {
					other, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(from))
					if err == nil {
						_, _ = other.Write(a.wire())
						other.Close()
					}
					continue
				}
				_, _ = c.WriteToUDPAddrPort(a.wire(), from)
			}
		}()
	}
}

func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			for {
				var size [2]byte
				if _, err := io.ReadFull(c, size[:]); err != nil {
					return
				}
				b := make([]byte, binary.BigEndian.Uint16(size[:]))
				q := new(dns.Msg)
				if _, err := io.ReadFull(c, b); err != nil || q.Unpack(b) != nil || len(q.Question) != 1 {
					return
				}
				for _, a := range s.answers(q, false) {
					time.Sleep(a.after)
					w := a.wire()
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(w))), w...))
				}
			}
		}()
	}
}

func (s *Server) web(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	q := new(dns.Msg)
	if err != nil || r.URL.Path != "/dns-query" || q.Unpack(b) != nil || len(q.Question) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	all := s.answers(q, false)
	if len(all) == 0 {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/dns-message")
	_, _ = w.Write(all[len(all)-1].wire())
}

// An answer is one message, sent some time after the one before.
type answer struct {
	*dns.Msg
	after     time.Duration
	elsewhere bool // from another port
}

func (a answer) wire() []byte {
	b, err := a.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func (s *Server) answers(q *dns.Msg, udp bool) []answer {
	good := s.respond(q)
	what, _, _ := strings.Cut(q.Question[0].Name, ".")
	wrong := good.Copy()
	const pause = 30 * time.Millisecond
	switch what {
	case "silent":
		return nil
	case "source":
		return []answer{{wrong, 0, true}, {good, pause, false}}
	case "id":
		wrong.Id++
	case "question":
		wrong.Question[0].Name = "evil.example."
	case "late":
		return []answer{{good, 400 * time.Millisecond, false}}
	case "tc":
		if udp {
			good.Answer, good.Truncated = nil, true
		}
		return []answer{{Msg: good}}
	default:
		return []answer{{Msg: good}}
	}
	return []answer{{Msg: wrong}, {good, pause, false}}
}

var rcodes = map[string]int{"nx": dns.RcodeNameError, "servfail": dns.RcodeServerFailure, "refused": dns.RcodeRefused}

func (s *Server) respond(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := q.Question[0].Name
	what, _, _ := strings.Cut(name, ".")
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
		for _, x := range o.Option {
			if x.Option() == dns.EDNS0NSID {
				m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "74657374"})
			}
		}
	}
	if rcode, bad := rcodes[what]; bad {
		m.Rcode = rcode
		if o := m.IsEdns0(); o != nil {
			o.Option = append(o.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeOther, ExtraText: "as the test wants"})
		}
		return m
	}
	add := func(text string) { m.Answer = append(m.Answer, must(name+" 300 IN "+text)) }
	switch q.Question[0].Qtype {
	case dns.TypeA:
		switch {
		case what == "other":
			octets := s.Addr.Addr().AsSlice()
			add("A 192.0.2." + strconv.Itoa(int(octets[len(octets)-1])))
		case what == "many":
			for i := range 100 {
				add("A 192.0.2." + strconv.Itoa(i))
			}
		default:
			add("A 192.0.2.7")
		}
	case dns.TypeAAAA:
		add("AAAA 2001:db8::7")
	case dns.TypeTXT:
		if what == "escape" {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: 1, Ttl: 1}, Txt: []string{"\x1b[31mred\x07"}})
		}
	case dns.TypePTR:
		add("PTR www.example.test.")
	case dns.TypeSOA:
		add("SOA ns1.example.test. hostmaster.example.test. " + s.serial + " 3600 600 86400 60")
	}
	return m
}

func must(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// certify makes a certificate for addr, and the authority that issues it.
func (s *Server) certify(addr netip.Addr) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{addr.AsSlice()},
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	s.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

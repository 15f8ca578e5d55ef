package dnsprobe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"netprobe/probe"
)

// Transport is how a server is asked.
type Transport uint8

const (
	UDP Transport = iota
	TCP
	DoT // DNS over TLS
	DoH
)

var transports = []struct {
	name string
	port uint16
}{{"udp", 53}, {"tcp", 53}, {"tls", 853}, {"https", 443}}

// String returns the name used in records and by the flag --proto.
func (t Transport) String() string { return transports[t].name }

// Transports returns the names of all transports.
func Transports() []string {
	var names []string
	for _, t := range transports {
		names = append(names, t.name)
	}
	return names
}

// ParseTransport reads the name of a transport.
func ParseTransport(name string) (Transport, bool) {
	for i, t := range transports {
		if t.name == name {
			return Transport(i), true
		}
	}
	return 0, false
}

// ErrQUIC says that a server is to be asked by QUIC (RFC 9250), which this program
// does not speak.
var ErrQUIC = errors.New("DNS over QUIC is not built in")

// A Server is a name server as a user wrote it, read but not looked up.
type Server struct {
	Text      string // without the @
	Transport Transport
	Host      probe.Host
	Port      uint16
	Path      string // of the URL of DoH
}

// DefaultPath is the path of a server by HTTPS whose URL has none.
const DefaultPath = "/dns-query"

// ParseServer reads "192.0.2.53", "[2001:db8::53]:5353", "dns.example:53",
// "tcp://192.0.2.53", "tls://dns.example" or "https://dns.example/dns-query". What has no
// scheme is asked by usual. Hosts are read by parse.
func ParseServer(text string, usual Transport, parse func(string) (probe.Host, error)) (Server, error) {
	s := Server{Text: text, Transport: usual}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		t, known := ParseTransport(strings.ToLower(scheme))
		switch {
		case strings.EqualFold(scheme, "quic"):
			return s, ErrQUIC
		case !known:
			return s, fmt.Errorf("no transport %q: use one of %s", scheme, strings.Join(Transports(), ", "))
		}
		s.Transport, rest = t, after
	}
	authority, path, hasPath := strings.Cut(rest, "/")
	if s.Transport == DoH {
		if s.Path = DefaultPath; hasPath && path != "" {
			s.Path = "/" + path
		}
		if strings.ContainsFunc(s.Path, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' }) {
			return s, errors.New("not a URL: a character that must be escaped")
		}
	} else if hasPath {
		return s, errors.New("a path goes with https alone")
	}
	host, port, err := splitPort(authority)
	if err != nil {
		return s, err
	}
	s.Port = port
	if port == 0 {
		s.Port = transports[s.Transport].port
	}
	s.Host, err = parse(host)
	return s, err
}

// splitPort splits "host:port", "[v6]:port", "[v6]", "v6" and "host"; port is 0 if
// there is none.
func splitPort(s string) (host string, port uint16, err error) {
	at := strings.LastIndexByte(s, ':')
	if at < 0 || strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") || strings.HasSuffix(s, "]") {
		return s, 0, nil
	}
	n, err := strconv.ParseUint(s[at+1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("not a port: %q", s[at+1:])
	}
	return s[:at], uint16(n), nil
}

// name is what the server calls itself in certificates and URLs, in ASCII.
func (s *Server) name() string {
	if s.Host.Addr.IsValid() {
		return s.Host.Addr.WithZone("").String()
	}
	return strings.TrimSuffix(s.Host.Lookup, ".")
}

// authority is the host of the server's URL (RFC 3986, section 3.2).
func (s *Server) authority() string {
	host := s.name()
	if s.Host.Addr.Is6() {
		host = "[" + host + "]"
	}
	if s.Port != 443 {
		host += ":" + strconv.Itoa(int(s.Port))
	}
	return host
}

// maxSystem is how many name servers of resolv.conf(5) count (MAXNS).
const maxSystem = 3

// SystemServers reads the name servers out of a resolv.conf(5), systemd-resolved's
// stub among them. Without any there is one on this host, as the manual says. Search
// lists do not matter: names are fully qualified.
func SystemServers(conf io.Reader) ([]netip.Addr, error) {
	var addrs []netip.Addr
	lines := bufio.NewScanner(io.LimitReader(conf, 1<<20))
	for lines.Scan() && len(addrs) < maxSystem {
		f := strings.Fields(lines.Text())
		if len(f) < 2 || f[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			addrs = append(addrs, a.Unmap())
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	return addrs, nil
}

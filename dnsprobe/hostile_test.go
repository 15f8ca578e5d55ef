package dnsprobe

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"netprobe/probe"
	"netprobe/rawsock"
)

const ms = time.Millisecond

// A server is a name server of a test on loopback, by UDP and TCP on one port,
// that does what its script says.
type server struct {
	t    testing.TB
	udp  *net.UDPConn
	tcp  net.Listener
	addr netip.AddrPort

	mu      sync.Mutex
	queries int
}

// A say is what a script has for each query: it may write what it likes, as often as
// it likes. N counts queries from 1.
type say func(s *server, n int, q *dns.Msg, w writer)

// A writer sends to whoever asked.
type writer struct {
	stream bool
	raw    func(b []byte) // as it is; on a stream after its length
	bytes  func(b []byte) // on a stream without its length
	from   func(b []byte) // by another socket (UDP)
	close  func()
}

func (w writer) msg(m *dns.Msg) {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	w.raw(b)
}

// newServer starts a server at addr that answers by script.
func newServer(t testing.TB, addr string, script say) *server {
	t.Helper()
	s := &server{t: t}
	for range 20 { // until a port is free for both
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 0)))
		if err != nil {
			t.Skip(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil {
			udp.Close()
			continue
		}
		s.udp, s.tcp = udp, tcp
		break
	}
	if s.tcp == nil {
		t.Fatal("no port free for both udp and tcp")
	}
	s.addr = s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	t.Cleanup(func() { s.udp.Close(); s.tcp.Close() })
	go s.serveUDP(script)
	go s.serveTCP(script)
	return s
}

func (s *server) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries++
	return s.queries
}

func (s *server) serveUDP(script say) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		q := new(dns.Msg)
		if q.Unpack(buf[:n]) != nil {
			continue
		}
		script(s, s.next(), q, writer{
			raw: func(b []byte) { _, _ = s.udp.WriteToUDPAddrPort(b, from) },
			from: func(b []byte) {
				other, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(from))
				if err == nil {
					_, _ = other.Write(b)
					other.Close()
				}
			},
			close: func() {},
		})
	}
}

func (s *server) serveTCP(script say) {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		go s.serveStream(c, script)
	}
}

// serveStream answers one query on a stream.
func (s *server) serveStream(c net.Conn, script say) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	b, err := readMessage(c)
	q := new(dns.Msg)
	if err != nil || q.Unpack(b) != nil {
		return
	}
	script(s, s.next(), q, writer{
		stream: true,
		raw:    func(b []byte) { _, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)) },
		bytes:  func(b []byte) { _, _ = c.Write(b) },
		from:   func([]byte) {},
		close:  func() { c.Close() },
	})
	_, _ = readMessage(c) // until the client is done
}

// respond is a good answer: 192.0.2.7 to questions for A, nothing to others.
func respond(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if q.Question[0].Qtype == dns.TypeA {
		m.Answer = append(m.Answer, record(q.Question[0].Name+" 300 IN A 192.0.2.7"))
	}
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
	}
	return m
}

func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// answering is a server that does nothing but answer.
func answering(t testing.TB) *server {
	return newServer(t, "127.0.0.1", func(_ *server, _ int, q *dns.Msg, w writer) { w.msg(respond(q)) })
}

// ask runs cfg against servers and returns the outcomes, in order.
func ask(t testing.TB, cfg Config, servers ...*server) []probe.Result {
	t.Helper()
	all := askAll(t, cfg, servers...)
	var out []probe.Result
	for _, r := range all {
		if r.Outcome() {
			out = append(out, r)
		}
	}
	return out
}

// askAll also returns what is no outcome.
func askAll(t testing.TB, cfg Config, servers ...*server) []probe.Result {
	t.Helper()
	return askServers(t, cfg, asked(UDP, servers...))
}

// asked are servers as an Engine wants them.
func asked(how Transport, servers ...*server) []Asked {
	var all []Asked
	for i, s := range servers {
		all = append(all, Asked{
			Server: Server{Transport: how, Host: probe.Host{Addr: s.addr.Addr()}, Port: s.addr.Port(), Path: DefaultPath},
			Target: &probe.Target{ID: i, Addr: s.addr},
		})
	}
	return all
}

func askServers(t testing.TB, cfg Config, servers []Asked) []probe.Result {
	t.Helper()
	if cfg.Questions == nil {
		cfg.Questions = []Question{question4(t, "www.example.test", "A")}
	}
	e, err := Open(cfg, rawsock.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	e.SetServers(servers)
	var got []probe.Result
	if err := e.Probe(t.Context(), func(r probe.Result) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	return got
}

func question4(t testing.TB, name, typ string) Question {
	t.Helper()
	q, err := NewQuestion(name, typ, "")
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// one is the only outcome, and what it taught.
func one(t testing.TB, got []probe.Result) (probe.Result, *probe.DNS) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("%d outcomes: %+v", len(got), got)
	}
	d, ok := got[0].Detail.(*probe.DNS)
	if !ok {
		t.Fatalf("detail %T", got[0].Detail)
	}
	return got[0], d
}

package output_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"netprobe/output"
	"netprobe/probe"
	"netprobe/stats"
)

// scanRun is a recorded scan: its header, and its hosts with the outcomes of
// their ports. Hosts take turns.
type scanRun struct {
	name   string
	header output.Header
	scan   output.ScanHeader
	expect *stats.Expectation
	hosts  []scanHost
	end    output.End
}

// scanHost is one host; left is how many of its ports have no outcome at the end.
type scanHost struct {
	name, addr string
	tells      bool
	left       int
	results    []probe.Result
}

// port returns the outcome of a port, of which only the number is known so far.
func port(n uint16, status probe.Status, reason probe.Reason, changes ...func(*probe.Result)) probe.Result {
	r := probe.Result{
		Target: &probe.Target{Addr: netip.AddrPortFrom(netip.Addr{}, n)}, Seq: 1, Status: status, Reason: reason,
		Sent: start.Add(time.Duration(n) * time.Microsecond),
	}
	return with(r, changes...)
}

// itself says that the host of r answered.
func itself(r *probe.Result) {
	r.From, r.TTL, r.Clock = netip.IPv4Unspecified(), 63, probe.Kernel
	r.RTT = 300*time.Microsecond + time.Duration(r.Target.Addr.Port()%100)*time.Microsecond
}

func open(n uint16, changes ...func(*probe.Result)) probe.Result {
	return with(port(n, probe.Reply, probe.SynAck, itself), changes...)
}

func shut(n uint16) probe.Result { return port(n, probe.Refused, probe.RST, itself) }

func quiet(n uint16) probe.Result {
	r := port(n, probe.Lost, probe.NoResponse)
	r.Seq = 3
	return r
}

// barred is a port about which an ICMP error came.
func barred(n uint16, from string, reason probe.Reason) probe.Result {
	r := port(n, probe.Unreachable, reason)
	r.From, r.RTT, r.TTL, r.Type, r.Code = addr(from), 800*time.Microsecond, 254, 3, 13
	return r
}

func untried(n uint16, reason probe.Reason, err error) probe.Result {
	r := port(n, probe.Failed, reason)
	r.Seq, r.Sent, r.Err = 0, time.Time{}, err
	return r
}

func cutOff(n uint16, tries uint64) probe.Result {
	r := port(n, probe.Pending, probe.Canceled)
	r.Seq = tries
	return r
}

// says adds what an answer said.
func says(facts ...probe.Fact) func(*probe.Result) {
	return func(r *probe.Result) { r.Detail = &probe.Layers{Facts: facts} }
}

func tries(n uint64) func(*probe.Result) { return func(r *probe.Result) { r.Seq = n } }

// ports returns the outcomes of the ports from first to last.
func ports(first, last int, outcome func(uint16) probe.Result) []probe.Result {
	var list []probe.Result
	for n := first; n <= last; n++ {
		list = append(list, outcome(uint16(n)))
	}
	return list
}

func join(lists ...[]probe.Result) (all []probe.Result) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func few(list ...probe.Result) []probe.Result { return list }

var services = map[uint16]string{
	22: "ssh", 53: "domain", 80: "http", 123: "ntp", 161: "snmp", 443: "https", 8443: "pcsync-https",
}

func service(n uint16, _ bool) string { return services[n] }

func scans() []*scanRun {
	all := []*scanRun{
		mixedScan(), manyScan(), darkScan(), cutScan(), hostileScan(), udpScan(), tarpitScan(), failedScan(), expectedScan(), fewScan(),
	}
	for _, s := range all {
		h := &s.header
		h.ID, h.Verb, h.Version, h.Host, h.Start = "r1", "scan", "0.1.0", "box", start
		if h.Args == nil {
			h.Args = []string{"scan", s.scan.Targets, "-p", s.scan.List}
		}
		h.Socket, h.Clock, h.Timeout = "connect", probe.Kernel, time.Second
		h.Planned = int64(s.scan.Ports) * int64(len(s.hosts))
		if s.scan.Service == nil {
			s.scan.Service = service
		}
		if s.scan.Technique == "" {
			s.scan.Technique = "syn"
		}
		if s.end.StoppedBy == "" {
			s.end.StoppedBy = "done"
		}
		s.end.Time = start.Add(2310 * time.Millisecond)
	}
	return all
}

func mixedScan() *scanRun {
	return &scanRun{
		name: "mixed",
		scan: output.ScanHeader{Targets: "web-1.example", Hosts: 1, Ports: 1000, List: "1-998,8443,9000"},
		hosts: []scanHost{{name: "web-1.example", addr: "192.0.2.7", results: join(
			few(open(22, says(probe.Fact{Name: "banner", Value: "SSH-2.0-OpenSSH_9.2"}))),
			ports(1, 21, shut), ports(23, 442, shut), few(open(443, tries(2))), ports(444, 996, shut), ports(997, 998, quiet),
			few(barred(8443, "198.51.100.1", probe.AdminProhibited), open(9000)),
		)}},
		end: output.End{Notes: []string{"a note"}},
	}
}

// manyScan is a network: few hosts have something open, most are not there.
func manyScan() *scanRun {
	s := &scanRun{
		name: "many",
		scan: output.ScanHeader{Targets: "192.0.2.0/26 nosuch.example", Hosts: 62, Ports: 10, List: "20-29"},
		end:  output.End{Exit: 3},
	}
	for i := 1; i <= 61; i++ {
		h := scanHost{addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String()}
		switch {
		case i%20 == 1:
			h.results = join(few(open(22)), ports(20, 21, shut), ports(23, 29, shut))
		case i == 12:
			h.name = "db.example"
			h.results = join(few(open(22), open(25)), ports(20, 21, quiet), ports(23, 24, shut), ports(26, 29, quiet))
		case i%7 == 0:
			h.results = ports(20, 29, shut)
		case i%5 == 0:
			h.results = ports(20, 29, func(n uint16) probe.Result { return barred(n, "192.0.2.254", probe.HostUnreachable) })
		default:
			h.results = ports(20, 29, quiet)
		}
		s.hosts = append(s.hosts, h)
	}
	s.hosts = append(s.hosts, scanHost{name: "nosuch.example"})
	return s
}

func darkScan() *scanRun {
	return &scanRun{
		name:  "filtered",
		scan:  output.ScanHeader{Targets: "192.0.2.8", Hosts: 1, Ports: 1000, List: "1-1000"},
		hosts: []scanHost{{addr: "192.0.2.8", results: ports(1, 1000, quiet)}},
		end:   output.End{Exit: 0},
	}
}

// cutScan ran out of its budget.
func cutScan() *scanRun {
	return &scanRun{
		name: "interrupted",
		scan: output.ScanHeader{
			Targets: "192.0.2.7 192.0.2.8 192.0.2.9", Hosts: 3, Ports: 100, List: "1-100", Budget: 30 * time.Second,
			Progress: func() output.Progress {
				return output.Progress{Ports: true, Decided: 175, Asked: 180, Planned: 300, Known: true, Alive: 1, Rate: 5, Elapsed: time.Second, Budget: 30 * time.Second}
			},
		},
		hosts: []scanHost{
			{addr: "192.0.2.7", results: join(ports(1, 21, shut), few(open(22)), ports(23, 60, shut), few(cutOff(61, 1), cutOff(62, 0))), left: 38},
			{addr: "192.0.2.8", results: join(ports(1, 95, quiet), few(cutOff(96, 2), cutOff(97, 0), cutOff(98, 0), cutOff(99, 0), cutOff(100, 0)))},
			{addr: "192.0.2.9", results: ports(1, 13, func(n uint16) probe.Result { return cutOff(n, 0) }), left: 87},
		},
		end: output.End{StoppedBy: "deadline", Exit: 3},
	}
}

func hostileScan() *scanRun {
	const evil = "\x1b]0;owned\x07 <a href=\"x\">&amp;\r\nHTTP/1.1 200, \u202e \xff\x00 名"
	return &scanRun{
		name:   "hostile",
		header: output.Header{Args: []string{"scan", "\x1b[2J<&\">"}},
		scan: output.ScanHeader{Targets: evil, Hosts: 2, Ports: 4, List: "22,23,80,443", Service: func(n uint16, _ bool) string {
			if n == 80 {
				return "ht\x1btp/,<"
			}
			return services[n]
		}},
		hosts: []scanHost{
			{name: evil, addr: "2001:db8::7", results: few(
				open(22, says(probe.Fact{Name: "banner", Value: evil})), open(80, says(
					probe.Fact{Name: "http_status", Value: 200}, probe.Fact{Name: "ssh_algorithms\x1b", Value: []string{evil, "b"}},
					probe.Fact{Name: "x", Value: 1.5}, probe.Fact{Name: "y", Value: true})),
				open(443, func(r *probe.Result) {
					r.Detail = &probe.Layers{FailedAt: "tls\x1b", Reason: probe.TLSFailed, Why: "certificate of " + evil}
				}),
				untried(23, probe.ReasonOther, errors.New(evil)),
			)},
			{addr: "fe80::1%eth0", results: few(shut(22), shut(80), shut(443), barred(23, "fe80::2%eth0", probe.AdminProhibited))},
			{name: evil},
		},
		end: output.End{Exit: 3, Notes: []string{evil}},
	}
}

func udpScan() *scanRun {
	udp := func(n uint16) probe.Result { return port(n, probe.Lost, probe.NoResponse, tries(2)) }
	shutUDP := func(n uint16) probe.Result {
		return port(n, probe.Refused, probe.PortUnreachable, itself, func(r *probe.Result) { r.Type, r.Code = 3, 3 })
	}
	answer := func(n uint16, facts ...probe.Fact) probe.Result {
		return port(n, probe.Reply, probe.UDPReply, itself, says(facts...))
	}
	return &scanRun{
		name: "udp",
		scan: output.ScanHeader{Targets: "192.0.2.7 192.0.2.9", Hosts: 2, Ports: 100, List: "53,123,161,1000-1096", UDP: true, Technique: "udp"},
		hosts: []scanHost{
			{addr: "192.0.2.7", tells: true, results: join(
				few(answer(53, probe.Fact{Name: "dns_rcode", Value: "REFUSED"}), answer(123, probe.Fact{Name: "ntp_stratum", Value: 2}, probe.Fact{Name: "ntp_offset_ms", Value: -0.25}), udp(161)),
				ports(1000, 1090, shutUDP), ports(1091, 1096, udp),
			)},
			{addr: "192.0.2.9", results: join(few(udp(53), udp(123), barred(161, "192.0.2.254", probe.PortUnreachable)), ports(1000, 1096, udp))},
		},
	}
}

// tarpitScan has more open ports than anybody wants to see.
func tarpitScan() *scanRun {
	return &scanRun{
		name:  "tarpit",
		scan:  output.ScanHeader{Targets: "192.0.2.66", Hosts: 1, Ports: 1203, List: "1-1203"},
		hosts: []scanHost{{addr: "192.0.2.66", results: join(ports(1, 600, func(n uint16) probe.Result { return open(n) }), ports(601, 602, quiet), ports(603, 1203, func(n uint16) probe.Result { return open(n) }))}},
	}
}

func failedScan() *scanRun {
	full := os.NewSyscallError("socket", syscall.EMFILE)
	return &scanRun{
		name: "failures",
		scan: output.ScanHeader{Targets: "198.51.100.7 192.0.2.7", Hosts: 2, Ports: 10, List: "20-29", Technique: "connect"},
		hosts: []scanHost{
			{addr: "198.51.100.7", results: ports(20, 29, func(n uint16) probe.Result {
				return untried(n, probe.NoRoute, os.NewSyscallError("connect", syscall.ENETUNREACH))
			})},
			{addr: "192.0.2.7", results: join(few(open(22, func(r *probe.Result) { r.Reason = probe.Connected }), untried(21, probe.NoDescriptors, full), untried(20, probe.NoDescriptors, full)), ports(23, 29, shut))},
		},
		end: output.End{Exit: 3},
	}
}

func expectedScan() *scanRun {
	return &scanRun{
		name:   "expected",
		scan:   output.ScanHeader{Targets: "192.0.2.0/30", Hosts: 3, Ports: 5, List: "22,80,443,8080-8081"},
		expect: stats.Expect(443, 22, 80),
		hosts: []scanHost{
			{addr: "192.0.2.1", results: few(open(22), open(80), open(443), shut(8080), shut(8081))},
			{addr: "192.0.2.2", results: few(open(22), shut(80), quiet(443), open(8080), open(8081))},
			{addr: "192.0.2.3", results: few(quiet(22), quiet(80), barred(443, "192.0.2.254", probe.HostProhibited), quiet(8080), quiet(8081))},
		},
		end: output.End{Exit: 1},
	}
}

// fewScan has many small groups, and answers from elsewhere.
func fewScan() *scanRun {
	return &scanRun{
		name: "groups",
		scan: output.ScanHeader{Targets: "2001:db8::7", Hosts: 1, Ports: 42, List: "1-42"},
		hosts: []scanHost{{addr: "2001:db8::7", results: join(
			few(open(1, func(r *probe.Result) { r.From = addr("2001:db8::8") }), open(3, func(r *probe.Result) { r.Status = probe.Late })),
			ports(4, 10, func(n uint16) probe.Result { return barred(n, "2001:db8:1::1", probe.AdminProhibited) }),
			ports(11, 17, func(n uint16) probe.Result { return barred(n, "2001:db8:2::1", probe.AdminProhibited) }),
			ports(18, 28, func(n uint16) probe.Result { return barred(n, "2001:db8:3::1", probe.HostUnreachable) }),
			ports(29, 41, quiet), few(barred(2, "2001:db8:4::1", probe.NoRoute), with(shut(42), tooLate), shut(42)),
		)}},
	}
}

// play shows s in views. Targets and Details are valid only while a Result is
// recorded, as with engines.
func (s *scanRun) play(change func(*output.Header), views ...output.View) (*stats.Scan, error) {
	h, scan := s.header, s.scan
	h.Scan = &scan
	if change != nil {
		change(&h)
	}
	scan.Stats = stats.NewScan(stats.ScanConfig{UDP: scan.UDP, All: scan.All, Expect: s.expect})
	r := output.NewReport(&h, nil, views...)
	if err := r.Begin(); err != nil {
		return nil, err
	}
	p := scanPlayer{report: r}
	for i, left := 0, true; left; i++ {
		left = false
		for id := range s.hosts {
			if i >= max(len(s.hosts[id].results), 1) {
				continue
			}
			left = true
			if err := p.record(id, &s.hosts[id], i); err != nil {
				return nil, err
			}
		}
	}
	e := s.end
	return scan.Stats, r.End(&e)
}

// scanPlayer hands Results over in memory that it uses again and again.
type scanPlayer struct {
	report *output.Report
	target probe.Target
	detail probe.ScannedHost
	layers probe.Layers
	facts  [8]probe.Fact
}

func (p *scanPlayer) record(id int, h *scanHost, i int) error {
	defer p.spoil()
	if h.addr == "" {
		err := &net.DNSError{Err: "no such host", Name: h.name, IsNotFound: true}
		p.target = probe.Target{Name: h.name, Err: err}
		return p.report.Record(&probe.Result{Target: &p.target, Status: probe.Failed, Reason: probe.ResolveFailed, Err: err})
	}
	r := h.results[i]
	p.target = probe.Target{ID: id, Name: h.name, Addr: netip.AddrPortFrom(addr(h.addr), r.Target.Addr.Port())}
	if r.From == netip.IPv4Unspecified() {
		r.From = addr(h.addr)
	}
	p.detail = probe.ScannedHost{Ports: len(h.results) + h.left, Left: len(h.results) + h.left - i - 1, Tells: h.tells && i > 50}
	for _, earlier := range h.results[:i+1] {
		if !earlier.Outcome() {
			p.detail.Left++
			if earlier.Target != r.Target {
				p.detail.Ports--
				p.detail.Left--
			}
		}
	}
	for _, later := range h.results[i+1:] {
		if !later.Outcome() {
			p.detail.Left--
		}
	}
	if l, ok := r.Detail.(*probe.Layers); ok {
		p.layers = *l
		p.layers.Facts = append(p.facts[:0], l.Facts...)
		p.detail.Layers = &p.layers
	}
	r.Target, r.Detail = &p.target, &p.detail
	return p.report.Record(&r)
}

// spoil makes what was handed over wrong.
func (p *scanPlayer) spoil() {
	p.target = probe.Target{ID: -1, Name: "stale", Addr: netip.MustParseAddrPort("203.0.113.99:9")}
	p.detail = probe.ScannedHost{Ports: 77, Left: 5}
	for i := range p.facts {
		p.facts[i] = probe.Fact{Name: "stale", Value: "stale"}
	}
	p.layers = probe.Layers{FailedAt: "stale"}
}

package output_test

import (
	"math"
	"net/netip"
	"time"

	"netprobe/output"
	"netprobe/probe"
)

// service is a target with a port, in the name as well.
func serviceAt(id int, name, address string, port uint16) *probe.Target {
	t := host(id, name, address)
	t.Addr = netip.AddrPortFrom(t.Addr.Addr(), port)
	return t
}

// connected is probe seq to t, answered by a SYN-ACK.
func connected(t *probe.Target, seq uint64, rtt time.Duration) probe.Result {
	r := reply(t, seq, rtt)
	r.Reason, r.TTL, r.Type, r.Size = probe.Connected, 0, 0, 0
	return r
}

// again is r when the SYN was sent n times more.
func again(r probe.Result, n uint8) probe.Result {
	r.Retrans = n
	if r.From.IsValid() {
		r.Host = time.Duration(n) * time.Second
	}
	return r
}

func refused(t *probe.Target, seq uint64) probe.Result {
	r := connected(t, seq, 400*time.Microsecond)
	r.Status, r.Reason, r.Clock, r.Host = probe.Refused, probe.RST, probe.User, 0
	return r
}

func turnedAway(t *probe.Target, seq uint64, s probe.Status, reason probe.Reason, from string, typ, code uint8) probe.Result {
	r := icmpError(t, seq, s, reason, from, typ, code)
	r.TTL, r.Size = 0, 0
	return r
}

func sizeless(rs []probe.Result) []probe.Result {
	for i := range rs {
		rs[i].Size = 0
	}
	return rs
}

// connects has all that becomes of TCP probes.
func connects() *scenario {
	a, b, c := serviceAt(0, "192.0.2.1:443", "192.0.2.1", 443), serviceAt(1, "www.example.net:https", "2001:db8::7", 443), serviceAt(2, "[2001:db8::9]:22", "2001:db8::9", 22)
	d := host(3, "nosuch.example:80", "")
	nobody := turnedAway(c, 3, probe.Unreachable, probe.HostUnreachable, "2001:db8::1", 1, 3)
	nobody.From, nobody.RTT = netip.Addr{}, 0
	return &scenario{
		name: "tcp", target: []*probe.Target{a, b, c, d},
		header: output.Header{Verb: "tcp", Socket: "connect", Interface: "eth0", Source: "192.0.2.9"},
		result: sizeless([]probe.Result{
			connected(a, 1, 1230*time.Microsecond), again(connected(a, 2, 13*time.Millisecond), 1), refused(a, 3),
			again(refused(a, 4), 2), turnedAway(a, 5, probe.Unreachable, probe.AdminProhibited, "198.51.100.1", 3, 13),
			connected(b, 1, 12*time.Millisecond), overdue(b, 2), again(late(b, 2, 3*time.Millisecond), 4),
			turnedAway(b, 3, probe.Refused, probe.PortUnreachable, "2001:db8::7", 1, 4), refused(b, 4),
			turnedAway(b, 5, probe.Unreachable, probe.PortUnreachable, "2001:db8::fe", 1, 4),
			overdue(c, 1), again(lost(c, 1), 3), turnedAway(c, 2, probe.Expired, probe.TTLExceeded, "198.51.100.1", 11, 0), nobody,
			connected(a, 6, 2*time.Millisecond), lost(a, 7), connected(a, 8, 2*time.Millisecond),
			failed(c, 4, probe.NoLocalPort, errText("this host has no local port left")), pending(c, 5),
		}),
		end: output.End{Exit: 3, StoppedBy: "signal"},
	}
}

type errText string

func (e errText) Error() string { return string(e) }

// layers asks above the transport, and somebody there is hostile.
func layers() *scenario {
	t := serviceAt(0, "www.example.net:443", "192.0.2.7", 443)
	learned := func(l *probe.Layers) func(*probe.Result) {
		return func(r *probe.Result) {
			r.Detail = l
			if l.FailedAt != "" {
				r.Reason = l.Reason
			}
		}
	}
	ms := time.Millisecond
	return &scenario{
		name: "layers", target: []*probe.Target{t},
		header: output.Header{Verb: "tcp", Socket: "connect"},
		result: sizeless([]probe.Result{
			with(connected(t, 1, 10*ms), learned(&probe.Layers{
				Phases: []probe.Step{{Name: "connect", Took: 10 * ms}, {Name: "tls", Took: 21_500 * time.Microsecond}},
				Facts: []probe.Fact{
					{Name: "tls_version", Value: "TLS 1.3", Brief: "TLS 1.3 h2"}, {Name: "tls_cipher", Value: "TLS_AES_128_GCM_SHA256", Aside: true},
					{Name: "tls_days_left", Value: 23, Brief: "23 days left"}, {Name: "tls_trusted", Value: true},
					{Name: "tls_alpn", Value: []string{"h2", "http/1.1"}}, {Name: "ntp_offset_ms", Value: -0.25},
				},
			})),
			with(again(connected(t, 2, 10*ms), 1), learned(&probe.Layers{
				Phases:   []probe.Step{{Name: "connect", Took: 1010 * ms}, {Name: "tls", Took: 20 * ms}},
				FailedAt: "tls", Reason: probe.TLSFailed, Why: "certificate expired 3 days ago",
			})),
			with(connected(t, 3, 10*ms), learned(&probe.Layers{
				FailedAt: "banner\x1b[2J", Reason: probe.BadReply, Why: "\"what\"\r\nis that\u202e",
				Facts: []probe.Fact{
					{Name: "banner", Value: "220 \x1b]0;owned\x07 \"hi\", there\r\n"}, {Name: "empty", Value: ""},
					{Name: "nan", Value: math.NaN()}, {Name: "none", Value: nil}, {Name: "list", Value: []string{"a b", "\x00"}},
				},
			})),
			with(connected(t, 4, 10*ms), learned(&probe.Layers{
				Phases: []probe.Step{{Name: "connect", Took: 10 * ms}, {Name: "banner", Took: ms}},
				Facts: []probe.Fact{
					{Name: "banner", Value: "220 \x1b]0;owned\x07\r\n", Brief: "\"220 \x1b]0;owned\x07\u2028\""},
					{Name: "banner_then", Value: "closed", Brief: "then closed"},
				},
			})),
			lost(t, 5),
			with(connected(t, 6, 10*ms), learned(&probe.Layers{
				Phases:   []probe.Step{{Name: "resolve", Took: 3 * ms}, {Name: "connect", Took: 10 * ms}, {Name: "tls", Took: 20 * ms}, {Name: "first_byte", Took: ms}, {Name: "transfer", Took: ms}},
				FailedAt: "http", Reason: probe.HTTPStatus, Why: "status 503 Service Unavailable",
				Facts: []probe.Fact{{Name: "http_status", Value: 503, Brief: "status 503"}},
			})),
			with(connected(t, 7, 10*ms), learned(&probe.Layers{
				Phases: []probe.Step{{Name: "resolve", Took: 3 * ms}, {Name: "connect", Took: 10 * ms}},
				Facts:  []probe.Fact{{Name: "resolve_changed_to", Value: []string{"192.0.2.7", "2001:db8::7"}, Brief: "the name is now 192.0.2.7"}},
			})),
			with(connected(t, 8, 10*ms), learned(&probe.Layers{
				Phases:   []probe.Step{{Name: "resolve", Took: 3 * ms}, {Name: "connect", Took: 10 * ms}},
				FailedAt: "resolve", Reason: probe.ResolveFailed, Why: "no such host",
			})),
			with(refused(t, 9), func(r *probe.Result) {
				r.Detail = &probe.Layers{
					Phases:   []probe.Step{{Name: "resolve", Took: 3 * ms}, {Name: "connect", Took: ms}},
					FailedAt: "resolve", Reason: probe.ResolveFailed, Why: "no such host",
				}
			}),
		}),
	}
}

// datagrams are answered, or not, by a UDP service.
func datagrams() *scenario {
	t := serviceAt(0, "192.0.2.1:123", "192.0.2.1", 123)
	answer := func(seq uint64, flags probe.Flags) probe.Result {
		r := reply(t, seq, 2*time.Millisecond, flags)
		r.Reason, r.TTL, r.Size = probe.UDPReply, 0, 48
		r.Detail = &probe.Layers{Facts: []probe.Fact{{Name: "ntp_stratum", Value: 2}}}
		return r
	}
	bad := lost(t, 5)
	bad.Reason = probe.BadReply
	bad.Detail = &probe.Layers{
		FailedAt: "ntp", Reason: probe.BadReply, Why: "the answer is not ntp: \x1b[2Jtoo short",
	}
	hostile := answer(6, 0)
	hostile.Detail = &probe.Layers{Facts: []probe.Fact{
		{Name: "sip_server", Value: "x\x1b]0;y\x07\r\nz"}, {Name: "netbios_names", Value: []string{"A\x9b<00>", "B C<20>"}},
	}}
	elsewhere := answer(2, probe.WrongSource)
	elsewhere.From = addr("192.0.2.77")
	return &scenario{
		name: "udp", target: []*probe.Target{t},
		header: output.Header{Verb: "udp", Socket: "connect"},
		result: []probe.Result{
			answer(1, 0), answer(1, probe.Dup), elsewhere, overdue(t, 3), lost(t, 3),
			turnedAway(t, 4, probe.Refused, probe.PortUnreachable, "192.0.2.1", 3, 3),
			overdue(t, 5), bad, hostile,
		},
		end: output.End{Notes: []string{"192.0.2.1:123: open|filtered: no answer to ntp"}},
	}
}

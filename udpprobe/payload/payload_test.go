package payload

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"netprobe/probe"
	"netprobe/udpprobe/payload/payloadtest"
)

const ms = time.Millisecond

// question returns a new transaction of p with the datagram that asks it.
func question(p *Protocol) (*Transaction, []byte) {
	t := &Transaction{
		Local: netip.MustParseAddrPort("192.0.2.9:40000"), To: netip.MustParseAddrPort("192.0.2.1:9"),
		Sent: time.Now(),
	}
	if len(p.Ports) > 0 {
		t.To = netip.AddrPortFrom(t.To.Addr(), p.Ports[0])
	}
	t.Renew()
	t.Arrived = t.Sent.Add(10 * ms)
	return t, p.Append(nil, t)
}

// told is what Parse says of a reply, as people would be told.
func told(p *Protocol, reply []byte, t *Transaction) string {
	facts, err := p.Parse(reply, t)
	if err != nil {
		return "not " + p.Name + ": " + err.Error()
	}
	var s []string
	for _, f := range facts {
		s = append(s, fmt.Sprintf("%s=%v", f.Name, f.Value))
	}
	return strings.Join(s, " ")
}

var answers = map[string]string{
	"dns":       "dns_rcode=NOERROR dns_recursion=true",
	"mdns":      "mdns_services=[_ipp._udp.local _ssh._udp.local]",
	"netbios":   "netbios_names=[OFFICE1<00> WORKGROUP<00> group] netbios_mac=02:00:5e:10:20:30",
	"snmp":      "snmp_engine_id=80001f88800a0b0c0d snmp_enterprise=8072 snmp_engine_boots=7 snmp_engine_time_s=3600",
	"stun":      "stun_mapped=192.0.2.1:32853 stun_software=test1",
	"sip":       "sip_status=200 sip_phrase=OK sip_server=testing/1.0 sip_allow=INVITE, ACK, CANCEL, OPTIONS, BYE",
	"ike":       "ike_version=2.0 ike_notify=[NO_PROPOSAL_CHOSEN]",
	"coap":      "coap_code=2.05 coap_payload_bytes=4",
	"dtls":      "dtls_answer=hello verify request dtls_cookie_bytes=8",
	"quic":      "quic_versions=[v1 v2 draft-29]",
	"tftp":      "tftp_error=file not found tftp_text=File not found",
	"memcached": "memcached_version=1.6.18",
	"wireguard": "wireguard_answer=cookie reply",
}

// A service's answer is understood, and only as that to this question.
func TestAnswers(t *testing.T) {
	for name, want := range answers {
		p := ByName(name)
		tx, q := question(p)
		reply := payloadtest.Answer(name, q, 0)
		if got := told(p, reply, tx); got != want {
			t.Errorf("%s: %s, want %s\nquestion %x\nreply %x", name, got, want, q, reply)
		}
		if _, other := question(p); bytes.Equal(q, other) {
			t.Errorf("%s: the same question twice", name)
		}
		// TFTP repeats nothing: its ports are all there is.
		other, _ := question(p)
		if got := told(p, reply, other); name != "tftp" && got != "not "+name+": "+errForeign.Error() {
			t.Errorf("%s: somebody else's answer: %s", name, got)
		}
		if got := told(p, q, tx); !strings.HasPrefix(got, "not "+name+": ") {
			t.Errorf("%s: its own question: %s", name, got)
		}
	}
}

// On the port that IKE shares with ESP it has a mark in front.
func TestIKEBehindNAT(t *testing.T) {
	p := ByName("ike")
	tx, _ := question(p)
	tx.To = netip.AddrPortFrom(tx.To.Addr(), 4500)
	reply := payloadtest.Answer("ike", p.Append(nil, tx), 0)
	if got := told(p, reply, tx); got != answers["ike"] {
		t.Error(got)
	}
	if got := told(p, reply[4:], tx); !strings.HasPrefix(got, "not ike") {
		t.Error(got)
	}
}

// No answer survives being cut short, but where it has no end of its own.
func TestCutShort(t *testing.T) {
	endless := map[string]func(n int) bool{
		"coap": func(n int) bool { return n == 12 || n == 14 || n > 15 }, // after the token, the option, in the payload
		"quic": func(n int) bool { return n >= 27 && n%4 == 3 },          // any number of versions
		"sip":  func(n int) bool { return n > 200 },                      // any number of headers
	}
	for name := range answers {
		p := ByName(name)
		tx, q := question(p)
		reply := payloadtest.Answer(name, q, 0)
		for n := range len(reply) {
			got := told(p, reply[:n], tx)
			if whole := !strings.HasPrefix(got, "not "); whole && (endless[name] == nil || !endless[name](n)) {
				t.Errorf("%s cut to %d of %d: %s", name, n, len(reply), got)
			}
		}
	}
}

func TestNTPOffset(t *testing.T) {
	p := ByName("ntp")
	for _, ahead := range []time.Duration{0, 250 * ms, -3 * time.Hour, 40 * 365 * 24 * time.Hour} {
		tx, q := question(p)
		reply := payloadtest.Answer("ntp", q, ahead)
		facts, err := p.Parse(reply, tx)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"ntp_stratum", "ntp_offset_ms", "ntp_refid", "ntp_root_delay_ms", "ntp_root_dispersion_ms"}
		var names []string
		for _, f := range facts {
			names = append(names, f.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Error(diff)
		}
		// It took 10 ms there and back, and the server's stamps are from the start or shortly after.
		got := facts[1].Value.(float64) - float64(ahead)/float64(ms)
		if got < -6 || got > 1000 {
			t.Errorf("%v ahead: off by %v ms", ahead, got)
		}
	}
}

// What an NTP server says of itself when it does not tell the time.
func TestNTPUnsure(t *testing.T) {
	p := ByName("ntp")
	cases := []struct {
		leap, stratum byte
		refid, want   string
	}{
		{0, 0, "RATE", "ntp_stratum=0 ntp_kiss=RATE"},
		{0, 0, "\x01\x02\x03\x04", "ntp_stratum=0 ntp_kiss=0x01020304"},
		{3, 0, "INIT", "ntp_stratum=0 ntp_kiss=INIT"},
		{3, 4, "\x7f\x00\x00\x01", "ntp_stratum=4 ntp_synchronized=false"},
		{0, 16, "\x7f\x00\x00\x01", "ntp_stratum=16 ntp_synchronized=false"},
		{0, 17, "\x7f\x00\x00\x01", "not ntp: stratum 17"},
	}
	for _, tc := range cases {
		tx, q := question(p)
		reply := payloadtest.Answer("ntp", q, 0)
		reply[0] = reply[0]&0x3f | tc.leap<<6
		reply[1] = tc.stratum
		copy(reply[12:], tc.refid)
		if got := told(p, reply, tx); got != tc.want {
			t.Errorf("%s, want %s", got, tc.want)
		}
	}
	tx, q := question(p)
	reply := payloadtest.Answer("ntp", q, 0)
	reply[1] = 1
	copy(reply[12:], "GPS\x00")
	if got := told(p, reply, tx); !strings.Contains(got, "ntp_refid=GPS ") {
		t.Error(got)
	}
}

// Every protocol has a name and ports of its own, and those that stay silent say why.
func TestTable(t *testing.T) {
	ports := map[uint16]string{}
	for _, name := range Names() {
		p := ByName(name)
		for _, port := range p.Ports {
			if ports[port] != "" {
				t.Errorf("port %d is %s and %s", port, ports[port], name)
			}
			ports[port] = name
			if ByPort(port) != p {
				t.Errorf("port %d is not %s", port, name)
			}
		}
		_, q := question(p)
		if p.Mute == "" && len(q) == 0 || len(q) > 1200 {
			t.Errorf("%s: %d bytes", name, len(q))
		}
		if mute := name == "radius" || name == "wireguard" || name == "syslog"; mute != (p.Mute != "") {
			t.Errorf("%s is mute: %q", name, p.Mute)
		}
	}
	if ByPort(9) != nil || ByName("") != nil || ByName("chargen") != nil {
		t.Error("a protocol for nothing")
	}
	if _, q := question(&quic); len(q) != 1200 {
		t.Errorf("quic: %d bytes", len(q))
	}
}

// whole fails unless what Parse returned is bounded and has names as others do.
func whole(t *testing.T, name string, facts []probe.Fact, err error) {
	t.Helper()
	if err != nil {
		if facts != nil || len(err.Error()) > 100 || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\x1b\n") {
			t.Errorf("%s: %q with %v", name, err, facts)
		}
		return
	}
	for _, f := range facts {
		if !strings.HasPrefix(f.Name, name+"_") {
			t.Errorf("%s: fact %s", name, f.Name)
		}
		switch v := f.Value.(type) {
		case string:
			if len(v) > maxText+3 || v == "" {
				t.Errorf("%s: %s is %d bytes", name, f.Name, len(v))
			}
		case []string:
			if len(v) == 0 || len(v) > maxList {
				t.Errorf("%s: %s has %d values", name, f.Name, len(v))
			}
			for _, s := range v {
				if len(s) > maxText+3 {
					t.Errorf("%s: %s has %d bytes", name, f.Name, len(s))
				}
			}
		case int, bool:
		case float64:
			if v != v || v > 1e15 || v < -1e15 {
				t.Errorf("%s: %s is %v", name, f.Name, v)
			}
		default:
			t.Errorf("%s: %s is a %T", name, f.Name, v)
		}
	}
}

// Whatever comes, no parser panics, nothing it says is unbounded, and it
// understands nothing that does not match the question.
func FuzzReplies(f *testing.F) {
	for i, name := range Names() {
		_, q := fixed(ByName(name))
		reply := payloadtest.Answer(name, q, 0)
		f.Add(uint8(i), reply)
		f.Add(uint8(i), q)
		if len(reply) > 0 {
			f.Add(uint8(i), bytes.Repeat(reply, 40))
			f.Add(uint8(i), append(bytes.Clone(reply), "\x1b[31m\x00\xff"...))
		}
	}
	f.Add(uint8(slices.Index(Names(), "quic")), append([]byte("\x80\x00\x00\x00\x00\xff"), make([]byte, 300)...))
	f.Fuzz(func(t *testing.T, which uint8, reply []byte) {
		p := ByName(Names()[int(which)%len(Names())])
		tx, _ := fixed(p)
		given := bytes.Clone(reply)
		facts, err := p.Parse(reply, tx)
		whole(t, p.Name, facts, err)
		if !bytes.Equal(reply, given) {
			t.Error("the reply was written to")
		}
		if err != nil || p.Name == "tftp" || p.Name == "dtls" {
			return
		}
		for i := range tx.Nonce {
			tx.Nonce[i] ^= 0x55
		}
		if _, err := p.Parse(reply, tx); err == nil {
			t.Error("it matches two questions that have nothing in common")
		}
	})
}

// fixed is a question that is the same each time, so that what fuzzing finds can be
// found again.
func fixed(p *Protocol) (*Transaction, []byte) {
	t, _ := question(p)
	t.Sent = time.Unix(1_800_000_000, 0)
	t.Arrived = t.Sent.Add(10 * ms)
	for i := range t.Nonce {
		t.Nonce[i] = byte(7*i + 1)
	}
	return t, p.Append(nil, t)
}

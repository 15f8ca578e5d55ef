package payload

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"netprobe/probe"
)

// sip asks what a user agent or proxy can do (OPTIONS, RFC 3261, section 11),
// outside of any dialog.
var sip = Protocol{
	Name: "sip", Ports: []uint16{5060},
	ask:   appendOptions,
	parse: parseSIP,
}

// sipIDs are what a response repeats of its request (RFC 3261, sections 8.2.6.2
// and 17.1.3). A branch begins with the letters that say it is unique.
type sipIDs struct{ branch, tag, call, seq string }

func idsOf(t *Transaction) sipIDs {
	h := hex.EncodeToString(t.Nonce[:26])
	return sipIDs{
		branch: "z9hG4bK" + h[:16], tag: h[16:24], call: h[24:48],
		seq: strconv.Itoa(1 + int(t.Nonce[24])<<8 + int(t.Nonce[25])),
	}
}

func appendOptions(b []byte, t *Transaction) []byte {
	ids, to := idsOf(t), hostPort(t.To)
	local := t.Local
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port()) // rport makes up for it (RFC 3581)
	}
	from := hostPort(local)
	return fmt.Appendf(b, "OPTIONS sip:%s SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP %s;branch=%s;rport\r\n"+
		"Max-Forwards: 70\r\n"+
		"From: <sip:netprobe@%s>;tag=%s\r\n"+
		"To: <sip:%s>\r\n"+
		"Call-ID: %s\r\n"+
		"CSeq: %s OPTIONS\r\n"+
		"Contact: <sip:netprobe@%s>\r\n"+
		"Accept: application/sdp\r\n"+
		"Content-Length: 0\r\n\r\n",
		to, from, ids.branch, from, ids.tag, to, ids.call, ids.seq, from)
}

// hostPort is an address as SIP writes it: no zone (RFC 3261, section 25.1).
func hostPort(a netip.AddrPort) string {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()).String()
}

func parseSIP(b []byte, t *Transaction) ([]probe.Fact, error) {
	text := string(b)
	if i := strings.Index(text, "\r\n\r\n"); i >= 0 {
		text = text[:i]
	}
	start, head, _ := strings.Cut(text, "\r\n")
	version, rest, _ := strings.Cut(start, " ")
	if version != "SIP/2.0" {
		if strings.HasSuffix(start, " SIP/2.0") {
			return nil, errRequest
		}
		return nil, malformed("no SIP response")
	}
	digits, phrase, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(digits)
	if err != nil || len(digits) != 3 || status < 100 || status > 699 {
		return nil, malformed("no status code")
	}
	h, ids := sipHeaders(head), idsOf(t)
	seq, method, _ := strings.Cut(h["cseq"], " ")
	if h["call-id"] != ids.call || seq != ids.seq || strings.TrimSpace(method) != "OPTIONS" || !strings.Contains(h["via"], ids.branch) {
		return nil, errForeign
	}
	var f facts
	f.add("sip_status", status)
	f.text("sip_phrase", phrase)
	f.text("sip_server", strings.TrimSpace(h["server"]+" "+h["user-agent"]))
	f.text("sip_allow", h["allow"])
	return f, nil
}

// compact are the short forms of header names (RFC 3261, section 7.3.3).
var compact = map[string]string{"i": "call-id", "v": "via"}

// sipHeaders returns the first value of each header, folded lines unfolded (RFC
// 3261, section 7.3.1).
func sipHeaders(head string) map[string]string {
	h, last := map[string]string{}, ""
	for line := range strings.SplitSeq(head, "\r\n") {
		if last != "" && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			if len(h[last]) < sipLongest {
				h[last] += " " + strings.TrimSpace(line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if long, short := compact[name]; short {
			name = long
		}
		last = ""
		if _, again := h[name]; ok && !again {
			h[name], last = strings.TrimSpace(value), name
		}
	}
	return h
}

// sipLongest is how long a value may grow by folded lines: those count whose
// beginning does.
const sipLongest = 1024

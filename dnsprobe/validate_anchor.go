package dnsprobe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Anchors are the keys that a chain of signatures may start from. The zero
// Anchors has none.
type Anchors struct {
	zones map[string]delegations
}

// rootAnchors are the key signing keys of the root zone, KSK-2017 and KSK-2024,
// as IANA publishes their digests (data.iana.org/root-anchors, RFC 9718).
func rootAnchors() *Anchors {
	a, err := ParseAnchors(strings.NewReader(`
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`))
	if err != nil {
		panic(err) // it is a constant
	}
	return a
}

// of returns what vouches for zone.
func (a *Anchors) of(zone string) delegations { return a.zones[zone] }

// Zones names the zones there are anchors for, in no order.
func (a *Anchors) Zones() []string {
	var names []string
	for name := range a.zones {
		names = append(names, show(name))
	}
	return names
}

// Bounds of a file of anchors.
const (
	maxAnchorBytes = 1 << 20
	maxAnchors     = 256
)

// ParseAnchors reads DS and DNSKEY records in zone file form, as unbound keeps
// them (also with the states of RFC 5011 in comments) and dig prints them, or
// the trust-anchors of BIND:
//
//	. IN DS 20326 8 2 E06D44B8...
//	example.com. IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0d...
//	trust-anchors { . initial-ds 20326 8 2 "E06D44B8..."; };
//
// Keys that are revoked, or are no zone's, are left out. Errors say what is
// wrong and where, without the name of the file.
func ParseAnchors(r io.Reader) (*Anchors, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAnchorBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxAnchorBytes:
		return nil, fmt.Errorf("larger than %d bytes: not a file of trust anchors", maxAnchorBytes)
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")):
		return nil, errors.New("XML is not read: write the anchors as DS records")
	}
	a := &Anchors{zones: map[string]delegations{}}
	if isBIND(text) {
		err = a.readBIND(text)
	} else {
		err = a.readZone(string(text))
	}
	if err == nil && len(a.zones) == 0 {
		err = errors.New("no DS or DNSKEY record found")
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Anchors) readZone(text string) error {
	z := newZoneFile(text)
	for n := 0; ; n++ {
		rr, err := z.next()
		if rr == nil {
			return err
		}
		if n == maxAnchors {
			return fmt.Errorf("more than %d records: not a file of trust anchors", maxAnchors)
		}
		if err := a.take(rr); err != nil {
			return fmt.Errorf("%w at line: %d", err, z.at)
		}
	}
}

// take takes a DS, or a DNSKEY by its digest. Other types are in such files too.
func (a *Anchors) take(rr *zoneRecord) error {
	if rr.class != dns.ClassINET || rr.typ != dns.TypeDS && rr.typ != dns.TypeDNSKEY {
		return nil
	}
	f, err := readData(rr.typ, rr.data)
	if err != nil {
		return fmt.Errorf("bad %s: %w", typeName(rr.typ), err)
	}
	n := func(i int) uint16 {
		v, _ := strconv.ParseUint(f[i], 10, 16) // readData did
		return uint16(v)
	}
	hdr := dns.RR_Header{Name: rr.owner, Rrtype: rr.typ, Class: rr.class}
	ds := &dns.DS{Hdr: hdr}
	if rr.typ == dns.TypeDS {
		ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest = n(0), uint8(n(1)), uint8(n(2)), f[3]
	} else {
		key := dns.DNSKEY{Hdr: hdr, Flags: n(0), Protocol: uint8(n(1)), Algorithm: uint8(n(2)), PublicKey: f[3]}
		if key.Flags&dns.ZONE == 0 || key.Flags&dns.REVOKE != 0 || key.Protocol != 3 {
			return nil
		}
		if ds = key.ToDS(dns.SHA256); ds == nil {
			return fmt.Errorf("the DNSKEY of %s is broken", show(rr.owner))
		}
	}
	a.zones[rr.owner] = append(a.zones[rr.owner], ds)
	return nil
}

var bindStatements = []string{"trust-anchors", "managed-keys", "trusted-keys", "dnssec-keys"}

// isBIND says whether the first word is that of a BIND statement.
func isBIND(text []byte) bool {
	words := bindWords(text)
	return len(words) > 0 && slices.Contains(bindStatements, words[0])
}

// readBIND reads statements of entries: a name, the kind of the anchor (not in
// trusted-keys), three numbers, and the key or digest in quoted pieces.
func (a *Anchors) readBIND(text []byte) error {
	var entry []string
	depth, n := 0, 0
	for _, w := range bindWords(text) {
		switch {
		case w == "{":
			depth++
			entry = nil
		case w == "}":
			depth--
			entry = nil
		case w != ";":
			if entry = append(entry, w); len(entry) > 64 {
				return errors.New("an anchor of more than 64 words")
			}
		case len(entry) > 0:
			if n++; n > maxAnchors {
				return fmt.Errorf("more than %d anchors: not a file of trust anchors", maxAnchors)
			}
			if err := a.takeBIND(entry); err != nil {
				return fmt.Errorf("the anchor of %.80q is not understood: %w", entry[0], err)
			}
			entry = nil
		}
	}
	if depth != 0 || len(entry) > 0 {
		return errors.New("the last statement does not end")
	}
	return nil
}

func (a *Anchors) takeBIND(entry []string) error {
	rr := &zoneRecord{class: dns.ClassINET, typ: dns.TypeDNSKEY, data: entry[1:]}
	if len(entry) > 1 {
		switch entry[1] {
		case "initial-ds", "static-ds":
			rr.typ, rr.data = dns.TypeDS, entry[2:]
		case "initial-key", "static-key":
			rr.data = entry[2:]
		}
	}
	var err error
	if rr.owner, err = canonical(entry[0]); err != nil {
		return err
	}
	return a.take(rr)
}

// bindWords splits the language of named.conf: words, quoted strings without
// their quotes, and { } ; by themselves, without comments.
func bindWords(text []byte) []string {
	var words []string
	text = uncomment(text)
	for len(text) > 0 {
		n := 0
		for n < len(text) && text[n] > ' ' && !strings.ContainsRune(`{};"`, rune(text[n])) {
			n++
		}
		if n == 0 {
			n = 1
		}
		if w := string(text[:n]); w > " " && w != `"` {
			words = append(words, w)
		}
		text = text[n:]
	}
	return words
}

// uncomment blanks the comments of C, C++ and shell, outside of quotes.
func uncomment(text []byte) []byte {
	out := bytes.Clone(text)
	quoted := false
	for i := 0; i < len(out); {
		end := 0
		switch {
		case out[i] == '"':
			quoted = !quoted
		case quoted:
		case out[i] == '#' || bytes.HasPrefix(out[i:], []byte("//")):
			end = bytes.IndexByte(out[i:], '\n')
			if end < 0 {
				end = len(out) - i
			}
		case bytes.HasPrefix(out[i:], []byte("/*")):
			if end = bytes.Index(out[i:], []byte("*/")); end < 0 {
				end = len(out) - i
			} else {
				end += 2
			}
		}
		for k := range end {
			out[i+k] = ' '
		}
		i += max(end, 1)
	}
	return out
}

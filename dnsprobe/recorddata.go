package dnsprobe

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// dataForm says of which fields the data of a record is: a number of 1, 2 or 4
// bytes; an algorithm of DNSSEC (g); an IPv4 address (a) or IPv6 (A); a host or other
// name (h); a word or string (w); and to the end hex digits (x), base64 (b),
// strings (s), or words if there are any (r).
func dataForm(typ uint16) string {
	switch typ {
	case dns.TypeA:
		return "a"
	case dns.TypeAAAA:
		return "A"
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeDNAME:
		return "h"
	case dns.TypeMX, dns.TypeAFSDB:
		return "2h"
	case dns.TypeSRV:
		return "222h"
	case dns.TypeSOA:
		return "hh44444"
	case dns.TypeTXT, dns.TypeSPF:
		return "s"
	case dns.TypeCAA:
		return "1ww"
	case dns.TypeURI:
		return "22w"
	case dns.TypeNAPTR:
		return "22wwwh"
	case dns.TypeSVCB, dns.TypeHTTPS:
		return "2hr"
	case dns.TypeDS, dns.TypeCDS:
		return "2g1x"
	case dns.TypeDNSKEY, dns.TypeCDNSKEY:
		return "21gb"
	case dns.TypeTLSA, dns.TypeSMIMEA:
		return "111x"
	case dns.TypeSSHFP:
		return "11x"
	}
	return "wr"
}

// readData returns the fields of the data of a record of that type, normalized: they
// are equal if the data is, without regard to case.
func readData(typ uint16, words []string) ([]string, error) {
	if len(words) > 0 && words[0] == `\#` && strings.ContainsAny(dataForm(typ), "g") {
		var err error
		if words, err = readUnknown(typ, words[1:]); err != nil {
			return nil, err
		}
	}
	var fields []string
	for _, kind := range dataForm(typ) {
		if strings.ContainsRune("xbsr", kind) {
			rest, err := readRest(kind, words)
			return append(fields, rest...), err
		}
		if len(words) == 0 {
			return nil, errTooLittle
		}
		field, err := readField(kind, words[0])
		if err != nil {
			return nil, err
		}
		fields, words = append(fields, field), words[1:]
	}
	if len(words) > 0 {
		return nil, fmt.Errorf("%.40q is one word too many", words[0])
	}
	return fields, nil
}

// readUnknown turns the form of data of unknown types, a length and hex digits
// (RFC 3597, section 5), into the words of a DS or DNSKEY.
func readUnknown(typ uint16, words []string) ([]string, error) {
	if len(words) == 0 {
		return nil, errTooLittle
	}
	data, err := hex.DecodeString(strings.Join(words[1:], ""))
	if n, e := strconv.ParseUint(words[0], 10, 16); err != nil || e != nil || int(n) != len(data) {
		return nil, errors.New("the data is not as many bytes in hex digits as it says")
	}
	if len(data) < 4 {
		return nil, errTooLittle
	}
	first := strconv.Itoa(int(data[0])<<8 | int(data[1]))
	second, third := strconv.Itoa(int(data[2])), strconv.Itoa(int(data[3]))
	rest := hex.EncodeToString(data[4:])
	if strings.HasSuffix(dataForm(typ), "b") {
		rest = base64.StdEncoding.EncodeToString(data[4:])
	}
	return []string{first, second, third, rest}, nil
}

var errTooLittle = errors.New("the data ends too early")

// folded is strings.ToLower for ASCII alone, as names are compared (RFC 4343).
func folded(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

func readField(kind rune, word string) (string, error) {
	switch kind {
	case 'a', 'A':
		a, err := netip.ParseAddr(word)
		if err != nil || a.Zone() != "" || a.Is4() != (kind == 'a') {
			return "", fmt.Errorf("%.40q is no address of its kind", word)
		}
		return a.String(), nil
	case 'h':
		name, err := canonical(word)
		if err != nil || word == "" {
			return "", fmt.Errorf("%.40q is not a domain name", word)
		}
		return name, nil
	case 'g':
		if alg, ok := dns.StringToAlgorithm[strings.ToUpper(word)]; ok {
			return strconv.Itoa(int(alg)), nil
		}
		kind = '1'
	case 'w':
		return folded(unescape(word)), nil
	}
	n, err := strconv.ParseUint(word, 10, int(kind-'0')*8)
	if err != nil {
		return "", fmt.Errorf("%.40q is not a number of %c bytes", word, kind)
	}
	return strconv.FormatUint(n, 10), nil
}

// readRest reads what goes to the end of the record, be it in pieces.
func readRest(kind rune, words []string) ([]string, error) {
	var out []string
	switch {
	case kind == 'r':
		for _, w := range words {
			out = append(out, folded(unescape(w)))
		}
		return out, nil
	case len(words) == 0:
		return nil, errTooLittle
	case kind == 's':
		for _, w := range words {
			out = append(out, characterStrings(folded(unescape(w)))...)
		}
		return out, nil
	}
	rest := strings.Join(words, "")
	if kind == 'x' {
		if _, err := hex.DecodeString(rest); err != nil {
			return nil, fmt.Errorf("%.40q is not in hex digits", rest)
		}
		return []string{folded(rest)}, nil
	}
	if _, err := base64.StdEncoding.DecodeString(rest); err != nil {
		return nil, fmt.Errorf("%.40q is not in base64", rest)
	}
	return []string{rest}, nil
}

// characterStrings splits what is longer than one <character-string> can be (RFC 1035,
// section 3.3).
func characterStrings(s string) []string {
	var strs []string
	for piece := range slices.Chunk([]byte(s), 255) {
		strs = append(strs, string(piece))
	}
	if strs == nil {
		return []string{""}
	}
	return strs
}

// unescape returns what a word of a zone file stands for: \" is ", \065 is A.
func unescape(word string) string {
	if !strings.Contains(word, `\`) {
		return word
	}
	var b strings.Builder
	for ; word != ""; word = word[1:] {
		if word[0] == '\\' && len(word) > 1 {
			if n, err := strconv.ParseUint(word[1:min(4, len(word))], 10, 8); err == nil && len(word) > 3 {
				b.WriteByte(byte(n))
				word = word[3:]
				continue
			}
			word = word[1:]
		}
		b.WriteByte(word[0])
	}
	return b.String()
}

package dnsprobe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// A zoneFile reads entries of a zone file (RFC 1035, section 5.1) as far as records
// that somebody looks for need it. The library has a whole parser, which takes as much
// of the binary as all it does with messages.
type zoneFile struct {
	text   string // what is left
	line   int    // of text's start, from 1
	at     int    // line on which the entry read last starts
	same   bool   // that entry starts with a blank: its owner is the one before
	origin string
	owner  string // of the entry before; empty if there is none
}

// A zoneRecord is an entry, its data not looked into.
type zoneRecord struct {
	owner string // canonical
	class uint16
	typ   uint16
	data  []string // words without quotes, escapes as they are
}

func newZoneFile(text string) *zoneFile {
	return &zoneFile{text: text, line: 1, origin: "."}
}

// next returns the next record, nil at the end.
func (z *zoneFile) next() (*zoneRecord, error) {
	for {
		words, err := z.words()
		var rr *zoneRecord
		switch {
		case err != nil:
		case len(words) == 0:
			return nil, nil
		case strings.HasPrefix(words[0], "$") && !z.same:
			err = z.directive(words)
		default:
			rr, err = z.record(words)
		}
		if err != nil {
			return nil, fmt.Errorf("%w at line: %d", err, z.at)
		}
		if rr != nil {
			return rr, nil
		}
	}
}

func (z *zoneFile) directive(words []string) error {
	switch name := strings.ToUpper(words[0]); name {
	case "$TTL":
		if len(words) != 2 || !isTTL(words[1]) {
			return errors.New("$TTL takes a time to live")
		}
	case "$ORIGIN":
		if len(words) != 2 {
			return errors.New("$ORIGIN takes a name")
		}
		origin, err := z.absolute(words[1])
		if err != nil {
			return err
		}
		z.origin = origin
	case "$GENERATE": // it could go on for ever
		return errors.New("$GENERATE is not read")
	default:
		return fmt.Errorf("%.20s directive not allowed", name)
	}
	return nil
}

// record reads [owner] [ttl] [class] type data, where ttl and class may swap.
func (z *zoneFile) record(words []string) (*zoneRecord, error) {
	if !z.same {
		var err error
		if z.owner, err = z.absolute(words[0]); err != nil {
			return nil, err
		}
		words = words[1:]
	} else if z.owner == "" {
		return nil, errors.New("a record without a name")
	}
	rr := &zoneRecord{owner: z.owner, class: dns.ClassINET}
	ttl, class := false, false
	for ; len(words) > 0; words = words[1:] {
		up := strings.ToUpper(words[0])
		c, ok := dns.StringToClass[up]
		if !ok {
			c, ok = numbered(up, "CLASS")
		}
		switch {
		case ok && !class:
			rr.class, class = c, true
		case isTTL(words[0]) && !ttl:
			ttl = true
		default:
			if rr.typ, ok = parseType(words[0]); !ok {
				return nil, fmt.Errorf("%.40q is not a record type", words[0])
			}
			rr.data = words[1:]
			return rr, nil
		}
	}
	return nil, errors.New("a record without a type")
}

// absolute returns the canonical form of a name in the file.
func (z *zoneFile) absolute(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("a name is empty")
	case name == "@":
		return z.origin, nil
	case dns.IsFqdn(name):
	case z.origin == ".":
		name += "."
	default:
		name += "." + z.origin
	}
	full, err := canonical(name)
	if err != nil {
		return "", fmt.Errorf("%.80q: %w", name, err)
	}
	return full, nil
}

// isTTL reports whether word is a time to live: 3600, or 1h30m as some write it.
func isTTL(word string) bool {
	return word != "" && word[0] >= '0' && word[0] <= '9' && strings.Trim(strings.ToLower(word), "0123456789smhdw") == ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// words returns the words of the next entry: those of a line, or of as many as
// parentheses hold together. There are none at the end.
func (z *zoneFile) words() ([]string, error) {
	var words []string
	depth := 0
	for z.start(); z.text != ""; {
		switch c := z.text[0]; {
		case c == '\n':
			z.text, z.line = z.text[1:], z.line+1
			if depth > 0 {
				continue
			}
			if len(words) > 0 {
				return words, nil
			}
			z.start()
		case c == ';':
			if end := strings.IndexByte(z.text, '\n'); end >= 0 {
				z.text = z.text[end:]
			} else {
				z.text = ""
			}
		case c == '(':
			z.text, depth = z.text[1:], depth+1
		case c == ')':
			if z.text, depth = z.text[1:], depth-1; depth < 0 {
				return nil, errors.New("a closing parenthesis too many")
			}
		case isBlank(c):
			z.text = z.text[1:]
		default:
			word, err := z.word()
			if err != nil {
				return nil, err
			}
			words = append(words, word)
		}
	}
	if depth > 0 {
		return nil, errors.New("no closing parenthesis")
	}
	return words, nil
}

// start notes that an entry starts here.
func (z *zoneFile) start() {
	z.at, z.same = z.line, z.text != "" && isBlank(z.text[0])
}

// word returns the word that text starts with. One in quotes ends with them, others
// may have quotes within (alpn="h2").
func (z *zoneFile) word() (string, error) {
	var b strings.Builder
	quoted, n := false, 0
	for ; n < len(z.text); n++ {
		c := z.text[n]
		switch {
		case c == '"' && quoted && z.text[0] == '"':
			z.text = z.text[n+1:]
			return b.String(), nil
		case c == '"':
			quoted = !quoted
			continue
		case c == '\n' && quoted:
			return "", errors.New("no closing quote")
		case c == '\\' && n+1 < len(z.text) && z.text[n+1] != '\n':
			b.WriteByte(c)
			n++
			c = z.text[n]
		case !quoted && (c == '\n' || isBlank(c) || strings.IndexByte("();", c) >= 0):
			z.text = z.text[n:]
			return b.String(), nil
		}
		b.WriteByte(c)
	}
	if quoted {
		return "", errors.New("no closing quote")
	}
	z.text = ""
	return b.String(), nil
}

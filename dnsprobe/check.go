package dnsprobe

import (
	"encoding/binary"
	"errors"
)

// A reply is what a message says at a glance. It is read in place, without an
// allocation.
type reply struct {
	id        uint16
	flags     uint16
	rcode     int    // with the upper bits that the OPT record has
	question  []byte // the first one as it stands in the message; nil if there is none
	questions int
	cookie    []byte // of the OPT record; nil without one
}

func (r *reply) response() bool  { return r.flags&bitQR != 0 }
func (r *reply) truncated() bool { return r.flags&bitTC != 0 }

var errShort = errors.New("it ends early")

// parseReply reads msg, which may be anything, and checks that all its records lie
// within it.
func parseReply(msg []byte) (r reply, err error) {
	if len(msg) < headerLen {
		return r, errShort
	}
	count := func(at int) int { return int(binary.BigEndian.Uint16(msg[at:])) }
	r.id, r.flags = uint16(count(0)), uint16(count(2))
	r.rcode = int(r.flags & 15)
	r.questions = count(4)
	at := headerLen
	for i := range r.questions {
		start := at
		if at = skipName(msg, at); at < 0 || at+4 > len(msg) {
			return r, errShort
		}
		at += 4
		if i == 0 {
			r.question = msg[start:at]
		}
	}
	records, additional := count(6)+count(8), count(10)
	for i := range records + additional {
		if at = r.skipRecord(msg, at, i >= records); at < 0 {
			// What is cut off is announced all the same (RFC 2181, section 9).
			if r.truncated() {
				return r, nil
			}
			return r, errShort
		}
	}
	return r, nil
}

// skipRecord returns where the record at at ends, -1 if it does not. It reads what
// OPT, an additional record, says.
func (r *reply) skipRecord(msg []byte, at int, additional bool) int {
	if at = skipName(msg, at); at < 0 || at+10 > len(msg) {
		return -1
	}
	typ := binary.BigEndian.Uint16(msg[at:])
	end := at + 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
	if end > len(msg) {
		return -1
	}
	if additional && typ == 41 {
		r.rcode |= int(msg[at+4]) << 4
		r.readOptions(msg[at+10 : end])
	}
	return end
}

func (r *reply) readOptions(b []byte) {
	for len(b) >= 4 {
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b)-4 {
			return
		}
		if code == optCookie && n <= cookieMax {
			r.cookie = b[4 : 4+n]
		}
		b = b[4+n:]
	}
}

// skipName returns where the name at at ends, -1 if it does not. A pointer (RFC
// 1035, section 4.1.4) ends it and is not followed.
func skipName(msg []byte, at int) int {
	for at < len(msg) {
		switch n := int(msg[at]); {
		case n == 0:
			return at + 1
		case n >= 0xc0:
			if at+2 > len(msg) {
				return -1
			}
			return at + 2
		case n > 63:
			return -1
		default:
			at += 1 + n
		}
	}
	return -1
}

// sameQuestion reports whether got, from a message, asks what want asks. Names are
// compared without regard to case (RFC 4343).
func sameQuestion(got, want []byte) bool {
	if len(got) != len(want) {
		return false
	}
	name := len(want) - 4 // then type and class, in which case is none
	for i, c := range want {
		d := got[i]
		if c != d && (i >= name || lower(c) != lower(d)) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// answers reports why r, which came from where it should and with the right id, is
// no answer to f with that client cookie; empty if it is one. Servers that do not
// understand a query may leave the question out.
func (r *reply) answers(f *form, cookie []byte) (why, what string) {
	switch {
	case !r.response():
		return "not a response", ""
	case r.questions == 0 && r.rcode != 0:
	case r.questions != 1:
		return "wrong question", "none, or more than one"
	case !sameQuestion(r.question, f.question):
		return "wrong question", questionWords(r.question)
	}
	if f.cookie && len(r.cookie) >= cookieLen && string(r.cookie[:cookieLen]) != string(cookie[:cookieLen]) {
		return "wrong cookie", ""
	}
	return "", ""
}

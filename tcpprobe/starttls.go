package tcpprobe

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"strings"

	"netprobe/probe"
)

// StartTLS is a protocol that begins in plain text and turns to TLS on demand;
// empty for none.
type StartTLS string

const (
	SMTP     StartTLS = "smtp"     // RFC 3207
	IMAP     StartTLS = "imap"     // RFC 9051, section 6.2.1
	POP3     StartTLS = "pop3"     // RFC 2595, section 4
	Postgres StartTLS = "postgres" // PostgreSQL frontend/backend protocol, SSL session encryption
	MySQL    StartTLS = "mysql"    // MySQL client/server protocol, connection phase
)

// StartTLSProtocols returns all of them.
func StartTLSProtocols() []StartTLS { return []StartTLS{SMTP, IMAP, POP3, Postgres, MySQL} }

const (
	maxLine  = 4096 // bytes of a line; the RFCs want less
	maxLines = 128  // lines of one answer
)

// startTLS has the server turn to TLS.
func (w *ascent) startTLS() *fault {
	t := &talk{w: w, in: bufio.NewReaderSize(w.conn, maxLine)}
	var do func() *fault
	switch w.StartTLS {
	case SMTP:
		do = t.smtp
	case IMAP:
		do = t.imap
	case POP3:
		do = t.pop3
	case Postgres:
		do = t.postgres
	case MySQL:
		do = t.mysql
	default:
		return badf("unknown protocol %s", w.StartTLS)
	}
	return w.phase("starttls", func() *fault {
		if f := do(); f != nil {
			return f
		}
		if t.in.Buffered() > 0 {
			// Whoever is between could have said that; who takes it for
			// protected is open to injection.
			return badf("the server went on in plain text after it agreed to TLS")
		}
		return nil
	})
}

// talk is a conversation in plain text.
type talk struct {
	w  *ascent
	in *bufio.Reader
}

// say sends text.
func (t *talk) say(text string) *fault {
	if _, err := io.WriteString(t.w.conn, text); err != nil {
		return t.w.broken(err, probe.BadReply)
	}
	return nil
}

// line reads a line without its end.
func (t *talk) line() (string, *fault) {
	line, err := t.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", badf("a line longer than %s", byteCount(maxLine))
	case err != nil:
		return "", t.w.broken(err, probe.BadReply)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// reply is an answer of SMTP (RFC 5321, section 4.2).
type reply struct {
	code  int
	lines []string // their text
}

// text is the first line as it came.
func (r *reply) text() string { return excerpt([]byte(r.lines[0])) }

// reply reads an answer of one line or several.
func (t *talk) reply() (r reply, f *fault) {
	for range maxLines {
		line, f := t.line()
		if f != nil {
			return r, f
		}
		code, more, ok := parseReplyLine(line)
		if !ok || len(r.lines) > 0 && code != r.code {
			return r, badf("answered in something that is not SMTP: %s", excerpt([]byte(line)))
		}
		r.code = code
		r.lines = append(r.lines, line)
		if !more {
			return r, nil
		}
	}
	return r, badf("an answer of more than %d lines", maxLines)
}

// parseReplyLine reads the three digits that start a line of an answer, and
// whether more lines follow.
func parseReplyLine(line string) (code int, more, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, false
		}
		code = 10*code + int(line[i]-'0')
	}
	if len(line) == 3 {
		return code, false, true
	}
	return code, line[3] == '-', line[3] == '-' || line[3] == ' '
}

// offers reports whether an answer to EHLO names the extension (RFC 5321,
// section 4.1.1.1).
func (r *reply) offers(extension string) bool {
	for _, line := range r.lines[1:] {
		keyword, _, _ := strings.Cut(line[min(4, len(line)):], " ")
		if strings.EqualFold(keyword, extension) {
			return true
		}
	}
	return false
}

func (t *talk) smtp() *fault {
	greeting, f := t.reply()
	if f != nil {
		return f
	}
	t.w.learn("starttls_server", greeting.lines[0])
	if greeting.code != 220 {
		return badf("the server turns us away: %s", greeting.text())
	}
	if f := t.say("EHLO " + t.literal() + "\r\n"); f != nil {
		return f
	}
	extensions, f := t.reply()
	switch {
	case f != nil:
		return f
	case extensions.code != 250:
		return badf("EHLO refused: %s", extensions.text())
	case !extensions.offers("STARTTLS"):
		return badf("the server does not offer STARTTLS")
	}
	if f := t.say("STARTTLS\r\n"); f != nil {
		return f
	}
	ready, f := t.reply()
	if f == nil && ready.code != 220 {
		return badf("STARTTLS refused: %s", ready.text())
	}
	return f
}

// literal is who we are where a host has no name to give (RFC 5321, section 4.1.3).
func (t *talk) literal() string {
	local, err := netip.ParseAddrPort(t.w.wire.LocalAddr().String())
	if err != nil {
		return "localhost"
	}
	a := local.Addr().Unmap().WithZone("")
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.String() + "]"
}

func (t *talk) imap() *fault {
	greeting, f := t.line()
	if f != nil {
		return f
	}
	status, ok := untagged(greeting)
	switch {
	case !ok:
		return badf("answered in something that is not IMAP: %s", excerpt([]byte(greeting)))
	case status == "BYE":
		return badf("the server turns us away: %s", excerpt([]byte(greeting)))
	case status == "PREAUTH":
		return badf("the server takes us for authenticated, and then there is no STARTTLS")
	}
	t.w.learn("starttls_server", greeting)
	if f := t.say("a1 STARTTLS\r\n"); f != nil {
		return f
	}
	for range maxLines {
		line, f := t.line()
		if f != nil {
			return f
		}
		switch result, ok := strings.CutPrefix(line, "a1 "); {
		case ok && keyword(result) == "OK":
			return nil
		case ok:
			return badf("STARTTLS refused: %s", excerpt([]byte(result)))
		case !strings.HasPrefix(line, "* "):
			return badf("answered in something that is not IMAP: %s", excerpt([]byte(line)))
		}
	}
	return badf("an answer of more than %d lines", maxLines)
}

// untagged returns the status of an IMAP greeting (RFC 9051, section 7.1).
func untagged(line string) (status string, ok bool) {
	rest, ok := strings.CutPrefix(line, "* ")
	status = keyword(rest)
	return status, ok && (status == "OK" || status == "PREAUTH" || status == "BYE")
}

// keyword is the first word of a line, in upper case.
func keyword(line string) string {
	word, _, _ := strings.Cut(line, " ")
	return strings.ToUpper(word)
}

func (t *talk) pop3() *fault {
	greeting, f := t.line()
	if f != nil {
		return f
	}
	switch keyword(greeting) {
	case "+OK":
		t.w.learn("starttls_server", greeting)
	case "-ERR":
		return badf("the server turns us away: %s", excerpt([]byte(greeting)))
	default:
		return badf("answered in something that is not POP3: %s", excerpt([]byte(greeting)))
	}
	if f := t.say("STLS\r\n"); f != nil {
		return f
	}
	line, f := t.line()
	if f == nil && keyword(line) != "+OK" {
		return badf("STLS refused: %s", excerpt([]byte(line)))
	}
	return f
}

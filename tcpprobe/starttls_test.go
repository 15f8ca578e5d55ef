package tcpprobe

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"netprobe/probe"
)

// upgrade turns the server's end to TLS, with a good certificate.
func upgrade(c net.Conn) {
	_, cert := root()
	if s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}); s.Handshake() == nil {
		hold(s)
	}
}

// postgres answers an SSLRequest.
func postgres(reply string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		request := make([]byte, 8)
		if _, err := io.ReadFull(c, request); err != nil || !bytes.Equal(request, []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}) {
			return
		}
		_, _ = io.WriteString(c, reply)
		then(c)
	}
}

// mysqlGreeting is a handshake, version 10, of a server with capabilities.
func mysqlGreeting(version string, capabilities uint32) string {
	b := append([]byte{10}, version...)
	b = append(b, 0)
	b = append(b, 1, 0, 0, 0)        // thread
	b = append(b, "saltsalt\x00"...) // and filler
	b = append(b, byte(capabilities), byte(capabilities>>8), 45, 2, 0, byte(capabilities>>16), byte(capabilities>>24))
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "saltsaltsalt\x00caching_sha2_password\x00"...)
	return packetOf(b, 0)
}

func packetOf(b []byte, seq byte) string {
	return string([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), seq}) + string(b)
}

// mysql greets, and turns to TLS if that is asked for as it must be.
func mysql(greeting string) func(net.Conn) {
	return say(greeting, func(c net.Conn) {
		request := make([]byte, 36)
		if _, err := io.ReadFull(c, request); err != nil {
			return
		}
		flags := binary.LittleEndian.Uint32(request[4:])
		if request[0] != 32 || request[3] != 1 || flags&mysqlSSL == 0 || flags&mysqlProtocol41 == 0 {
			return
		}
		upgrade(c)
	})
}

const mysqlAll = mysqlProtocol41 | mysqlSSL | mysqlSecureConn | mysqlPluginAuth

func TestStartTLS(t *testing.T) {
	ca, _ := root()
	for _, tc := range []struct {
		name   string
		how    StartTLS
		handle func(net.Conn)
		server string
		why    string // empty if it works
	}{
		{"smtp", SMTP, answer("220-mail.example.com ESMTP\r\n220 welcome\r\n", map[string]string{
			"EHLO": "250-mail.example.com\r\n250-SIZE 1000\r\n250-starttls\r\n250 HELP\r\n", "STARTTLS": "220 go\r\n<then>"}, upgrade), "220-mail.example.com ESMTP", ""},
		{"smtp without", SMTP, answer("220 mail.example.com\r\n", map[string]string{"EHLO": "250-mail\r\n250 HELP\r\n"}, hold), "220 mail.example.com", "the server does not offer STARTTLS"},
		{"smtp refuses", SMTP, answer("220 mail.example.com\r\n", map[string]string{"EHLO": "250-mail\r\n250 STARTTLS\r\n", "STARTTLS": "454 4.7.0 TLS not available\r\n"}, hold), "",
			"STARTTLS refused: 454 4.7.0 TLS not available"},
		{"smtp busy", SMTP, say("421 too many connections\r\n", hold), "", "the server turns us away: 421 too many connections"},
		{"smtp no ehlo", SMTP, answer("220 mail\r\n", map[string]string{"EHLO": "502 what?\r\n"}, hold), "", "EHLO refused: 502 what?"},
		{"smtp other", SMTP, say("* OK IMAP4rev1\r\n", hold), "", "answered in something that is not SMTP: * OK IMAP4rev1"},
		{"smtp mixed", SMTP, say("220-one\r\n250 two\r\n", hold), "", "answered in something that is not SMTP: 250 two"},
		{"smtp endless", SMTP, say(strings.Repeat("220-more\r\n", 200), hold), "", "an answer of more than 128 lines"},
		{"smtp endless line", SMTP, say("220 "+strings.Repeat("x", 2*maxLine), hold), "", "a line longer than 4096 bytes"},
		{"smtp injection", SMTP, answer("220 mail\r\n", map[string]string{"EHLO": "250-mail\r\n250 STARTTLS\r\n", "STARTTLS": "220 go\r\n250 injected\r\n<then>"}, hold), "",
			"the server went on in plain text after it agreed to TLS"},
		{"imap", IMAP, answer("* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n", map[string]string{"a1 STARTTLS": "* CAPABILITY IMAP4rev1\r\na1 OK begin\r\n<then>"}, upgrade),
			"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready", ""},
		{"imap refuses", IMAP, answer("* OK ready\r\n", map[string]string{"a1 STARTTLS": "a1 BAD unknown command\r\n"}, hold), "* OK ready", "STARTTLS refused: BAD unknown command"},
		{"imap bye", IMAP, say("* BYE overloaded\r\n", hold), "", "the server turns us away: * BYE overloaded"},
		{"imap preauth", IMAP, say("* PREAUTH hello\r\n", hold), "", "takes us for authenticated"},
		{"imap other", IMAP, say("220 mail\r\n", hold), "", "answered in something that is not IMAP: 220 mail"},
		{"imap garbage", IMAP, answer("* OK ready\r\n", map[string]string{"a1 STARTTLS": "a2 OK\r\n"}, hold), "", "answered in something that is not IMAP: a2 OK"},
		{"imap endless", IMAP, answer("* OK ready\r\n", map[string]string{"a1 STARTTLS": strings.Repeat("* 1 EXISTS\r\n", 200)}, hold), "", "an answer of more than 128 lines"},
		{"pop3", POP3, answer("+OK POP3 ready\r\n", map[string]string{"STLS": "+OK begin\r\n<then>"}, upgrade), "+OK POP3 ready", ""},
		{"pop3 refuses", POP3, answer("+OK ready\r\n", map[string]string{"STLS": "-ERR no\r\n"}, hold), "+OK ready", "STLS refused: -ERR no"},
		{"pop3 busy", POP3, say("-ERR later\r\n", hold), "", "the server turns us away: -ERR later"},
		{"pop3 other", POP3, say("220 mail\r\n", hold), "", "answered in something that is not POP3: 220 mail"},
		{"postgres", Postgres, postgres("S", upgrade), "", ""},
		{"postgres without", Postgres, postgres("N", hold), "", "the server has no TLS (ssl is off)"},
		{"postgres error", Postgres, postgres("E\x00\x00\x00\x27SFATAL\x00C53300\x00Mtoo many clients\x00\x00\x00\x00\x00", hold), "", "the server turns us away: too many clients"},
		{"postgres text", Postgres, postgres("EFATAL:  could not fork\x00", hold), "", "the server turns us away: FATAL:  could not fork"},
		{"postgres other", Postgres, say("220 mail\r\n", hold), "", "answered in something that is not PostgreSQL: 220 mail"},
		{"postgres injection", Postgres, postgres("Sx", hold), "", "the server went on in plain text after it agreed to TLS"},
		{"mysql", MySQL, mysql(mysqlGreeting("8.4.3", mysqlAll)), "8.4.3", ""},
		{"mysql without", MySQL, mysql(mysqlGreeting("5.5.5-10.11.6-MariaDB", mysqlProtocol41)), "5.5.5-10.11.6-MariaDB", "the server has no TLS"},
		{"mysql blocked", MySQL, say(packetOf([]byte("\xff\x69\x04Host '192.0.2.2' is blocked"), 0), hold), "", "the server turns us away: error 1129: Host '192.0.2.2' is blocked"},
		{"mysql busy", MySQL, say(packetOf([]byte("\xff\x10\x04#08004Too many connections"), 0), hold), "", "error 1040: Too many connections"},
		{"mysql other", MySQL, say("SSH-2.0-x\r\n", hold), "", "answered in something that is not MySQL: SSH-2.0-x"},
		{"mysql short", MySQL, say(packetOf([]byte("\x0a8.4.3\x00"), 0), hold), "", "answered in something that is not MySQL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := climb(t, serve(t, tc.handle), Climb{StartTLS: tc.how, Roots: ca.pool()}, patience)
			var got map[string]any
			if tc.why == "" {
				got = passed(t, a)
				if got["tls_verdict"] != "valid" || phases(&a) != "connect starttls tls" {
					t.Errorf("%v, phases %s", got, phases(&a))
				}
			} else {
				got = broke(t, a, "starttls", probe.BadReply, tc.why)
			}
			if s, _ := got["starttls_server"].(string); tc.server != "" && s != tc.server {
				t.Errorf("server %q", s)
			}
		})
	}
}

// Layers go on above TLS that was started on demand.
func TestStartTLSBanner(t *testing.T) {
	ca, cert := root()
	to := serve(t, answer("+OK\r\n", map[string]string{"STLS": "+OK\r\n<then>"}, func(c net.Conn) {
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		if s.Handshake() == nil {
			_, _ = bufio.NewReader(s).ReadString('\n')
			_, _ = io.WriteString(s, "+OK bye\r\n")
			hold(s)
		}
	}))
	a := climb(t, to, Climb{StartTLS: POP3, Roots: ca.pool(), Send: "QUIT\r\n", Expect: regexpOf(`^\+OK`)}, patience)
	passed(t, a)
	if phases(&a) != "connect starttls tls expect" {
		t.Errorf("phases %s", phases(&a))
	}
}

func FuzzMySQLHandshake(f *testing.F) {
	f.Add([]byte(mysqlGreeting("8.4.3", mysqlAll))[4:])
	f.Add([]byte("\xff\x69\x04#08004Host is blocked"))
	f.Add([]byte("\x0a8.4.3\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseMySQLHandshake(b)
		if err != nil {
			checkFault(t, badf("%v", err))
			return
		}
		if len(h.version) > mysqlVersionBound || strings.Contains(h.version, "\x00") {
			t.Errorf("version %q", h.version)
		}
		if r := sslRequest(h, 1); len(r) != 36 || binary.LittleEndian.Uint32(r[4:])&mysqlSSL == 0 {
			t.Errorf("% x", r)
		}
	})
}

// FuzzLineReply has servers of all protocols say anything.
func FuzzLineReply(f *testing.F) {
	for _, s := range []string{
		"220-a\r\n220 b\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n", "* OK\r\n* X\r\na1 OK\r\n", "+OK\r\n+OK\r\n", "S", "N",
		"E\x00\x00\x00\x27SFATAL\x00Mtoo many\x00\x00", "E\xff\xff\xff\xff", mysqlGreeting("8.4.3", mysqlAll), "220\n250\n220\n", "",
	} {
		f.Add([]byte(s), byte(0))
	}
	f.Fuzz(func(t *testing.T, said []byte, which byte) {
		all := StartTLSProtocols()
		w, l := rehearse(t, said, Climb{StartTLS: all[int(which)%len(all)]})
		checkFault(t, w.startTLS())
		if len(l.Phases) != 1 {
			t.Errorf("phases %v", l.Phases)
		}
		for _, fact := range l.Facts {
			if s, ok := fact.Value.(string); ok && len(s) > maxFact {
				t.Errorf("%s has %d bytes", fact.Name, len(s))
			}
		}
	})
}

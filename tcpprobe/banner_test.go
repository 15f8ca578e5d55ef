package tcpprobe

import (
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"netprobe/probe"
)

func regexpOf(s string) *regexp.Regexp { return regexp.MustCompile(s) }

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

func TestBanner(t *testing.T) {
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		want   map[string]any
	}{
		{"a line", say("SSH-2.0-OpenSSH_9.2\r\n", hold), map[string]any{"banner": "SSH-2.0-OpenSSH_9.2\r\n", "banner_then": nil, "banner_truncated": nil}},
		{"no line", say("hi", hold), map[string]any{"banner": "hi"}},
		{"in pieces", func(c net.Conn) {
			for _, s := range []string{"220-one\r\n", "220 two\r\n"} {
				_, _ = io.WriteString(c, s)
				time.Sleep(quiet / 20)
			}
			hold(c)
		}, map[string]any{"banner": "220-one\r\n220 two\r\n"}},
		{"huge", say(strings.Repeat("x", 1<<20), hold), map[string]any{"banner": strings.Repeat("x", maxBanner), "banner_truncated": true}},
		{"controls", say("\x1b[31m\x00\xff\n", hold), map[string]any{"banner": "\x1b[31m\x00\xff\n"}},
		{"then closes", say("go away\r\n", func(c net.Conn) { c.Close() }), map[string]any{"banner": "go away\r\n", "banner_then": "closed"}},
		{"then resets", say("go away\r\n", func(c net.Conn) { time.Sleep(quiet / 20); reset(c) }), map[string]any{"banner": "go away\r\n", "banner_then": "reset"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := climb(t, serve(t, tc.handle), Climb{Banner: true}, patience)
			got := passed(t, a)
			for k, want := range tc.want {
				if got[k] != want {
					t.Errorf("%s: %q, want %q", k, got[k], want)
				}
			}
			if phases(&a) != "connect banner" {
				t.Errorf("phases %s", phases(&a))
			}
		})
	}
}

// say says text, then goes on.
func say(text string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		then(c)
	}
}

// answer says greeting, then line by line what answers has for each.
func answer(greeting string, answers map[string]string, then func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		var line []byte
		one := make([]byte, 1)
		for {
			if _, err := c.Read(one); err != nil {
				return
			}
			if line = append(line, one[0]); one[0] != '\n' {
				continue
			}
			word, _, _ := strings.Cut(strings.TrimSpace(string(line)), " [")
			line = line[:0]
			text, last := strings.CutSuffix(answers[word], "<then>")
			_, _ = io.WriteString(c, text)
			if last {
				then(c)
				return
			}
		}
	}
}

func TestExpect(t *testing.T) {
	redis := answer("", map[string]string{"PING": "+PONG\r\n"}, hold)
	ftp := answer("220 ready\r\n", map[string]string{"NOOP": "200 fine\r\n"}, hold)
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		c      Climb
		match  string
		why    string
	}{
		{"answer", redis, Climb{Send: "PING\r\n", Expect: regexpOf(`^\+PONG`)}, "+PONG", ""},
		{"no match", redis, Climb{Send: "PING\r\n", Expect: regexpOf(`^-ERR`)}, "", `no match in "+PONG", and no more came within 300 ms`},
		{"what it says first", ftp, Climb{Expect: regexpOf(`^220`)}, "220", ""},
		{"after the banner", ftp, Climb{Banner: true, Send: "NOOP\r\n", Expect: regexpOf(`^200 .*e`)}, "200 fine", ""},
		{"in the banner", ftp, Climb{Banner: true, Expect: regexpOf(`ready`)}, "ready", ""},
		{"only the answer counts", ftp, Climb{Banner: true, Send: "NOOP\r\n", Expect: regexpOf(`220`)}, "", `no match in "200 fine", and no more came within 300 ms`},
		{"closes", say("bye\r\n", func(net.Conn) {}), Climb{Expect: regexpOf(`x`)}, "", `no match in "bye", and connection closed by the server after 5 bytes`},
		{"banner, then closed", say("bye\r\n", func(net.Conn) {}), Climb{Banner: true, Expect: regexpOf(`x`)}, "", `no match in "bye", and connection closed by the server`},
		{"too much", say(strings.Repeat("spam", maxSaid), hold), Climb{Expect: regexpOf(`x`)}, "", `no match in the first 65536 bytes: "spamspam`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			timeout := patience
			if strings.Contains(tc.why, "300 ms") {
				timeout = impatience
			} else if tc.why != "" {
				timeout = 3 * time.Second
			}
			a := climb(t, serve(t, tc.handle), tc.c, timeout)
			if tc.why != "" {
				broke(t, a, "expect", probe.BadReply, tc.why)
			} else if got := passed(t, a); got["expect_match"] != tc.match {
				t.Errorf("%v", got)
			}
		})
	}
}

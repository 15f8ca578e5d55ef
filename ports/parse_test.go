package ports

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		list string
		def  Proto
		want string // by List.String
	}{
		{"80", TCP, "80"},
		{"80", UDP, "u:80"},
		{"22,80,443", TCP, "22,80,443"},
		{"443,22,80", TCP, "443,22,80"}, // the order of the list is kept
		{"80,22,80", TCP, "80,22"},      // the first counts
		{"0080", TCP, "80"},
		{"65535", TCP, "65535"},

		{"8000-8100", TCP, "8000-8100"},
		{"80-80", TCP, "80"},
		{"8000-8003,8002-8005", TCP, "8000-8005"},
		{"-1024", TCP, "1-1024"},
		{"60000-", TCP, "60000-65535"},
		{"-", TCP, "1-65535"},
		{"-", UDP, "u:1-65535"},
		{"80,-", TCP, "80,1-79,81-65535"},

		{"https", TCP, "443"},
		{"SSH,Http", TCP, "22,80"},
		{"http-alt", TCP, "8080"},  // a hyphen does not make a range
		{"3com-tsmux", TCP, "106"}, // nor does a digit
		{"914c/g", TCP, "211"},     // nor a slash a transport
		{"dns", UDP, "u:53"},

		{"u:53", TCP, "u:53"},
		{"t:53", UDP, "53"},
		{"udp:53,tcp:53", TCP, "53,u:53"},
		{"53/udp", TCP, "u:53"},
		{"53/TCP", UDP, "53"},
		{"u:100-102", TCP, "u:100-102"},
		{"dns/udp", TCP, "u:53"},
		{"u:-", TCP, "u:1-65535"},
		{"u:top:2", TCP, "u:53,u:123"},
		{"@mail/tcp", UDP, mailPorts},
		{"u:53,80", TCP, "80,u:53"}, // a prefix is for one item

		// The same number of two transports is two ports.
		{"53,u:53", TCP, "53,u:53"},
		{"53,53/udp,53/tcp", TCP, "53,u:53"},
		{"53,t:53", UDP, "53,u:53"},

		{"@mail", TCP, mailPorts},
		{"@MAIL", TCP, mailPorts},
		{"25,@mail", TCP, mailPorts},
		{"top:3", TCP, "443,80,22"},
		{"top:3", UDP, "u:53,u:123,u:161"},
		{"TOP:1", TCP, "443"},

		{" 22 , 80 ", TCP, "22,80"},
		{"8000 - 8002", TCP, "8000-8002"},
		{"u: 53, 80 / udp, top: 1", TCP, "443,u:53,u:80"},
		{"\t22,\n80", TCP, "22,80"},
	} {
		all, err := Parse(tt.list, tt.def)
		if err != nil {
			t.Errorf("%q: %v", tt.list, err)
			continue
		}
		if got := ListOf(all).String(); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.list, got, tt.want)
		}
	}
}

const mailPorts = "25,587,993,143,110,465,995,4190,783,3310"

// The order of the result is that of the list, across transports too.
func TestParseKeepsOrder(t *testing.T) {
	got, err := Parse("u:53,80,u:80-81,53", TCP)
	want := []Port{{UDP, 53}, {TCP, 80}, {UDP, 80}, {UDP, 81}, {TCP, 53}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// What cannot be read is told in a line that names the part, with a way out.
func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ list, text, hint string }{
		{"", "no ports given", help},
		{" ", "no ports given", help},
		{"22,,80", "an item of the list of ports is empty", "one comma between two ports: 22,80"},
		{"22,", "an item of the list of ports is empty", "one comma between two ports: 22,80"},
		{"u:", "an item of the list of ports is empty", "one comma between two ports: 22,80"},

		{"0", "port 0 is reserved and cannot be probed", "ports go from 1 to 65535"},
		{"22,0", "port 0 is reserved and cannot be probed", "ports go from 1 to 65535"},
		{"0-65535", "port 0 is reserved and cannot be probed", "did you mean 1-65535?"},
		{"-0", "port 0 is reserved and cannot be probed", "ports go from 1 to 65535"},
		{"65536", "port 65536 is out of range", "ports go from 1 to 65535"},
		{"22-99999999999999999999", "port 99999999999999999999 is out of range", "ports go from 1 to 65535"},
		{"100-50", "the range 100-50 runs backwards", "did you mean 50-100?"},
		{"1-2-3", `"1-2-3" is no port and no range`, "a range has one hyphen: 8000-8100"},
		{"--", `"--" is no port and no range`, "a range has one hyphen: 8000-8100"},
		{"22 80", `"22 80" is no port and no range`, "commas separate ports: 22,80"},
		{"8000:8100", `unknown service "8000:8100"`, "did you mean 8000-8100?"},
		{"8000..8100", `unknown service "8000..8100"`, "did you mean 8000-8100?"},
		{"8000–8100", `unknown service "8000–8100"`, "did you mean 8000-8100?"},
		{"ssh http", `unknown service "ssh http"`, "commas separate ports: 22,80"},
		{"22;80", `unknown service "22;80"`, "commas separate ports: 22,80"},

		{"htps", `unknown service "htps"`, "did you mean https?"},
		{"postgers", `unknown service "postgers"`, "did you mean postgres?"},
		{"fingr", `unknown service "fingr"`, "did you mean finger?"},
		{"192.0.2.1", `unknown service "192.0.2.1"`, help},
		{"wireguard", `the service "wireguard" has no tcp port`, "by udp it is u:wireguard"},
		{"u:kafka", `the service "kafka" has no udp port`, "by tcp it is t:kafka"},
		{"web", `unknown service "web"`, "did you mean @web?"},
		{"all", `unknown service "all"`, "did you mean -, which is all ports?"},
		{"*", `unknown service "*"`, "did you mean -, which is all ports?"},

		{"@wbe", `unknown group "@wbe"`, "did you mean @web?"},
		{"@", `unknown group "@"`, "there are @web @db @k8s @mail @queue @monitoring @dns @auth @file @remote @windows @vpn @voip @network @proxy @iot"},
		{"@nothing-like-it", `unknown group "@nothing-like-it"`, "there are @web @db @k8s @mail @queue @monitoring @dns @auth @file @remote @windows @vpn @voip @network @proxy @iot"},
		{"u:@mail", "the group @mail has no udp port", "its tcp ports are t:@mail"},

		{"top:0", "top:0 is not possible: there are 1 to 1000 common tcp ports", "top:1000, or - for all 65535"},
		{"top:1001", "top:1001 is not possible: there are 1 to 1000 common tcp ports", "top:1000, or - for all 65535"},
		{"top:ten", `"top:ten" does not say how many`, "a number follows: top:100"},
		{"top:", `"top:" does not say how many`, "a number follows: top:100"},
		{"top:-5", `"top:-5" does not say how many`, "a number follows: top:100"},
		{"top:99999999999", `"top:99999999999" does not say how many`, "a number follows: top:100"},
		{"top", `unknown service "top"`, "did you mean top:100?"},
		{"top50", `unknown service "top50"`, "did you mean top:50?"},

		{"U:53,111,T:22", "the prefix U: is unknown", "u: in a small letter, for each item it holds for: u:53,u:161"},
		{"u:53/udp", `"u:53/udp" names its transport twice`, "either u:53 or 53/udp"},
		{"u:53/tcp", `"u:53/tcp" names its transport twice`, "either u:53 or 53/udp"},
		{"sctp:80", `unknown service "sctp:80"`, help},

		{"\x1b[2J\n", `unknown service "\x1b[2J"`, help},
		{strings.Repeat("x", 99), `unknown service "` + strings.Repeat("x", 40) + `..."`, help},
	} {
		all, err := Parse(tt.list, TCP)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%q: got %v, %v, want an *Error", tt.list, all, err)
			continue
		}
		if e.Text != tt.text || e.Hint != tt.hint || all != nil {
			t.Errorf("%q:\n got %s\n     %s\nwant %s\n     %s", tt.list, e.Text, e.Hint, tt.text, tt.hint)
		}
	}
}

// UDP has fewer common ports than TCP, and says how many.
func TestTopEndsWhereTheDataDoes(t *testing.T) {
	n := len(data().ranked[UDP])
	if n < 500 || n >= 1000 {
		t.Fatalf("%d common udp ports", n)
	}
	_, err := Parse("u:top:1000", TCP)
	e, ok := errors.AsType[*Error](err)
	if !ok || !strings.Contains(e.Text, "common udp ports") {
		t.Errorf("got %v", err)
	}
	if _, err := Parse(e.Hint[:strings.Index(e.Hint, ",")], UDP); err != nil {
		t.Errorf("the hint %q does not help: %v", e.Hint, err)
	}
}

func TestParseIsBounded(t *testing.T) {
	for name, list := range map[string]string{
		"long":  strings.Repeat("80,", 400_000) + "80",
		"large": strings.TrimSuffix(strings.Repeat("-,", 400_000), ","),
	} {
		if _, err := Parse(list, TCP); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	// Every port by its own number is a list like any other.
	all, err := Parse("-,u:-", TCP)
	if err != nil || len(all) != 2*65535 {
		t.Fatalf("%d ports, %v", len(all), err)
	}
	var each []string
	for _, p := range all {
		item := strconv.Itoa(int(p.Number))
		if p.Proto == UDP {
			item = "u:" + item
		}
		each = append(each, item)
	}
	if again, err := Parse(strings.Join(each, ","), TCP); err != nil || !slices.Equal(again, all) {
		t.Errorf("%d ports, %v", len(again), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"22,80,8000-8100,https,@web,top:100,-", "53,u:53", "u:1-1024,t:-,53/udp,@dns/udp,u:top:5", "-1024,60000-", " 22 , 80 ",
		"0", "65536", "100-50", "1-2-3", "--", "22,,80", "U:53", "u:53/tcp", "htps", "@wbe", "top:", "8000..8100", "–", "\x00\xff,/", "914c/g",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, list string, udp bool) {
		def := TCP
		if udp {
			def = UDP
		}
		all, err := Parse(list, def)
		if err != nil {
			checkError(t, err)
			return
		}
		if len(all) == 0 {
			t.Fatal("no ports and no error")
		}
		seen := new(set)
		for _, p := range all {
			if p.Number == 0 || p.Proto > UDP || !seen.add(p) {
				t.Fatalf("%v is no port, or there twice", p)
			}
		}
		l := ListOf(all)
		if again, err := Parse(l.String(), TCP); err != nil || ListOf(again).String() != l.String() {
			t.Fatalf("%s is read back as %v, %v", l, again, err)
		}
	})
}

// checkError holds errors to the form that people are shown.
func checkError(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T is no *Error", err)
	}
	for _, s := range []string{e.Text, e.Hint} {
		if s == "" || len(s) > 300 || strings.ContainsFunc(s, unicode.IsControl) || unicode.IsUpper(rune(s[0])) || strings.HasSuffix(s, ".") {
			t.Fatalf("%q is no line for people", s)
		}
	}
}

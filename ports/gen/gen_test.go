package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const data = "../data"

// What is generated is what the inputs say.
func TestUpToDate(t *testing.T) {
	made, err := build(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range made {
		got, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is not up to date: go generate ./ports", name)
		}
	}
}

// The curated list is large enough to be worth its name, and each port says where
// its default is documented.
func TestInfrastructure(t *testing.T) {
	in, err := readInputs(data)
	if err != nil {
		t.Fatal(err)
	}
	ports := map[int]bool{}
	for _, s := range in.services {
		ports[s.port] = true
		if s.source == registryURL || strings.HasPrefix(s.source, registryURL) && !strings.Contains(s.source, "?search=") {
			t.Errorf("%s: the source is the registry as a whole", s.name)
		}
	}
	if len(ports) < 240 {
		t.Errorf("%d ports", len(ports))
	}
}

// The rules of rank, and that the data has enough for them.
func TestRank(t *testing.T) {
	in, err := readInputs(data)
	if err != nil {
		t.Fatal(err)
	}
	for proto, least := range []int{tcp: most, udp: 900} {
		places := rank(in, proto)
		if len(places) < least || len(places) > most {
			t.Errorf("%s: %d ports", transports[proto], len(places))
		}
		class := 0
		for i, p := range places {
			c := classOf(in, proto, p)
			if c < class {
				t.Errorf("%s rank %d: port %d is of rule %d, after rule %d", transports[proto], i+1, p.port, c, class)
			}
			if c == class && c > 0 && p.port < places[i-1].port {
				t.Errorf("%s rank %d: port %d after %d", transports[proto], i+1, p.port, places[i-1].port)
			}
			class = c
			if p.service == "" || !strings.HasPrefix(p.source, "http") || p.provenance != "infrastructure" && p.provenance != "iana" {
				t.Errorf("%s rank %d: %+v", transports[proto], i+1, p)
			}
		}
	}
}

// classOf returns the rule by which a port is in the list: 0 curated, 1 a system port,
// 2 of an RFC, 3 of one transport alone, 9 none.
func classOf(in *inputs, proto int, p place) int {
	if p.provenance == "infrastructure" {
		return 0
	}
	switch {
	case p.port < 1024:
		return 1
	case strings.Contains(p.source, "/rfc"):
		return 2
	case p.port < 49152 && !in.assigned(1-proto, p.port):
		return 3
	}
	return 9
}

// The registry as IANA publishes it.
func TestImport(t *testing.T) {
	const registry = `Service Name,Port Number,Transport Protocol,Description,Assignee,Contact,Registration Date,Modification Date,Reference,Service Code,Unauthorized Use Reported,Assignment Notes
,0,tcp,Reserved,,,,,,,,
http,80,tcp,World Wide Web HTTP,,,,,[RFC9110],,,"Defined
TXT keys"
http,80,udp,World Wide Web HTTP,,,,,[RFC9110],,,
www,80,tcp,World Wide Web HTTP,,,,,,,,
http,80,sctp,HTTP,,,,,[RFC9260],,,
quic-only,81,udp,a service,,,,,[RFC9000][RFC9001],,,
,82,tcp,Unassigned,,,,,,,,
nameless,,tcp,a service without a port,,,,,,,,
x11,6000-6002,tcp,X Window System,,,,,,,,
x11,6000-6002,udp,X Window System,,,,,,,,
a,7000,tcp,first by tcp,,,,,,,,
b,7000,tcp,second by tcp,,,,,,,,
b,7000,udp,first by udp,,,,,,,,
a,7000,udp,second by udp,,,,,,,,
`
	const want = `port,transport,service,rfc
80,both,http,9110
80,tcp,www,
81,udp,quic-only,9000
6000,both,x11,
6001,both,x11,
6002,both,x11,
7000,tcp,a,
7000,tcp,b,
7000,udp,b,
7000,udp,a,
`
	file := filepath.Join(t.TempDir(), "registry.csv")
	if err := os.WriteFile(file, []byte(registry), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := importRegistry(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A mistake in the data is told with its file and line, before anything is made of it.
func TestMistakes(t *testing.T) {
	const good = "443,tcp,https,,web,1,https://www.rfc-editor.org/rfc/rfc9110\n"
	for _, tt := range []struct{ rows, want string }{
		{good, ""},
		{"0,tcp,https,,web,1,https://docs.example/\n", `line 2: "0" is no port`},
		{"443,sctp,https,,web,1,https://docs.example/\n", `line 2: transport "sctp"`},
		{"443,tcp,HTTPS,,web,1,https://docs.example/\n", `line 2: "HTTPS" is no service name`},
		{"443,tcp,https,,web,first,https://docs.example/\n", `line 2: rank "first"`},
		{"443,tcp,https,,web,1,RFC 9110\n", `line 2: source "RFC 9110" is no URL`},
		{"443,tcp,https,,wbe,1,https://docs.example/\n", `unknown group "wbe"`},
		{good + "8443,tcp,https,,web,2,https://docs.example/\n", "https is there twice"},
		{good + "80,tcp,http,,web,2,https://docs.example/\n", "not sorted"},
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{
			"groups.csv":         "name,about\nweb,HTTP\n",
			"iana.csv":           "port,transport,service,rfc\n1,both,tcpmux,\n",
			"infrastructure.csv": "port,transport,service,aliases,groups,rank,source\n" + tt.rows,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := write(dir, "")
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.rows, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.rows, err, tt.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "top.csv")); err == nil {
			t.Errorf("%s: something was made of it", tt.rows)
		}
	}
}

// The published list has a line for each place, numbered.
func TestPublished(t *testing.T) {
	got := published([2][]place{
		tcp: {{443, "https", "infrastructure", "https://docs.example/a"}, {1, "tcpmux", "iana", "https://docs.example/b"}},
		udp: {{53, "dns", "infrastructure", "https://docs.example/c"}},
	})
	const want = `rank,port,transport,service,provenance,source
1,443,tcp,https,infrastructure,https://docs.example/a
2,1,tcp,tcpmux,iana,https://docs.example/b
1,53,udp,dns,infrastructure,https://docs.example/c
`
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"a", "b"}, {"-x"}, {filepath.Join(t.TempDir(), "none")}} {
		var stderr bytes.Buffer
		if code := run(args, &stderr); code == 0 || stderr.Len() == 0 {
			t.Errorf("%v: exit %d, %q", args, code, stderr.String())
		}
	}
}

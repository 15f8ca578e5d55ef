package ports

import (
	"os"
	"slices"
	"strings"
	"testing"

	"netprobe/internal/packed"
)

// What people who look after infrastructure expect to read beside a port.
func TestName(t *testing.T) {
	for want, all := range map[string][]Port{
		"ssh": {{TCP, 22}}, "dns": {{TCP, 53}, {UDP, 53}}, "http": {{TCP, 80}}, "https": {{TCP, 443}}, "quic": {{UDP, 443}},
		"dns-over-tls": {{TCP, 853}}, "http-alt": {{TCP, 8080}}, "https-alt": {{TCP, 8443}},
		"mysql": {{TCP, 3306}}, "postgresql": {{TCP, 5432}}, "redis": {{TCP, 6379}}, "mongodb": {{TCP, 27017}}, "memcached": {{TCP, 11211}, {UDP, 11211}},
		"cassandra": {{TCP, 9042}}, "cockroachdb": {{TCP, 26257}}, "elasticsearch": {{TCP, 9200}}, "elasticsearch-transport": {{TCP, 9300}},
		"etcd": {{TCP, 2379}}, "etcd-peer": {{TCP, 2380}}, "kubelet": {{TCP, 10250}}, "docker-gossip": {{TCP, 7946}, {UDP, 7946}},
		"vxlan": {{UDP, 4789}}, "wireguard": {{UDP, 51820}}, "ike": {{UDP, 500}}, "ipsec-nat-t": {{UDP, 4500}},
		"prometheus": {{TCP, 9090}}, "alertmanager": {{TCP, 9093}}, "node-exporter": {{TCP, 9100}}, "grafana": {{TCP, 3000}}, "kibana": {{TCP, 5601}},
		"otlp": {{TCP, 4317}}, "otlp-http": {{TCP, 4318}}, "statsd": {{UDP, 8125}}, "jaeger": {{TCP, 16686}},
		"amqp": {{TCP, 5672}}, "rabbitmq-management": {{TCP, 15672}}, "zookeeper": {{TCP, 2181}}, "nats": {{TCP, 4222}},
		"consul": {{TCP, 8500}}, "vault": {{TCP, 8200}},
		"ntp": {{UDP, 123}}, "snmp": {{UDP, 161}}, "syslog": {{UDP, 514}}, "radius": {{UDP, 1812}}, "stun": {{TCP, 3478}, {UDP, 3478}},
		"sip": {{TCP, 5060}, {UDP, 5060}}, "tftp": {{UDP, 69}}, "dhcp-server": {{UDP, 67}}, "dhcp-client": {{UDP, 68}},
		"netbios-ns": {{UDP, 137}}, "mdns": {{UDP, 5353}}, "coap": {{UDP, 5683}},
		"smtp": {{TCP, 25}}, "submissions": {{TCP, 465}}, "submission": {{TCP, 587}}, "pop3": {{TCP, 110}}, "imap": {{TCP, 143}}, "imaps": {{TCP, 993}}, "pop3s": {{TCP, 995}},
		"ldap": {{TCP, 389}}, "ldaps": {{TCP, 636}}, "kerberos": {{TCP, 88}, {UDP, 88}}, "smb": {{TCP, 445}}, "nfs": {{TCP, 2049}}, "rdp": {{TCP, 3389}}, "vnc": {{TCP, 5900}},

		// The registry knows these by names that nobody expects.
		"kubernetes-api": {{TCP, 6443}}, "kafka": {{TCP, 9092}},

		// The registry alone knows these: its first name of a port.
		"tcpmux": {{TCP, 1}}, "finger": {{TCP, 79}}, "sun-sr-https": {{UDP, 6443}},

		"": {{TCP, 65535}, {TCP, 0}},
	} {
		for _, p := range all {
			if got := Name(p); got != want {
				t.Errorf("%v: %q, want %q", p, got, want)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		name string
		want Port // number 0: none
	}{
		{"https", Port{TCP, 443}},
		{"HTTPS", Port{TCP, 443}}, // RFC 6335, section 5.1
		{"www", Port{TCP, 80}},
		{"postgres", Port{TCP, 5432}},
		{"domain", Port{UDP, 53}},
		{"kubernetes-api", Port{TCP, 6443}},
		{"sun-sr-https", Port{TCP, 6443}}, // stale, and still found
		{"wireguard", Port{UDP, 51820}},
		{"wireguard", Port{TCP, 0}},
		{"prometheus", Port{TCP, 9090}},
		{"cockpit", Port{TCP, 9090}},  // a port with two services
		{"http-alt", Port{TCP, 8080}}, // the registry has it at 591, 8008 and 8080
		{"whois++", Port{TCP, 63}},
		{"", Port{TCP, 0}},
		{"443", Port{TCP, 0}},
	} {
		n, ok := Lookup(tt.name, tt.want.Proto)
		if n != tt.want.Number || ok != (n != 0) {
			t.Errorf("%s %q: %d %v, want %d", tt.want.Proto, tt.name, n, ok, tt.want.Number)
		}
	}
}

// Whatever name is shown can be given back, and means a port of that name.
func TestNamesAreUnderstood(t *testing.T) {
	// Infrastructure calls another port so than the registry.
	taken := map[string]uint16{"sftp": 22, "scp": 22, "cifs": 445}
	for _, proto := range []Proto{TCP, UDP} {
		for n := range 1 << 16 {
			name := Name(Port{proto, uint16(n)})
			if name == "" {
				continue
			}
			all, err := Parse(name, proto)
			if err != nil || len(all) != 1 {
				t.Errorf("%d/%s: %q is read as %v, %v", n, proto, name, all, err)
			} else if Name(all[0]) != name && all[0].Number != taken[name] {
				t.Errorf("%d/%s: %q is read as %v, which is %s", n, proto, name, all[0], Name(all[0]))
			}
		}
	}
}

func TestGroups(t *testing.T) {
	has := map[string][]Port{
		"web":        {{TCP, 80}, {TCP, 443}, {UDP, 443}, {TCP, 8080}, {TCP, 8443}},
		"db":         {{TCP, 3306}, {TCP, 5432}, {TCP, 6379}, {TCP, 27017}, {TCP, 9042}},
		"k8s":        {{TCP, 6443}, {TCP, 10250}, {TCP, 2379}, {TCP, 2380}, {UDP, 4789}, {UDP, 8472}},
		"mail":       {{TCP, 25}, {TCP, 465}, {TCP, 587}, {TCP, 110}, {TCP, 143}, {TCP, 993}, {TCP, 995}},
		"queue":      {{TCP, 5672}, {TCP, 9092}, {TCP, 4222}, {TCP, 1883}},
		"monitoring": {{TCP, 9090}, {TCP, 9093}, {TCP, 9100}, {TCP, 3000}, {TCP, 4317}, {UDP, 161}, {UDP, 8125}},
		"dns":        {{TCP, 53}, {UDP, 53}, {TCP, 853}, {UDP, 853}, {UDP, 5353}},
		"auth":       {{TCP, 389}, {TCP, 88}, {UDP, 88}, {UDP, 1812}},
	}
	for _, g := range Groups() {
		if g.About == "" || len(g.Ports) == 0 {
			t.Errorf("@%s has no words or no ports", g.Name)
		}
		for i, p := range g.Ports {
			if slices.Contains(g.Ports[:i], p) {
				t.Errorf("@%s has %v twice", g.Name, p)
			}
		}
		for _, p := range has[g.Name] {
			if !slices.Contains(g.Ports, p) {
				t.Errorf("@%s has no %v", g.Name, p)
			}
		}
		delete(has, g.Name)
		if n := len(g.Of(TCP)) + len(g.Of(UDP)); n != len(g.Ports) {
			t.Errorf("@%s: %d ports by transport, %d in all", g.Name, n, len(g.Ports))
		}
	}
	if len(has) > 0 {
		t.Errorf("groups are missing: %v", has)
	}
}

func TestTop(t *testing.T) {
	first, err := Top(3, TCP)
	if want := []uint16{443, 80, 22}; err != nil || !slices.Equal(first, want) {
		t.Errorf("got %v, %v, want %v", first, err, want)
	}
	all, err := Top(1000, TCP)
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != 1000 || sorted[0] == 0 {
		t.Errorf("ports are there twice, or port 0 is")
	}
	// What the curated list names comes before what the registry adds.
	for i, n := range all {
		if _, own := data().named[Port{TCP, n}]; own != (i < len(all)-countRegistry(all)) {
			t.Fatalf("rank %d, port %d: from the curated list %v", i+1, n, own)
		}
	}
	// It is the caller's.
	first[0] = 1
	if again, _ := Top(1, TCP); again[0] != 443 {
		t.Error("a caller changed the list")
	}
	for _, n := range []int{-1, 0, 1001} {
		if _, err := Top(n, TCP); err == nil {
			t.Errorf("top:%d was given", n)
		}
	}
}

func countRegistry(numbers []uint16) (n int) {
	for _, p := range numbers {
		if _, own := data().named[Port{TCP, p}]; !own {
			n++
		}
	}
	return n
}

func TestTable(t *testing.T) {
	text := string(packed.Unpack(embedded))
	if want, err := os.ReadFile("data/table.txt"); err != nil || text != string(want) {
		t.Errorf("data/table.txt.flate is not up to date: go generate ./ports (%v)", err)
	}
	if len(embedded) > 80_000 {
		t.Errorf("the embedded table has %d bytes", len(embedded))
	}
	if _, err := parseTable(text); err != nil {
		t.Error(err)
	}
	for _, broken := range []string{"", "web\n\n\n\n", strings.Replace(text, " t ", "", 1), "x" + strings.Replace(text, "\t", " ", 1)} {
		if _, err := parseTable(broken); err == nil {
			t.Errorf("%.40q is taken for a table", broken)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseTable(string(packed.Unpack(embedded))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Name(Port{TCP, 8008})
	}
}

package output_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"netprobe/output"
	"netprobe/output/outputtest"
	"netprobe/probe"
)

// What is embedded is what is published.
func TestSchemaUpToDate(t *testing.T) {
	want, err := os.ReadFile("schema/v1.json")
	if err != nil || !bytes.Equal(output.Schema(), want) {
		t.Errorf("schema/v1.json.flate is not up to date: go generate ./output (%v)", err)
	}
}

// The lists in the schema are those of package probe, and the fields those that
// were published.
func TestSchemaLists(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Enum       []string
			Required   []string
			Properties map[string]struct {
				Enum  []string
				Items struct{ Enum []string }
			}
			AdditionalProperties any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(output.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	record := func(name string) map[string][]string {
		lists := map[string][]string{}
		for field, p := range schema.Defs[name+"-record"].Properties {
			lists[field] = slices.Concat(p.Enum, p.Items.Enum)
		}
		return lists
	}
	for _, tt := range []struct {
		name      string
		got, want []string
	}{
		{"status", schema.Defs["status"].Enum, probe.Statuses()},
		{"reason", schema.Defs["reason"].Enum, probe.Reasons()},
		{"clock", schema.Defs["clock"].Enum, []string{probe.User.String(), probe.Kernel.String()}},
		{"flags", record("probe")["flags"], probe.FlagNames()},
		{"host flags", record("host")["flags"], probe.FlagNames()},
		{"stopped_by", record("end")["stopped_by"], []string{"done", "deadline", "signal", "until", "output"}},
		{"state", slices.Sorted(slices.Values(record("port")["state"])), slices.Sorted(slices.Values(probe.PortStates()))},
		{"stop", record("trace")["stop"], probe.Stops()},
		{"verdict", schema.Defs["loss-verdict"].Enum, probe.LossKinds()},
		{"rewritten", schema.Defs["hop-probe"].Properties["rewritten"].Items.Enum, probe.RewriteNames()},
		{"transport", record("dns")["transport"], []string{"udp", "tcp", "tls", "https", "quic"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: schema has %q, want %q", tt.name, tt.got, tt.want)
		}
	}
	optional := map[string]int{
		"probe-record":   5,  // hop_ttl, flow: in a trace; failed_at, why, facts: above the transport
		"summary-record": 24, // hosts and what follows: in a sweep; ports and what follows: in a scan; transport to differences: of a name server
	}
	for name, d := range schema.Defs {
		if !strings.HasSuffix(name, "-record") {
			continue
		}
		if d.AdditionalProperties != false || len(d.Required)+optional[name] != len(d.Properties) {
			t.Errorf("%s: %d fields, %d required, additional ones: %v", name, len(d.Properties), len(d.Required), d.AdditionalProperties)
		}
	}
}

const head = `{"v":1,"time":"2024-05-01T12:00:00.000000Z","run":"r","record":`

func TestSchemaRejects(t *testing.T) {
	const end = `"end","targets":1,"answered":1,"elapsed_ms":1.5,"exit":0,"stopped_by":"done"}`
	if _, err := outputtest.Lines([]byte(head + end + "\n")); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*strings.Replacer{
		strings.NewReplacer(`"v":1`, `"v":2`),
		strings.NewReplacer(`"end"`, `"fin"`),
		strings.NewReplacer(`"exit":0`, `"exit":"0"`),
		strings.NewReplacer(`"exit":0,`, ``),
		strings.NewReplacer(`"exit":0`, `"exit":0,"more":1`),
		strings.NewReplacer(`"done"`, `"bored"`),
		strings.NewReplacer(`000Z`, `0Z`),
		strings.NewReplacer(`000Z`, `000+00:00`),
	} {
		line := r.Replace(head + end)
		if _, err := outputtest.Lines([]byte(line + "\n")); err == nil {
			t.Errorf("valid: %s", line)
		}
	}
}

// What a host record says must not contradict itself.
func TestSchemaRejectsHosts(t *testing.T) {
	const alive = `"host","target":"192.0.2.1","addr":"192.0.2.1","alive":true,"status":"reply","reason":"echo-reply","from":"192.0.2.1",` +
		`"rtt_ms":0.3,"clock":"kernel","ttl":64,"flags":[],"tries":1,"kind":"icmp","port":null,"responders":null,"error":null}`
	if _, err := outputtest.Lines([]byte(head + alive + "\n")); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*strings.Replacer{
		strings.NewReplacer(`"alive":true`, `"alive":false`),
		strings.NewReplacer(`"reply"`, `"lost"`),
		strings.NewReplacer(`"reply"`, `"unreachable"`),
		strings.NewReplacer(`"reply"`, `"failed"`),
		strings.NewReplacer(`"addr":"192.0.2.1"`, `"addr":null`),
		strings.NewReplacer(`"responders":null`, `"responders":{"count":2,"addrs":[]}`),
		strings.NewReplacer(`"alive":true`, `"alive":false`, `"responders":null`, `"responders":{"count":1,"addrs":[]}`),
		strings.NewReplacer(`"kind":"icmp"`, `"kind":"sctp"`),
		strings.NewReplacer(`"tries":1,`, ``),
	} {
		if line := r.Replace(head + alive); line == head+alive {
			t.Errorf("nothing replaced")
		} else if _, err := outputtest.Lines([]byte(line + "\n")); err == nil {
			t.Errorf("valid: %s", line)
		}
	}
}

// What a port record says must not contradict itself.
func TestSchemaRejectsPorts(t *testing.T) {
	const open = `"port","target":"a","addr":"192.0.2.1","proto":"tcp","port":22,"service":"ssh","state":"open","reason":"syn-ack","from":"192.0.2.1",` +
		`"ttl":64,"rtt_ms":0.2,"tries":1,"banner":"SSH-2.0","error":null,"facts":{"banner":"SSH-2.0"},"failed_at":null,"why":null,` +
		`"status":"reply","clock":"kernel","icmp":null,"confidence":null}`
	if _, err := outputtest.Lines([]byte(head + open + "\n")); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*strings.Replacer{
		strings.NewReplacer(`"status":"reply"`, `"status":"lost"`),
		strings.NewReplacer(`"status":"reply"`, `"status":"failed"`),
		strings.NewReplacer(`"status":"reply"`, `"status":"pending"`),
		strings.NewReplacer(`"state":"open"`, `"state":"unknown"`),
		strings.NewReplacer(`"state":"open"`, `"state":"open|filtered"`),
		strings.NewReplacer(`"confidence":null`, `"confidence":"low"`),
		strings.NewReplacer(`"error":null`, `"error":{"code":"no-route","text":""}`),
		strings.NewReplacer(`"proto":"tcp"`, `"proto":"sctp"`),
		strings.NewReplacer(`"port":22`, `"port":65536`),
		strings.NewReplacer(`"tries":1,`, ``),
	} {
		if line := r.Replace(head + open); line == head+open {
			t.Errorf("nothing replaced")
		} else if _, err := outputtest.Lines([]byte(line + "\n")); err == nil {
			t.Errorf("valid: %s", line)
		}
	}
}

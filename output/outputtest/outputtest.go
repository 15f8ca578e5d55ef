// Package outputtest checks records against their published schema and against
// each other, for the tests of whatever writes them. It alone imports the
// schema library, which therefore stays out of the program.
package outputtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"netprobe/output"
)

// Record is one decoded record. Numbers are json.Number.
type Record map[string]any

// Name returns the value of the field "record".
func (r Record) Name() string {
	name, _ := r["record"].(string)
	return name
}

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(output.Schema()))
	if err != nil {
		return nil, err
	}
	const name = "v1.json"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
})

// Lines decodes data, one record a line, and checks each against the schema.
// Its error names the line.
func Lines(data []byte) ([]Record, error) {
	schema, err := compiled()
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	var records []Record
	scanner := bufio.NewScanner(bytes.NewReader(data))
	scanner.Buffer(nil, 1<<24)
	for n := 1; scanner.Scan(); n++ {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(scanner.Bytes()))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w: %q", n, err, scanner.Text())
		}
		if err := schema.Validate(value); err != nil {
			return nil, fmt.Errorf("line %d: %w: %q", n, err, scanner.Text())
		}
		records = append(records, value.(map[string]any))
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return nil, errors.New("last line has no end")
	}
	return records, scanner.Err()
}

// Run is Lines for the records of one whole run of probes. It checks also that
// run comes first and end last, that all share the run's id, that every target
// has one summary, and, where there are probe records, that the summaries count
// exactly what these say; so it does for queries of name servers. In a run of traces it checks that each target has at
// most one, and that a target was answered exactly if its trace reached it. In a
// sweep it checks that the summary, the subnets and, where there are host
// records, these count the same hosts; in a scan that the summary of each host
// counts what its port records say.
func Run(data []byte) ([]Record, error) {
	records, err := Lines(data)
	if err != nil {
		return nil, err
	}
	if len(records) < 2 {
		return nil, fmt.Errorf("%d records: want at least run and end", len(records))
	}
	trace, sweep, dns := records[0]["verb"] == "trace", records[0]["verb"] == "sweep", records[0]["verb"] == "dns"
	counted, summed := map[string]int64{}, map[string]int64{}
	for i, r := range records {
		if (r.Name() == "run") != (i == 0) || (r.Name() == "end") != (i == len(records)-1) {
			return nil, fmt.Errorf("line %d of %d is a record %q", i+1, len(records), r.Name())
		}
		if r["run"] != records[0]["run"] {
			return nil, fmt.Errorf("line %d: run %v, want %v", i+1, r["run"], records[0]["run"])
		}
		switch r.Name() {
		case "probe":
			if trace {
				break // summaries count those of the last hop alone
			}
			counted["probes"]++
			countProbe(counted, r)
		case "dns", "dns-walk", "dns-verdict":
			counted["probes"]++
			countProbe(counted, Record{"status": r["status"]}) // its flags are those of a header
		case "summary":
			counted["targets"]++
			for _, field := range countFields {
				summed[field] += integer(r[field])
			}
		}
	}
	if trace {
		if err := compareTraces(records); err != nil {
			return nil, err
		}
	}
	if sweep {
		return records, compareSweep(records)
	}
	if records[0]["verb"] == "scan" {
		return records, compareScan(records)
	}
	if dns { // further answers have no records of their own
		delete(summed, "duplicates")
	}
	summed["targets"] = integer(records[len(records)-1]["targets"])
	return records, compare(counted, summed)
}

// countFields are the fields of a summary that probe records add up to.
var countFields = []string{
	"sent", "received", "lost", "late", "errors", "pending", "failed",
	"duplicates", "reordered", "wrong_source", "corrupt", "truncated",
}

// countProbe adds r to the fields that its target's summary must count it in.
func countProbe(n map[string]int64, r Record) {
	flags, _ := r["flags"].([]any)
	for _, f := range flags {
		if f == "dup" {
			n["duplicates"]++
			return
		}
	}
	for _, f := range flags {
		if f == "wrong-source" {
			f = "wrong_source"
		}
		n[f.(string)]++
	}
	status, _ := r["status"].(string)
	switch {
	case status == "failed":
		n["failed"]++
		return
	case (status == "reply" || status == "late") && r["failed_at"] != nil:
		status = "errors" // somebody answers, but not as asked
	case status == "reply":
		status = "received"
	case status == "unreachable", status == "expired", status == "refused":
		status = "errors"
	}
	n["sent"]++
	n[status]++
}

func compare(counted, summed map[string]int64) error {
	fields := append([]string{"targets"}, countFields...)
	if counted["probes"] == 0 { // a quiet run
		fields = fields[:1]
	}
	for _, f := range fields {
		if counted[f] != summed[f] {
			return fmt.Errorf("records say %s %d, summaries and end %d", f, counted[f], summed[f])
		}
	}
	return nil
}

// compareTraces checks the traces of a run against its summaries. Two targets
// may have the same name and address.
func compareTraces(records []Record) error {
	type key struct{ name, addr any }
	reached, answered := map[key]int{}, map[key]int{}
	targets, traces := 0, 0
	for _, r := range records {
		k := key{r["target"], r["addr"]}
		switch {
		case r.Name() == "trace":
			traces++
			if r["reached"] == true || endsAtTarget(r) {
				reached[k]++
			}
		case r.Name() == "summary":
			targets++
			if integer(r["received"])+integer(r["late"]) > 0 {
				answered[k]++
			}
		}
	}
	if traces > targets {
		return fmt.Errorf("%d traces of %d targets", traces, targets)
	}
	if !maps.Equal(reached, answered) {
		return fmt.Errorf("traces reached %v, summaries have answers of %v", reached, answered)
	}
	return nil
}

// endsAtTarget reports whether the target answered a trace, even if the run
// ended before all of its path was known.
func endsAtTarget(trace Record) bool {
	hops, _ := trace["hops"].([]any)
	if len(hops) == 0 {
		return false
	}
	last, _ := hops[len(hops)-1].(map[string]any)
	return last["target"] == true
}

// integer returns v, a decoded number, as an int64.
func integer(v any) int64 {
	number, _ := v.(json.Number)
	n, _ := number.Int64()
	return n
}

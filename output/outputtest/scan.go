package outputtest

import (
	"encoding/json"
	"fmt"
)

// portStates are the fields in which a summary counts each port once.
var portStates = []string{"open", "closed", "filtered", "open|filtered", "unknown"}

// scannedHost is what the port records of one host say.
type scannedHost struct {
	states map[string]int64
	open   map[int64]bool
	tries  int64
}

// compareScan checks the records of a scan against each other.
func compareScan(records []Record) error {
	hosts := map[[2]any]*scannedHost{}
	seen := map[[4]any]bool{}
	others := false // ports that are not open have records as well
	for i, r := range records {
		if r.Name() != "port" {
			continue
		}
		key := [4]any{r["target"], r["addr"], r["proto"], integer(r["port"])}
		if seen[key] {
			return fmt.Errorf("line %d: a second record of port %v", i+1, key)
		}
		seen[key] = true
		h := hosts[[2]any{r["target"], r["addr"]}]
		if h == nil {
			h = &scannedHost{states: map[string]int64{}, open: map[int64]bool{}}
			hosts[[2]any{r["target"], r["addr"]}] = h
		}
		state, _ := r["state"].(string)
		h.states[state]++
		h.tries += integer(r["tries"])
		if state == "open" {
			h.open[integer(r["port"])] = true
		} else {
			others = true
		}
	}
	var targets, answered int64
	for i, r := range records {
		if r.Name() != "summary" {
			continue
		}
		targets++
		if r["up"] == true {
			answered++
		}
		if err := checkScanSummary(r, hosts[[2]any{r["target"], r["addr"]}], len(hosts) > 0, others); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	end := records[len(records)-1]
	if integer(end["targets"]) != targets || integer(end["answered"]) != answered {
		return fmt.Errorf("end says %v targets, %v answered, the summaries %d and %d", end["targets"], end["answered"], targets, answered)
	}
	return nil
}

// checkScanSummary checks the summary s of a host by itself and, if there are
// records of ports, against those of its own; h is nil if it has none.
func checkScanSummary(s Record, h *scannedHost, ports, others bool) error {
	states, _ := s["states"].(map[string]any)
	var sum, probes int64
	for _, name := range portStates {
		sum += integer(states[name])
	}
	if states == nil || sum != integer(s["ports"]) {
		return fmt.Errorf("%v ports, their states say %d", s["ports"], sum)
	}
	for _, f := range []string{"received", "lost", "late", "errors", "pending"} {
		probes += integer(s[f])
	}
	if probes != integer(s["sent"]) {
		return fmt.Errorf("sent %v, outcomes %d", s["sent"], probes)
	}
	open, _ := s["open"].([]any)
	if int64(len(open)) != integer(states["open"]) {
		return fmt.Errorf("%d ports listed, %v open", len(open), states["open"])
	}
	for i := 1; i < len(open); i++ {
		if number(open[i]) <= number(open[i-1]) {
			return fmt.Errorf("open ports do not ascend: %v", open)
		}
	}
	if !ports {
		return nil
	}
	if h == nil {
		h = &scannedHost{}
	}
	for _, p := range open {
		if !h.open[number(p)] {
			return fmt.Errorf("open port %v has no record", p)
		}
	}
	for _, name := range portStates {
		want := integer(states[name])
		fewer := name == "unknown" && h.states[name] < want // those never decided have no record
		if (others || name == "open") && h.states[name] != want && !fewer {
			return fmt.Errorf("records say %d %s, the summary %d", h.states[name], name, want)
		}
	}
	if others && h.tries > integer(s["sent"]) {
		return fmt.Errorf("records say %d tries, the summary %v sent", h.tries, s["sent"])
	}
	return nil
}

// number returns an element of a list as a number.
func number(v any) int64 {
	n, _ := v.(json.Number).Int64()
	return n
}

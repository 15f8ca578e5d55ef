package outputtest

import (
	"errors"
	"fmt"
)

// hostCounts are the fields in which a summary or a subnet counts each host once.
var hostCounts = []string{"alive", "amplifiers", "unreachable", "silent", "failed", "undecided"}

// compareSweep checks the records of a sweep against each other.
func compareSweep(records []Record) error {
	counted, subnets := map[string]int64{}, map[string]int64{}
	var summaries []Record
	seen := map[any]bool{}
	for i, r := range records {
		switch r.Name() {
		case "host":
			key := [2]any{r["addr"], r["target"]}
			if seen[key] {
				return fmt.Errorf("line %d: a second record of host %v", i+1, r["addr"])
			}
			seen[key] = true
			counted[hostCount(r)]++
		case "subnet":
			subnets["hosts"] += integer(r["hosts"])
			for _, f := range hostCounts {
				subnets[f] += integer(r[f])
			}
			if err := checkHosts(r); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
		case "summary":
			summaries = append(summaries, r)
		}
	}
	if len(summaries) != 1 {
		return fmt.Errorf("%d summaries of a sweep", len(summaries))
	}
	if err := checkSweepSummary(summaries[0], records[len(records)-1]); err != nil {
		return err
	}
	return compareHosts(summaries[0], counted, subnets)
}

// hostCount returns the field that counts the host of r.
func hostCount(r Record) string {
	switch {
	case r["alive"] == true:
		return "alive"
	case r["responders"] != nil:
		return "amplifiers"
	}
	switch r["status"] {
	case "unreachable", "expired":
		return "unreachable"
	case "failed":
		return "failed"
	case "pending":
		return "undecided"
	}
	return "silent"
}

// checkHosts checks that every host of r is counted exactly once.
func checkHosts(r Record) error {
	var sum int64
	for _, f := range hostCounts {
		sum += integer(r[f])
	}
	if sum != integer(r["hosts"]) {
		return fmt.Errorf("%d hosts, their counts say %d", integer(r["hosts"]), sum)
	}
	return nil
}

func checkSweepSummary(s, end Record) error {
	if s["hosts"] == nil {
		return errors.New("the summary of a sweep has no hosts")
	}
	if err := checkHosts(s); err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	var probes int64
	for _, f := range []string{"received", "lost", "late", "errors", "pending"} {
		if n := integer(s[f]); n < 0 {
			return fmt.Errorf("summary: %s %d", f, n)
		}
		probes += integer(s[f])
	}
	if probes != integer(s["sent"]) {
		return fmt.Errorf("summary: sent %d, outcomes %d", integer(s["sent"]), probes)
	}
	if integer(end["targets"]) != integer(s["hosts"]) || integer(end["answered"]) != integer(s["alive"]) {
		return fmt.Errorf("end says %v targets, %v answered, the summary %v hosts, %v alive",
			end["targets"], end["answered"], s["hosts"], s["alive"])
	}
	return nil
}

// compareHosts compares the summary s with the host records, all of them or only
// those that are always there, and with the subnets, if there are any.
func compareHosts(s Record, counted, subnets map[string]int64) error {
	all := counted["unreachable"]+counted["silent"]+counted["undecided"] > 0
	for _, f := range hostCounts {
		usual := f == "alive" || f == "amplifiers" || f == "failed"
		if len(counted) > 0 && (all || usual) && counted[f] != integer(s[f]) {
			return fmt.Errorf("records say %s %d, the summary %d", f, counted[f], integer(s[f]))
		}
		if len(subnets) > 0 && subnets[f] != integer(s[f]) {
			return fmt.Errorf("subnets say %s %d, the summary %d", f, subnets[f], integer(s[f]))
		}
	}
	return nil
}

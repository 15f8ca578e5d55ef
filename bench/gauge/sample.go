package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
)

// sample is what one run of one tool yielded for one measure.
type sample struct {
	Measure string    `json:"measure"`
	Tool    string    `json:"tool"`
	Values  []float64 `json:"values"` // in the unit of the measure
	Notes   []string  `json:"notes,omitempty"`
}

// appendSample adds s to the end of a file, which it creates if needed.
func appendSample(file string, s sample) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// readSamples reads what appendSample wrote and joins the values of the same
// measure and tool. Order is that of first appearance.
func readSamples(r io.Reader) ([]sample, error) {
	var all []sample
	for dec := json.NewDecoder(r); ; {
		var s sample
		if err := dec.Decode(&s); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("samples: %w", err)
		}
		i := slices.IndexFunc(all, func(a sample) bool { return a.Measure == s.Measure && a.Tool == s.Tool })
		if i < 0 {
			all = append(all, s)
			continue
		}
		all[i].Values = append(all[i].Values, s.Values...)
		for _, n := range s.Notes {
			if !slices.Contains(all[i].Notes, n) {
				all[i].Notes = append(all[i].Notes, n)
			}
		}
	}
}

// runAdd appends values measured by others.
func runAdd(args []string, _, stderr io.Writer) error {
	var out outlet
	flags := flag.NewFlagSet("gauge add", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out.define(flags)
	note := flags.String("note", "", "`TEXT` to show beside the values")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var values []float64
	for _, a := range flags.Args() {
		v, err := strconv.ParseFloat(a, 64)
		if err != nil {
			return fmt.Errorf("value %q: not a number", a)
		}
		values = append(values, v)
	}
	if *note != "" {
		return out.put(values, *note)
	}
	return out.put(values)
}

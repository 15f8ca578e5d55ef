//go:build !linux

package main

import "netprobe/internal/lab"

// labHints has nothing to mend: there is no lab here.
func labHints(*lab.BuildError) []string { return nil }

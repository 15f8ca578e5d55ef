//go:build !unix

package main

// leaveSetuid has nothing to leave: no binary is setuid here.
func leaveSetuid() error { return nil }

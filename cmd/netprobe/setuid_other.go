//go:build !unix

package main

// leaveSetuid has nothing to leave: no binary is setuid here.
func leaveSetuid() error { return nil }

// becomeCaller has nothing to become.
func becomeCaller() (back func() error, err error) { return func() error { return nil }, nil }

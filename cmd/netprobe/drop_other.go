//go:build !linux

package main

import "os"

// dropPrivileges has nothing to drop: capabilities are Linux's.
func dropPrivileges(bool) error { return nil }

// privileged reports whether we run as root.
func privileged() bool { return os.Getuid() == 0 }

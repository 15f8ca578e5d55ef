//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

// leaveSetuid becomes the user who started us where the binary is setuid, so
// that --out opens no file which that user could not open.
func leaveSetuid() error {
	uid, gid := os.Getuid(), os.Getgid()
	if gid != os.Getegid() {
		if err := syscall.Setregid(gid, gid); err != nil {
			return fmt.Errorf("cannot leave the group of the binary: %w", err)
		}
	}
	if uid != os.Geteuid() {
		if err := syscall.Setreuid(uid, uid); err != nil {
			return fmt.Errorf("cannot leave the owner of the binary: %w", err)
		}
	}
	return nil
}

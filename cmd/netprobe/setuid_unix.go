//go:build unix

package main

import (
	"errors"
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

// becomeCaller takes the rights of the user who started us until back is
// called: nobody may read through a setuid binary what is not theirs.
func becomeCaller() (back func() error, err error) {
	uid, gid, euid, egid := os.Getuid(), os.Getgid(), os.Geteuid(), os.Getegid()
	if uid == euid && gid == egid {
		return func() error { return nil }, nil
	}
	// The saved IDs stay, so that the way back is open (setreuid(2)).
	if err := syscall.Setregid(-1, gid); err != nil {
		return nil, fmt.Errorf("cannot leave the group of the binary: %w", err)
	}
	if err := syscall.Setreuid(-1, uid); err != nil {
		return nil, fmt.Errorf("cannot leave the owner of the binary: %w", err)
	}
	return func() error {
		return errors.Join(syscall.Setreuid(-1, euid), syscall.Setregid(-1, egid))
	}, nil
}

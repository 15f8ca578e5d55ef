//go:build unix && !linux

package tcpprobe

import "syscall"

// inOwnNamespace is for systems that have such.
func inOwnNamespace(int) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

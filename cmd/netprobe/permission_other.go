//go:build !linux

package main

const datagramHint = "run it with a system that has unprivileged ICMP sockets, as macOS has"

// rawHints are the ways to a raw socket.
func rawHints() []string { return []string{"run it as root, on Windows as an administrator"} }

package main

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"

	"netprobe/probe"
)

// parseHost reads one HOST; names may be internationalized (RFC 5891).
func parseHost(arg string) (probe.Host, error) {
	return probe.ParseHost(arg, idna.Lookup.ToASCII)
}

// hostHint says what to write instead of arg.
func hostHint(arg string, err error) string {
	switch host, port, _ := strings.Cut(arg, ":"); {
	case errors.Is(err, probe.ErrAddress):
		return "give the address of one host; this one is 127.0.0.1 or ::1"
	case strings.Contains(arg, "://"):
		return "give the host alone, without scheme and path"
	case host != "" && port != "" && strings.Trim(port, "0123456789") == "":
		return "give the host alone, without a port"
	}
	return "a host is a name, or an address as in 192.0.2.1 or 2001:db8::1"
}

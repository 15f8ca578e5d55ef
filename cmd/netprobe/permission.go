package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"netprobe/rawsock"
)

// openFailure says why no socket could be opened, with what mends it.
func openFailure(err error, f *runFlags) error {
	if e, ok := errors.AsType[*rawsock.PermissionError](err); ok {
		return untested(e, permissionHints(e.Kind)...)
	}
	switch cause := rawsock.CauseOf(err); {
	case cause == rawsock.NoSource && f.source.IsValid():
		return untested(fmt.Errorf("cannot send from %v: %w", f.source, err), "-S takes an address of this host; ip address lists them")
	case cause == rawsock.Denied && f.mark != 0:
		return untested(fmt.Errorf("cannot set the mark %d: %w", f.mark, err), "--mark needs CAP_NET_ADMIN: run it with sudo")
	}
	return untested(err)
}

// permissionHints are the commands that let this process open the kind of
// socket it was refused, those that can work here.
func permissionHints(kind rawsock.Kind) []string {
	var hints []string
	if kind != rawsock.Datagram {
		hints = append(hints, rawHints()...)
	}
	if kind != rawsock.Raw {
		hints = append(hints, datagramHint)
	}
	return hints
}

// binary is the path of this program, quoted where a shell needs it. What go
// run builds is gone before anybody could change it.
func binary() string {
	path, err := os.Executable()
	if err != nil {
		return "netprobe"
	}
	if strings.Contains(path, string(filepath.Separator)+"go-build") {
		return "netprobe (the file of go build ./cmd/netprobe, not of go run)"
	}
	if strings.Trim(path, "/._-+abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return fmt.Sprintf("%q", path)
	}
	return path
}

//go:build !linux

package lab

import (
	"errors"
	"fmt"
	"runtime"
)

var errNoKernel = fmt.Errorf("lab: network namespaces are Linux's, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

func startTopology(*Topology) (*Lab, error) { return nil, errNoKernel }
func startVeth(Veth) (*Lab, error)          { return nil, errNoKernel }

// reexec has no namespace to go to.
func reexec() (code int, done bool) { return 0, false }

func checkNamespaces() error { return errNoKernel }
func checkTUN() error        { return errNoKernel }

package trace

import (
	"os"
	"syscall"
)

// errDenied is what a local firewall makes of a send.
var errDenied = os.NewSyscallError("sendmmsg", syscall.EPERM)

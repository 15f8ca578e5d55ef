package tcpprobe_test

import (
	"netprobe/scan"
	"netprobe/tcpprobe"
)

var _ scan.Transport = (*tcpprobe.HalfOpen)(nil)

package dnsprobe

import (
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// recordType reads the name of a record type, or TYPE and a number (RFC 3597).
func recordType(s string) (uint16, bool) {
	s = strings.ToUpper(s)
	if t, ok := dns.StringToType[s]; ok {
		return t, true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "TYPE"), 10, 16)
	return uint16(n), err == nil && strings.HasPrefix(s, "TYPE")
}

package output

import (
	"io"
	"strconv"
	"strings"
	"time"

	"netprobe/stats"
)

// scanGrepable writes what tools read from nmap -oG: for each host, when its
// last port is decided, whether it is up and its ports, with tabs between fields.
//
//	Host: 192.0.2.7 (web-1)	Ports: 22/open/tcp//ssh///	Ignored State: closed (997)
type scanGrepable struct{ nmapView }

func newScanGrepable(w io.Writer, o Options) View {
	v := &scanGrepable{nmapView{w: w, o: o}}
	v.tell = v.host
	return v
}

func (v *scanGrepable) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	b := append(v.buf[:0], "# netprobe "...)
	b = appendEscaped(b, h.Version)
	b = append(append(b, " scan initiated "...), ctime(h.Start)...)
	b = appendEscaped(append(b, " as: "...), commandLine(h))
	return v.write(append(b, '\n'))
}

func (v *scanGrepable) host(h *stats.ScanHost) error {
	if !v.h.Scan.nmapShows(h) {
		return nil
	}
	state := "Unknown"
	if h.Up() {
		state = "Up"
	}
	b := v.appendHost(v.buf[:0], h)
	b = append(append(append(b, "\tStatus: "...), state...), '\n')
	rows, rest := v.h.Scan.nmapPorts(h)
	if len(rows)+len(rest) == 0 {
		return v.write(b)
	}
	b = v.appendHost(b, h)
	for i := range rows {
		lead := ", "
		if i == 0 {
			lead = "\tPorts: "
		}
		b = v.appendPort(append(b, lead...), &rows[i])
	}
	for _, state := range extraStates {
		if n := countExtra(rest, state); n > 0 {
			b = append(append(b, "\tIgnored State: "...), state.String()...)
			b = append(strconv.AppendInt(append(b, " ("...), int64(n), 10), ')')
		}
	}
	return v.write(append(b, '\n'))
}

// appendHost appends "Host: 192.0.2.7 (web-1)".
func (v *scanGrepable) appendHost(b []byte, h *stats.ScanHost) []byte {
	b = appendAddrEscaped(append(b, "Host: "...), h.Addr)
	b = append(append(b, " ("...), oneWord(h.Name)...)
	return append(b, ')')
}

// appendPort appends "22/open/tcp//ssh///": number, state, protocol, owner,
// service, RPC, version, of which we know no owner and no RPC. What a service
// said stands where nmap has its version.
func (v *scanGrepable) appendPort(b []byte, r *portRow) []byte {
	g := r.group
	b = strconv.AppendUint(b, uint64(r.row.Port), 10)
	b = append(append(b, '/'), g.State.String()...)
	b = append(append(b, '/'), proto(g.UDP)...)
	b = append(append(b, "//"...), grepableText(v.h.Scan.service(r.row.Port, g.UDP))...)
	b = append(b, "//"...)
	if text, ok := banner(r.row.Layers); ok {
		b = append(b, grepableText(text)...)
	}
	return append(b, '/')
}

// grepableText returns text escaped, without what separates fields and ports.
func grepableText(s string) string {
	return strings.NewReplacer("/", "|", ",", ";").Replace(Escape(bounded(s)))
}

// End writes the hosts that were cut off, and what the run came to.
func (v *scanGrepable) End(e *End) error {
	if err := v.cutOff(); err != nil {
		return err
	}
	s := v.h.Scan.Stats.Summary()
	b := append(v.buf[:0], "# "...)
	b = append(b, doneText(&s, e, max(e.Time.Sub(v.h.Start), 0))...)
	return v.write(append(b, '\n'))
}

// doneText returns "netprobe done at Mon Jan  2 15:04:05 2006 -- 256 IP addresses
// (17 hosts up) scanned in 2.31 seconds", as nmap ends.
func doneText(s *stats.ScanSummary, e *End, elapsed time.Duration) []byte {
	b := append([]byte("netprobe done at "), ctime(e.Time)...)
	b = strconv.AppendUint(append(b, " -- "...), s.Hosts, 10)
	b = append(b, plural(int(min(s.Hosts, 2)), " IP address (", " IP addresses (")...)
	b = strconv.AppendUint(b, s.HostsUp, 10)
	b = append(b, plural(int(min(s.HostsUp, 2)), " host up) scanned in ", " hosts up) scanned in ")...)
	b = strconv.AppendFloat(b, elapsed.Seconds(), 'f', 2, 64)
	return append(b, " seconds"...)
}

package output

import (
	"io"
	"net/netip"
	"strconv"

	"netprobe/probe"
	"netprobe/stats"
)

// xmlVersion is the version of nmap's XML format that this one follows.
const xmlVersion = "1.05"

// scanXML writes what tools read from nmap -oX. A host is written when its last
// port is decided.
type scanXML struct{ nmapView }

func newScanXML(w io.Writer, o Options) View {
	v := &scanXML{nmapView{w: w, o: o}}
	v.tell = v.host
	return v
}

func (v *scanXML) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	b := append(v.buf[:0], "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner=\"netprobe\""...)
	b = appendAttr(b, "args", commandLine(h))
	b = appendNumberAttr(b, "start", h.Start.Unix())
	b = appendAttr(b, "startstr", ctime(h.Start))
	b = appendAttr(b, "version", h.Version)
	b = appendAttr(b, "xmloutputversion", xmlVersion)
	b = append(b, ">\n<scaninfo"...)
	b = appendAttr(b, "type", h.Scan.Technique)
	b = appendAttr(b, "protocol", proto(h.Scan.UDP))
	b = appendNumberAttr(b, "numservices", int64(h.Scan.Ports))
	b = appendAttr(b, "services", h.Scan.List)
	return v.write(append(b, "/>\n<verbose level=\"0\"/>\n<debugging level=\"0\"/>\n"...))
}

func (v *scanXML) host(h *stats.ScanHost) error {
	if !v.h.Scan.nmapShows(h) {
		return nil
	}
	b := append(v.buf[:0], "<host>"...)
	state, reason, ttl := v.h.Scan.nmapState(h)
	b = append(b, "<status"...)
	b = appendAttr(b, "state", state)
	b = appendAttr(b, "reason", reason)
	b = appendNumberAttr(b, "reason_ttl", int64(ttl))
	b = append(b, "/>\n<address"...)
	b = appendAttr(b, "addr", h.Addr.String())
	b = appendAttr(b, "addrtype", addrType(h.Addr))
	b = append(b, "/>\n<hostnames>"...)
	if h.Name != "" {
		b = append(b, "<hostname"...)
		b = appendAttr(b, "name", bounded(h.Name))
		b = append(b, " type=\"user\"/>"...)
	}
	b = append(b, "</hostnames>\n"...)
	b = v.appendPorts(b, h)
	if t := h.RTT(); t != nil {
		b = append(b, "<times"...)
		b = appendNumberAttr(b, "srtt", t.EWMA.Microseconds())
		b = appendNumberAttr(b, "rttvar", t.StdDev.Microseconds())
		b = appendNumberAttr(b, "to", v.h.Timeout.Microseconds())
		b = append(b, "/>\n"...)
	}
	return v.write(append(b, "</host>\n"...))
}

func addrType(a netip.Addr) string {
	if a.Is4() {
		return "ipv4"
	}
	return "ipv6"
}

// appendPorts appends the element ports: first the groups that are only counted,
// by state, then the ports one by one.
func (v *scanXML) appendPorts(b []byte, h *stats.ScanHost) []byte {
	rows, rest := v.h.Scan.nmapPorts(h)
	b = append(b, "<ports>"...)
	for _, state := range extraStates {
		b = v.appendExtra(b, state, rest)
	}
	for i := range rows {
		b = v.appendPort(b, &rows[i])
	}
	return append(b, "</ports>\n"...)
}

// appendExtra appends the element extraports of one state.
func (v *scanXML) appendExtra(b []byte, state probe.PortState, rest []nmapExtra) []byte {
	n := countExtra(rest, state)
	if n == 0 {
		return b
	}
	b = append(b, "<extraports"...)
	b = appendAttr(b, "state", state.String())
	b = appendNumberAttr(b, "count", int64(n))
	b = append(b, ">\n"...)
	for _, e := range rest {
		if e.state != state {
			continue
		}
		b = append(b, "<extrareasons"...)
		b = appendAttr(b, "reason", v.h.Scan.nmapReason(e.reason))
		b = appendNumberAttr(b, "count", int64(e.count))
		b = appendAttr(b, "proto", proto(e.udp))
		b = append(b, "/>\n"...)
	}
	return append(b, "</extraports>\n"...)
}

// appendPort appends the element of one port.
func (v *scanXML) appendPort(b []byte, r *portRow) []byte {
	g := r.group
	b = append(b, "<port"...)
	b = appendAttr(b, "protocol", proto(g.UDP))
	b = appendNumberAttr(b, "portid", int64(r.row.Port))
	b = append(b, "><state"...)
	b = appendAttr(b, "state", g.State.String())
	b = appendAttr(b, "reason", v.h.Scan.nmapReason(g.Reason))
	b = appendNumberAttr(b, "reason_ttl", int64(r.row.TTL))
	if g.From.IsValid() {
		b = appendAttr(b, "reason_ip", g.From.String())
	}
	b = append(b, "/>"...)
	if name := v.h.Scan.service(r.row.Port, g.UDP); name != "" {
		b = append(b, "<service"...)
		b = appendAttr(b, "name", name)
		b = append(b, " method=\"table\" conf=\"3\"/>"...)
	}
	if text, ok := banner(r.row.Layers); ok {
		b = append(b, "<script id=\"banner\""...)
		b = appendAttr(b, "output", text)
		b = append(b, "/>"...)
	}
	return append(b, "</port>\n"...)
}

// End writes the hosts that were cut off, and what the run came to.
func (v *scanXML) End(e *End) error {
	if err := v.cutOff(); err != nil {
		return err
	}
	s := v.h.Scan.Stats.Summary()
	elapsed := max(e.Time.Sub(v.h.Start), 0)
	b := append(v.buf[:0], "<runstats><finished"...)
	b = appendNumberAttr(b, "time", e.Time.Unix())
	b = appendAttr(b, "timestr", ctime(e.Time))
	b = appendAttr(b, "summary", string(doneText(&s, e, elapsed)))
	b = appendAttr(b, "elapsed", strconv.FormatFloat(elapsed.Seconds(), 'f', 2, 64))
	exit := "success"
	if e.StoppedBy != "done" {
		exit = "error"
		b = appendAttr(b, "errormsg", whyStopped(v.h.Scan, e))
	}
	b = appendAttr(b, "exit", exit)
	b = append(b, "/><hosts"...)
	b = appendNumberAttr(b, "up", int64(s.HostsUp))
	b = appendNumberAttr(b, "down", int64(s.Hosts-s.HostsUp))
	b = appendNumberAttr(b, "total", int64(s.Hosts))
	return v.write(append(b, "/>\n</runstats>\n</nmaprun>\n"...))
}

// appendNumberAttr appends an attribute that is a number.
func appendNumberAttr(b []byte, name string, n int64) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	return append(strconv.AppendInt(b, n, 10), '"')
}

// appendAttr appends an attribute. XML has no way to write most control
// characters (XML 1.0, section 2.2): they are escaped as for a terminal.
func appendAttr(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	for _, r := range []byte(Escape(value)) {
		switch r {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		case '"':
			b = append(b, "&quot;"...)
		default:
			b = append(b, r)
		}
	}
	return append(b, '"')
}

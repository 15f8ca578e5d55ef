package output

import (
	"io"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// ScanHeader is what the verb scan adds to a Header. Header.Targets is empty
// then: nobody keeps all hosts of a scan.
type ScanHeader struct {
	Stats     *stats.Scan   // where Report counts the ports
	Targets   string        // as the user wrote them
	Hosts     uint64        // that are scanned; 0 if nobody knows yet
	Ports     int           // of each host
	List      string        // the ports as a list: "22,80,8000-8100"
	UDP       bool          // they are ports of UDP
	Technique string        // connect, syn or udp
	Budget    time.Duration // how long the run may take; 0 for as long as it needs

	All      bool // each port has a row, and each host a block
	OpenOnly bool // only open ports have rows and records

	// Service returns the name of the service of a port, "" if it has none; nil
	// stands for no names.
	Service func(port uint16, udp bool) string
	// Progress says how far the scan is; nil for what was counted.
	Progress func() Progress
}

var scanFormats = []format{
	{"table", newScanTable},
	{"plain", newScanPlain},
	{"json", newScanJSON},
	{"csv", newScanCSV},
	{"nmap-xml", newScanXML},
	{"grepable", newScanGrepable},
}

// ScanFormats returns the names that NewScanView knows.
func ScanFormats() []string { return formatNames(scanFormats) }

// NewScanView returns a View of ports, in the given format, that writes whole
// lines to w. Its Header must have a Scan.
func NewScanView(format string, w io.Writer, o Options) (View, error) {
	return newView(scanFormats, format, w, o)
}

func (h *ScanHeader) count(r *probe.Result) { h.Stats.Record(r) }

func (h *ScanHeader) over() { h.Stats.Close() }

// progress returns how far the scan is, from what it counted if nobody knows
// better.
func (h *ScanHeader) progress(elapsed time.Duration) Progress {
	if h.Progress != nil {
		return h.Progress()
	}
	p := Progress{Ports: true, Elapsed: elapsed, Budget: h.Budget}
	p.Decided, p.Alive = h.Stats.Decided()
	p.Asked = p.Decided
	p.Planned, p.Known = h.Hosts*uint64(h.Ports), h.Hosts > 0
	return p
}

// service returns the name of the service of a port, "" if it has none.
func (h *ScanHeader) service(port uint16, udp bool) string {
	if h.Service == nil {
		return ""
	}
	return h.Service(port, udp)
}

// shows reports whether the port of r, an outcome, has a record of its own, and
// its state. A host without address has none.
func (h *ScanHeader) shows(r *probe.Result) (probe.PortState, bool) {
	if d, _ := r.Detail.(*probe.ScannedHost); d == nil || !r.Outcome() {
		return probe.PortUnknown, false
	}
	s := h.Stats.StateOf(r)
	return s, s == probe.PortOpen || !h.OpenOnly
}

// proto returns the name of a protocol.
func proto(udp bool) string {
	if udp {
		return "udp"
	}
	return "tcp"
}

// confidence returns how sure the state of r is: silence of a UDP port says
// little of a host that tells of no closed port, and more of one that does. It
// is "" for ports of TCP, and where there is no state.
func confidence(r *probe.Result, state probe.PortState, udp bool) string {
	switch {
	case !udp || state == probe.PortUnknown:
		return ""
	case state == probe.PortOpenFiltered && !r.Detail.(*probe.ScannedHost).Tells:
		return "low"
	}
	return "high"
}

// layers returns what the answer of r said, nil if nothing was asked.
func layers(r *probe.Result) *probe.Layers {
	if d, _ := r.Detail.(*probe.ScannedHost); d != nil {
		return d.Layers
	}
	return nil
}

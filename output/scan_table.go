package output

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"

	"netprobe/probe"
	"netprobe/stats"
)

// fewHosts is up to how many hosts each has a block, also without an open port.
// Of a larger scan people want to see what is there.
const fewHosts = 16

// scanText is what the views share that people read.
type scanText struct {
	textView
	o Options
	h *Header
}

func (v *scanText) Begin(h *Header, _ *stats.Set) error {
	v.h = h
	return nil
}

// End shows the summary, apart from what stands before.
func (v *scanText) End(e *End) error { return v.write(appendScanSummary(v.apart(), v.o, v.h, e)) }

// scanTable prints a block for each host when its last port is decided: open
// ports first, then the few that are unlike the others, and of the rest how many
// they are. Hosts without an open port have one in small scans alone.
type scanTable struct {
	scanText
	tall bool // the block before has several lines
}

func newScanTable(w io.Writer, o Options) View {
	return &scanTable{scanText: scanText{textView: textView{w: w}, o: o}}
}

func (v *scanTable) Result(*probe.Result, *stats.Target) error {
	h := v.h.Scan.Stats.Done()
	if h == nil || !v.shows(h, v.h.Scan.Stats.NewFailure()) {
		return nil
	}
	return v.block(h)
}

// End shows the hosts that were cut off, then the summary.
func (v *scanTable) End(e *End) error {
	for _, h := range v.h.Scan.Stats.CutOff() {
		if !v.shows(h, false) {
			continue
		}
		if err := v.block(h); err != nil {
			return err
		}
	}
	return v.scanText.End(e)
}

// shows reports whether h has a block; fresh says that its failure is a new one.
func (v *scanTable) shows(h *stats.ScanHost, fresh bool) bool {
	scan := v.h.Scan
	switch {
	case v.o.Quiet:
		return false
	case h.Kind() == stats.ScanOpen || scan.All:
		return true
	case h.Err != nil:
		return fresh
	case scan.OpenOnly:
		return false
	case h.Failed() > 0 && h.Failed() < h.Ports: // what is not known of a host that is there
		return true
	}
	return scan.Hosts > 0 && scan.Hosts <= fewHosts
}

// block prints what is known of h. A host of which there is but one line to say
// has no lines around it.
func (v *scanTable) block(h *stats.ScanHost) error {
	var rows, folds []*stats.PortGroup
	groups := h.Groups()
	alike := len(groups) == 1 && !v.h.Scan.All // a host that is silent, or closed, is no more than that
	for _, g := range groups {
		switch {
		case v.h.Scan.OpenOnly && g.State != probe.PortOpen, g.Pending: // those are counted together with ports never asked
		case alike && (g.State == probe.PortClosed || g.State == probe.PortFiltered || g.State == probe.PortOpenFiltered) && len(g.Rows()) > 1:
			folds = append(folds, g)
		case g.Rows() != nil:
			rows = append(rows, g)
		default:
			folds = append(folds, g)
		}
	}
	lines := v.layout(rows)
	notes := v.foldLines(h, folds)
	tall := len(lines) > 0 || len(notes) > 1
	b := v.buf[:0]
	if v.some && (tall || v.tall) {
		b = append(b, '\n')
	}
	v.tall = tall
	b = v.appendTitle(b, h)
	if !tall && len(notes) == 1 {
		b = append(b, gap...)
		b = append(append(b, notes[0]...), '\n')
		return v.write(b)
	}
	b = append(b, '\n')
	for _, l := range append(lines, notes...) {
		b = append(append(b, l...), '\n')
	}
	return v.write(b)
}

// appendTitle appends the host and how far it is.
func (v *scanTable) appendTitle(b []byte, h *stats.ScanHost) []byte {
	if v.o.Timestamps {
		b = append(appendLocal(b, time.Now()), gap...)
	}
	b = append(b, v.o.paint(bold, string(appendScanHost(nil, h, !v.h.Numeric)))...)
	if h.Err != nil {
		b = append(append(b, gap...), v.o.paint(yellow, "not tested: "+clip(h.Err.Error()))...)
		return b
	}
	if t := h.RTT(); t != nil {
		b = append(append(b, gap...), "rtt "...)
		b = append(appendPingTime(b, t.P50), " ms"...)
	}
	return b
}

// Columns of the ports of a host.
const (
	colPort = iota
	colState
	colService
	colReason
	colTTL
	colRTT
	colSaid
)

// portColumns stand in that order. What a narrow terminal has no room for goes.
var portColumns = []column{
	colPort:    {title: "port"},
	colState:   {title: "state"},
	colService: {title: "service", drop: 1},
	colReason:  {title: "reason", least: 14},
	colTTL:     {title: "ttl", right: true, drop: 4},
	colRTT:     {title: "rtt ms", right: true, drop: 3},
	colSaid:    {title: "says", least: 12},
}

// layout returns the line of titles and one for each port of groups, nothing if
// there is none. Columns with nothing in them are left out.
func (v *scanTable) layout(groups []*stats.PortGroup) []string {
	rows := portRows(groups)
	if len(rows) == 0 {
		return nil
	}
	g := &grid{look: v.o, columns: portColumns}
	for _, r := range rows {
		g.cells = append(g.cells, v.cells(r.group, &r.row))
	}
	for _, c := range []int{colSaid, colRTT, colTTL, colService} {
		g.dropEmpty(c)
	}
	g.fit(v.cols())
	lines := g.lines()
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return lines
}

// portRow is one port and the group it is in.
type portRow struct {
	group *stats.PortGroup
	row   stats.PortRow
}

// portRows returns the ports of groups that are kept one by one: open ones first,
// in the order of their numbers.
func portRows(groups []*stats.PortGroup) []portRow {
	var rows []portRow
	for _, g := range groups {
		for _, r := range g.Rows() {
			rows = append(rows, portRow{g, r})
		}
	}
	slices.SortStableFunc(rows, func(a, b portRow) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.row.Port, b.row.Port))
	})
	return rows
}

func (r *portRow) rank() int {
	if r.group.State == probe.PortOpen {
		return 0
	}
	return 1
}

// cells returns the row of one port.
func (v *scanTable) cells(g *stats.PortGroup, r *stats.PortRow) []cell {
	line := make([]cell, len(portColumns))
	line[colPort].text = string(appendPortProto(nil, r.Port, g.UDP))
	line[colState] = portSigns[g.State]
	line[colService].text = Escape(v.h.Scan.service(r.Port, g.UDP))
	line[colReason].text = string(appendWhy(nil, g))
	if r.TTL > 0 {
		line[colTTL].text = strconv.Itoa(int(r.TTL))
	}
	if r.Heard {
		line[colRTT].text = string(appendPingTime(nil, r.RTT))
	}
	line[colSaid].text = runewidth.Truncate(saidText(r.Layers), clipCells, "…")
	return line
}

// dropEmpty removes the column i if nothing stands in it. Columns behind it must
// not be asked for any more.
func (g *grid) dropEmpty(i int) {
	for _, line := range g.cells {
		if line[i].text != "" {
			return
		}
	}
	g.columns = append(g.columns[:i:i], g.columns[i+1:]...)
	for n, line := range g.cells {
		g.cells[n] = append(line[:i:i], line[i+1:]...)
	}
}

// foldLines returns what is said of groups as a whole, as many to a line as fit.
func (v *scanTable) foldLines(h *stats.ScanHost, groups []*stats.PortGroup) []string {
	width := v.cols()
	if width <= 0 {
		width = wrapWidth
	}
	var lines []string
	line := ""
	add := func(text string) {
		if line != "" && visibleWidth(line)+visibleWidth(text)+len(", ") > width {
			lines, line = append(lines, line+","), ""
		}
		if line != "" {
			line += ", "
		}
		line += text
	}
	for _, g := range groups {
		add(string(appendFold(nil, g)))
	}
	if n := h.Pending(); n > 0 && !v.h.Scan.OpenOnly {
		add(grouped(uint64(n)) + " not decided")
	}
	if line != "" {
		lines = append(lines, line)
	}
	if h.Count(probe.PortOpenFiltered) > 0 && !v.h.Scan.OpenOnly {
		lines = append(lines, v.o.paint(dim, silence(h)))
	}
	return lines
}

// silence says what it means that nothing comes from ports of UDP.
func silence(h *stats.ScanHost) string {
	if h.Tells {
		return "silent, though the host tells of closed ports: probably open, or filtered"
	}
	return "silent, and the host tells of no closed port: nobody knows which are open"
}

// cols returns how wide the terminal is, 0 if there is none.
func (v *scanTable) cols() int {
	if !v.o.Terminal || v.o.Size == nil {
		return 0
	}
	cols, _ := v.o.Size()
	return cols
}

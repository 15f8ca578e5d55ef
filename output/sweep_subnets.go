package output

import "netprobe/stats"

// subnetColumns are what the table of subnets counts; those without a title of
// their own only stand there if they have anything to count.
var subnetColumns = [...]struct {
	title string
	state stats.HostState
	stays bool
}{
	{"alive", stats.HostAlive, true},
	{"unreachable", stats.HostUnreachable, true},
	{"silent", stats.HostSilent, true},
	{"broadcast", stats.HostAmplifier, false},
	{"not tested", stats.HostFailed, false},
	{"undecided", stats.HostPending, false},
}

// subnetName returns the prefix of n, or what stands for none.
func subnetName(n *stats.Subnet) string {
	if !n.Prefix.IsValid() {
		return "others"
	}
	return n.Prefix.String()
}

// subnetGrid lays out the totals of subnets. There may be a million of them, so
// its lines are made one by one.
type subnetGrid struct {
	look   Options
	rows   []*stats.Subnet
	states []int // places in subnetColumns
	widths []int // of the name, of hosts, of each state
}

func newSubnetGrid(o Options, rows []*stats.Subnet) *subnetGrid {
	g := &subnetGrid{look: o, rows: rows}
	var most [len(subnetColumns)]uint64
	var hosts uint64
	name := len("subnet")
	for _, n := range rows {
		name = max(name, len(subnetName(n)))
		hosts = max(hosts, n.Hosts())
		for c := range subnetColumns {
			most[c] = max(most[c], n.Count(subnetColumns[c].state))
		}
	}
	g.widths = []int{name, max(len("hosts"), len(grouped(hosts)))}
	for c := range subnetColumns {
		if subnetColumns[c].stays || most[c] > 0 {
			g.states = append(g.states, c)
			g.widths = append(g.widths, max(len(subnetColumns[c].title), len(grouped(most[c]))))
		}
	}
	return g
}

// appendTitles appends the line of titles.
func (g *subnetGrid) appendTitles(b []byte) []byte {
	titles := []string{"hosts"}
	for _, c := range g.states {
		titles = append(titles, subnetColumns[c].title)
	}
	b = append(b, g.look.paint(dim, "subnet")...)
	b = appendPad(b, g.widths[0]-len("subnet"))
	for i, t := range titles {
		b = append(b, gap...)
		b = appendPad(b, g.widths[i+1]-len(t))
		b = append(b, g.look.paint(dim, t)...)
	}
	return append(b, '\n')
}

// appendRow appends the line of one subnet.
func (g *subnetGrid) appendRow(b []byte, n *stats.Subnet) []byte {
	name := subnetName(n)
	b = append(b, name...)
	b = appendPad(b, g.widths[0]-len(name))
	b = g.appendNumber(b, n.Hosts(), 1, "")
	for i, c := range g.states {
		count := n.Count(subnetColumns[c].state)
		color := ""
		switch {
		case count == 0:
			color = dim
		case subnetColumns[c].state == stats.HostAlive:
			color = green
		}
		b = g.appendNumber(b, count, i+2, color)
	}
	return append(b, '\n')
}

func (g *subnetGrid) appendNumber(b []byte, n uint64, column int, color string) []byte {
	text := grouped(n)
	b = append(b, gap...)
	b = appendPad(b, g.widths[column]-len(text))
	return append(b, g.look.paint(color, text)...)
}

// appendPad appends n spaces, none if n is negative.
func appendPad(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}

package scan

import "math"

// lossRate is what share of the tries at a host are lost, as answers to later
// ones prove.
type lossRate struct {
	answered, lost float64
}

// missed is how likely it may be that of all ports that answer one is taken for
// silent.
const missed = 1e-3

// tries returns how often a silent port of a host is asked before it is believed
// to be silent, where ports of them would answer if nothing were lost; rest is
// what is known of the whole run, for a host of which little is.
func (l lossRate) tries(ports int, rest lossRate) int {
	if l.answered+l.lost < 10 {
		l.answered += rest.answered
		l.lost += rest.lost
	}
	if l.lost == 0 {
		return baseTries
	}
	// Half a lost try more than was seen, for the ports that are still silent.
	share := min((l.lost+0.5)/(l.answered+l.lost+0.5), 0.9)
	n := math.Log(missed/float64(max(ports, 10))) / math.Log(share)
	return min(max(int(math.Ceil(n)), baseTries+1), maxTries)
}

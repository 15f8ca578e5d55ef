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
//
// As long as nothing was lost, that depends on how many answers say so: a host
// that answers at all, but on few ports, may well be behind a path that loses.
func (l lossRate) tries(ports int, rest lossRate, udp bool) int {
	alive := l.answered > 0
	if l.answered+l.lost < fewAnswers {
		l.answered += rest.answered
		l.lost += rest.lost
	}
	switch {
	case l.lost == 0 && udp && alive:
		// Silence is what most ports of UDP say: hardly anything would show loss.
		return min(max(l.needed(ports), baseTries), mostTries)
	case l.lost == 0 && (alive && l.answered < fewAnswers || udp):
		return baseTries + 1
	case l.lost == 0:
		return baseTries
	}
	return min(max(l.needed(ports), baseTries+1), maxTries)
}

// needed is after how many tries hardly any of those ports is missed. Half a try
// more is taken to be lost than was seen to be, for the ports that are still silent.
func (l lossRate) needed(ports int) int {
	share := min((l.lost+0.5)/(l.answered+l.lost+0.5), 0.9)
	return int(math.Ceil(math.Log(missed/float64(max(ports, 10))) / math.Log(share)))
}

const (
	fewAnswers = 30 // tell little about loss
	mostTries  = 6  // at a port of UDP, where no loss was seen
)

package lab

import (
	"net/netip"
	"slices"
)

// Trip is the way of one packet of the prober, of any kind, and of all that was
// sent to the prober because of it.
type Trip struct {
	// Entry is the packet's own: TTL as it was sent, Fate, and the node where
	// that came to be as At and Hop.
	Entry

	// Answers are what the node (or a hop that redirects, or a host that forges)
	// made of it, in that order, delivered or not: an answer for which the node
	// had no token left is Limited, one that a link of the way back swallowed is
	// Lost, and so on.
	Answers []Entry
}

// Answer returns the genuine answer that reached the prober first (echo reply,
// ICMP error, datagram or TCP segment), and false if none did. Forgeries,
// redirects and what has a flipped bit do not count.
func (t *Trip) Answer() (Entry, bool) {
	var first Entry
	found := false
	for _, a := range t.Answers {
		if a.Fate == Delivered && a.genuine() && (!found || a.order < first.order) {
			first, found = a, true
		}
	}
	return first, found
}

// Limited reports whether the node would have answered but for its RateLimit.
func (t *Trip) Limited() bool {
	return slices.ContainsFunc(t.Answers, func(a Entry) bool { return a.Fate == Limited && a.genuine() })
}

// LostBack reports whether the node answered and no answer reached the prober.
func (t *Trip) LostBack() bool {
	_, came := t.Answer()
	return !came && slices.ContainsFunc(t.Answers, func(a Entry) bool {
		return a.genuine() && a.Fate != Limited && a.Fate != Underway
	})
}

// Truth returns the trips of all packets of the prober to targets (to all if
// there are none given), in the order in which they entered the network. Packets
// beyond Topology.LogLimit are not there, nor are DNS queries to the resolvers.
func (l *Log) Truth(targets ...netip.Addr) []Trip {
	var trips []Trip
	index := make(map[uint64]int)
	for _, e := range l.Entries() {
		if len(targets) > 0 && !slices.Contains(targets, e.Target) {
			continue
		}
		if e.Dir == Out {
			index[e.Probe] = len(trips)
			trips = append(trips, Trip{Entry: e})
		} else if i, ok := index[e.Probe]; ok {
			trips[i].Answers = append(trips[i].Answers, e)
		}
	}
	return trips
}

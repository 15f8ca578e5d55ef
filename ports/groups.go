package ports

import (
	"fmt"
	"slices"
)

// Group is a set of infrastructure ports that belong together.
type Group struct {
	Name  string // without the @ that lists write before it
	About string // what is in it, for help texts
	Ports []Port // in both transports, those that matter most first
}

// Of returns the numbers of the ports of one transport.
func (g Group) Of(proto Proto) []uint16 {
	var own []uint16
	for _, p := range g.Ports {
		if p.Proto == proto {
			own = append(own, p.Number)
		}
	}
	return own
}

// Groups returns all groups, in the order in which help shows them. They are shared:
// do not change them.
func Groups() []Group { return slices.Clip(data().groups) }

// Top returns the first n common infrastructure ports of a transport; data/top.csv
// tells where each comes from, data/README.md how they are ordered. It knows 1000 of
// TCP, fewer of UDP, and returns an *Error for more.
func Top(n int, proto Proto) ([]uint16, error) {
	ranked, err := top(n, proto)
	if err != nil {
		return nil, err
	}
	return slices.Clone(ranked), nil
}

func top(n int, proto Proto) ([]uint16, *Error) {
	ranked := data().ranked[proto]
	if n < 1 || n > len(ranked) {
		return nil, &Error{
			Text: fmt.Sprintf("top:%d is not possible: there are 1 to %d common %s ports", n, len(ranked), proto),
			Hint: fmt.Sprintf("top:%d, or - for all 65535", len(ranked)),
		}
	}
	return ranked[:n], nil
}

package main

import (
	"fmt"
	"io"
)

// notices are lines on stderr of which there may be very many: the first few
// are printed, and how many more there were.
type notices struct {
	w    io.Writer
	hold bool // keep lines until flush: they would land in a table being redrawn
	few  int  // how many are printed; 0 means 10

	held       []string
	said, more int
}

// add prints line unless there were many.
func (n *notices) add(line string) {
	few := n.few
	if few == 0 {
		few = 10
	}
	switch {
	case n.said+len(n.held) >= few:
		n.more++
	case n.hold:
		n.held = append(n.held, line)
	default:
		n.print(line)
	}
}

// flush prints what was held back, and how many there were beside that.
func (n *notices) flush() {
	for _, line := range n.held {
		n.print(line)
	}
	if n.more > 0 {
		fmt.Fprintf(n.w, "netprobe: and %d more like this\n", n.more)
	}
	n.held, n.more = nil, 0
}

func (n *notices) print(line string) {
	fmt.Fprintf(n.w, "netprobe: %s\n", line)
	n.said++
}

package probe

import "time"

const (
	// headroom is how near to the ceiling a rate grows fast.
	headroom = 9. / 10
	// stride is how much of the ceiling a rate grows by below that.
	stride = 1. / 10
	// firstStep is by how much of the ceiling a rate comes nearer to it then, or
	// exceeds it, the first time; each further step is twice as large, up to
	// lastStep of the rate, so that a ceiling that has gone is soon behind.
	firstStep = 1. / 40
	lastStep  = 1. / 2
	// stepHold is how long each such step is tried at least: what a step too far
	// costs, some percent for a few epochs, becomes some thousandths.
	stepHold = 250 * time.Millisecond
	// stepEpochs is how many epochs it is tried at least, on long paths.
	stepEpochs = 10
)

// climb is how a rate grows.
type climb struct {
	ceiling float64       // packets per second that came through when there was loss; 0 if there was none
	step    float64       // the next step near the ceiling, as a part of it
	changed time.Duration // when the rate last changed
}

// fell says that no more than ceiling packets per second come through.
func (c *climb) fell(ceiling float64) { c.ceiling, c.step = ceiling, firstStep }

// fine returns the loss that must be seen at a rate before it is found good; 0
// for any that shows. Near the ceiling it is that which calls for half the rate,
// or half of what the last step would lose if it was one too far.
func (c *climb) fine(rate float64) float64 {
	if rate < c.ceiling*headroom || c.ceiling == 0 {
		return 0
	}
	return max(severe, min(c.step/4, lastStep/2))
}

// up returns the rate to go to after epoch e, which was good; that of e to stay.
func (c *climb) up(e *epoch) float64 {
	near := c.ceiling * headroom
	switch {
	case c.ceiling == 0:
		return 2 * e.rate
	case e.rate < near:
		return min(near, e.rate+c.ceiling*stride)
	case e.end-c.changed < max(stepHold, stepEpochs*(e.end-e.start)):
		return e.rate
	}
	step := min(c.step*c.ceiling, e.rate*lastStep)
	c.step *= 2
	return e.rate + step
}

package probe

import "math"

const (
	// enough answers: fewer say nothing about a share. Where eight are due, none
	// at all comes by chance once in 3,000 times.
	enough = 8
	// memory is for how many answers a reference is kept: enough to know a share
	// to within a hundredth, few enough to follow one that drifts.
	memory = 1 << 14
	// slight is the part of the answers whose loss is let pass, and severe the
	// part from which a rate is called wrong rather than a little too high.
	slight, severe = 1. / 50, 1. / 10
)

// A verdict is what evidence says beside its reference.
type verdict uint8

const (
	unsure verdict = iota // too little evidence
	same                  // as good as before
	less                  // a little is lost: the edge of what is possible
	worse                 // much is lost
)

// A sign is a share that stays the same while nothing limits: evidence about it
// from the present rate, and a reference from the rates before. Evidence is
// gathered until it is sure either way.
type sign struct {
	n, k       float64 // evidence: cases, and the good ones among them
	refN, refK float64 // the same, at rates that were good
}

func (s *sign) add(n, k float64) { s.n, s.k = s.n+n, s.k+min(k, n) }

// drop forgets the evidence.
func (s *sign) drop() { s.n, s.k = 0, 0 }

// share returns the share that the evidence shows.
func (s *sign) share() float64 { return s.k / max(s.n, 1) }

// reference returns the share that is normal; 0 if that is not known.
func (s *sign) reference() float64 { return s.refK / max(s.refN, 1) }

// short returns how many good cases are missing, and the standard deviation of
// that number if nothing has changed: a test of two proportions, so that a short
// reference counts for as little as it knows.
func (s *sign) short() (missing, sigma float64) {
	p := (s.k + s.refK) / (s.n + s.refN)
	return s.n*s.reference() - s.k, s.n * math.Sqrt(p*(1-p)*(1/s.n+1/s.refN))
}

// judge compares the evidence with the reference. Loss must be three standard
// deviations to be severe, and four to be slight: a false alarm of the second
// kind is the more probable one, because there is more of chance that is small.
func (s *sign) judge() verdict {
	switch {
	case s.refN == 0 && s.k >= enough:
		return same
	case s.refN == 0 || s.n*s.reference() < enough:
		return unsure
	}
	want := s.n * s.reference()
	missing, sigma := s.short()
	switch {
	case missing >= enough && missing > 3*sigma && missing > want*severe:
		return worse
	case missing >= enough && missing > 4*sigma && missing > want*slight:
		return less
	case missing <= max(sigma, want*slight):
		return same
	case s.n >= 4*s.refN: // the doubt is all about the reference
		return same
	}
	return unsure
}

// accept makes the evidence part of the reference, and all of it if the share
// has risen: what answered once can be missed later.
func (s *sign) accept() {
	if s.refN > 0 && s.n > 0 {
		if missing, sigma := s.short(); missing < -3*sigma {
			s.refN, s.refK = 0, 0
		}
	}
	s.refN, s.refK = s.refN+s.n, s.refK+s.k
	if f := memory / s.refK; f < 1 {
		s.refN, s.refK = s.refN*f, s.refK*f
	}
	s.drop()
}

// replace makes the evidence the reference.
func (s *sign) replace() { s.refN, s.refK, s.n, s.k = s.n, s.k, 0, 0 }

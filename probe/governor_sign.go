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
	// sure is how many standard deviations a loss must be. Evidence is looked at
	// again and again while it grows, some hundred times in a run that finds its
	// rate: with three, one run in ten would be slowed by chance.
	sure = 4
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
	late       float64 // cases that were good too late
	refN, refK float64 // the same, at rates that were good
}

func (s *sign) add(n, k, late float64) {
	s.n, s.k, s.late = s.n+n, s.k+min(k, n), s.late+late
}

// drop forgets the evidence.
func (s *sign) drop() { s.n, s.k, s.late = 0, 0, 0 }

// part returns the share that the evidence shows, if late cases count so much.
func (s *sign) part(late float64) float64 { return (s.k + late*s.late) / max(s.n, 1) }

// reference returns the share that is normal; 0 if that is not known.
func (s *sign) reference() float64 { return s.refK / max(s.refN, 1) }

// short returns how many good cases are missing, and the standard deviation of
// that number if nothing has changed: a test of two proportions, so that a short
// reference counts for as little as it knows.
func (s *sign) short() (missing, sigma float64) {
	p := (s.k + s.refK) / (s.n + s.refN)
	return s.n*s.reference() - s.k, s.n * math.Sqrt(p*(1-p)*(1/s.n+1/s.refN))
}

// judge compares the evidence with the reference.
// With fine, evidence is not called as good as before until so small a part of it
// could not be missing by chance.
func (s *sign) judge(fine float64) verdict {
	switch {
	case s.refN == 0 && s.k >= enough:
		return same
	case s.refN == 0 || s.n*s.reference() < enough:
		return unsure
	}
	want := s.n * s.reference()
	missing, sigma := s.short()
	switch {
	case missing >= enough && missing > sure*sigma && missing > want*severe:
		return worse
	case missing >= enough && missing > sure*sigma && missing > want*slight:
		return less
	case missing <= max(sigma, want*slight) && (fine == 0 || 3*sigma <= want*fine):
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
func (s *sign) replace() {
	s.refN, s.refK = s.n, s.k
	s.drop()
}

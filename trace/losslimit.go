package trace

import (
	"math"

	"netprobe/probe"
)

// How much better (in nats) a limit must explain the losses than chance. A hop
// that loses far more than those behind it has a reason of its own; one that does
// not needs none but the path.
const (
	limitAlone  = 10.0 // nobody to compare with, or more than by chance
	limitMore   = 7.0  // clearly more
	limitWorse  = 5.0  // far more
	limitHidden = 14.0 // no more
	limitUnseen = 4.0  // on top of that, if no token was seen to come back
	rushedMost  = 1e-4 // chance, at least, for what is only lost of the fastest probes: others were not sent then
	limitDoubt  = 3.0  // below this it is not worth while to ask more
	limitClear  = 6.0  // above what is needed, no more has to be asked
)

// judgeLimit finds out whether the hop limits what it says.
func (r *lossRow) judgeLimit(behind []*lossRow) {
	r.open = true
	need := limitAlone
	p := r.excess(behind)
	switch {
	case p < 1e-6:
		need = limitWorse
	case p < 1e-3:
		need = limitMore
	case p > 0.05 && !r.pressed():
		return
	case p > 0.05:
		need = limitHidden
	}
	f := fitBucket(r.list)
	r.doubtful = f.gain > limitDoubt
	if f.refills < 2 {
		need += limitUnseen
	}
	if f.gain < need {
		return
	}
	r.open = false
	r.verdict.Kind, r.verdict.Rate, r.verdict.Burst = probe.RateLimited, f.rate, f.burst
	r.doubtful = f.gain < need+limitClear || f.refills < 3 || !f.tight(r.list)
	r.clear = !r.doubtful
}

// excess returns the chance that the hop loses so much more than one behind it
// that does not limit although the path is to blame for both; 0.01 if there is
// none.
func (r *lossRow) excess(behind []*lossRow) float64 {
	least := math.Inf(1)
	for _, b := range behind {
		if b.all.n >= enough && (b.open || b.verdict.Kind == probe.NoLoss) {
			least = min(least, lossier(r.all, b.all), lossier(r.hurried, b.hurried), max(lossier(r.rushed, b.all), rushedMost))
		}
	}
	if math.IsInf(least, 1) {
		return 0.01
	}
	return least
}

// pressed reports whether the hop loses more when it is hurried.
func (r *lossRow) pressed() bool {
	calm := tally{r.all.n - r.hurried.n, r.all.lost - r.hurried.lost}
	return lossier(r.hurried, calm) < 0.05
}

package output

import "netprobe/probe"

// A vocabulary is what plain lines call the probes of one kind, and how they say
// what became of one. The methods append whole lines.
type vocabulary struct {
	title string // of the statistics
	seq   string // before the number of a probe
	sent  string // how many of what left
	loss  string
	many  string

	answered string // before whoever answered; of ports alone
	timed    string // the phase that the time of a probe is that of

	header    func(v *plain, b []byte, t *probe.Target) []byte
	answer    func(v *plain, b []byte, r *probe.Result) []byte // Reply, Late and further answers
	rejection func(v *plain, b []byte, r *probe.Result) []byte // Unreachable, Expired and Refused
}

// wordsOf returns the vocabulary of a verb.
func wordsOf(verb string) *vocabulary {
	if w, ok := portWords[kindOf(verb)]; ok {
		return w
	}
	return &pingWords
}

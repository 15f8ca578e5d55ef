package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// foresight is what a run of netprobe says after some time of how long the rest
// takes.
type foresight struct {
	after time.Duration

	mu    sync.Mutex
	said  bytes.Buffer
	asked time.Duration // since the start; 0 if it had ended before
}

// ask has p tell how far it is, when it is time. The function it returns ends the
// wait for that.
func (f *foresight) ask(p *os.Process, start time.Time) (stop func()) {
	timer := time.AfterFunc(f.after-time.Since(start), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if p.Signal(syscall.SIGQUIT) == nil {
			f.asked = time.Since(start)
		}
	})
	return func() { timer.Stop() }
}

// listen is the stderr of the run: what it says goes to w, too.
func (f *foresight) listen(w io.Writer) io.Writer { return io.MultiWriter(w, &f.said) }

var (
	etaText  = regexp.MustCompile(`ETA ((?:[0-9.]+ (?:s|min|h)\b ?)+)`)
	etaParts = regexp.MustCompile(`([0-9.]+) (s|min|h)\b`)
)

// errorOf is by how many percent of the time that was left after asking it said too
// much, for a run that took took.
func (f *foresight) errorOf(took time.Duration) (percent float64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked == 0 {
		return 0, fmt.Errorf("the run ended before %v", f.after)
	}
	m := etaText.FindStringSubmatch(f.said.String())
	if m == nil {
		return 0, fmt.Errorf("no ETA in %q", f.said.String())
	}
	var eta time.Duration
	for _, part := range etaParts.FindAllStringSubmatch(m[1], -1) {
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, err
		}
		unit := map[string]time.Duration{"s": time.Second, "min": time.Minute, "h": time.Hour}[part[2]]
		eta += time.Duration(n * float64(unit))
	}
	left := took - f.asked
	return 100 * float64(eta-left) / float64(left), nil
}

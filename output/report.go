package output

import (
	"io"
	"sync"
	"time"

	"netprobe/probe"
	"netprobe/stats"
)

// Report is the probe.Sink of a run: it counts every Result and shows it in
// each of its Views. Its methods may be called from several goroutines.
type Report struct {
	mu     sync.Mutex
	header *Header
	set    *stats.Set
	views  []View
	traces map[int]*traceRow // by target ID; nil until one is needed
}

// NewReport returns a Report of the run h that counts in set, or in that of its
// Sweep or Scan if it has one (set may be nil then), and shows in views.
func NewReport(h *Header, set *stats.Set, views ...View) *Report {
	return &Report{header: h, set: set, views: views}
}

// Begin announces the run. Call it once, before the first Record.
func (r *Report) Begin() error {
	return r.each(func(v View) error { return v.Begin(r.header, r.set) })
}

// Record implements probe.Sink. An error means that nobody reads any more.
func (r *Report) Record(res *probe.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var t *stats.Target
	if p := r.header.pass(); p != nil {
		p.count(res)
	} else {
		t = r.count(res)
	}
	if r.header.DNS != nil {
		r.header.DNS.Stats.Record(res)
	}
	var first error
	for _, v := range r.views {
		if err := v.Result(res, t); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Retarget lets the row t.ID show t: its name was resolved again.
func (r *Report) Retarget(t *probe.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set.Retarget(t)
	for _, v := range r.views {
		if v, ok := v.(interface{ retarget(*probe.Target) }); ok {
			v.retarget(t)
		}
	}
}

// Refresh redraws the Views that are redrawn in place. Call it a few times a
// second and whenever the terminal has changed its size.
func (r *Report) Refresh(now time.Time) error {
	return r.each(func(v View) error { return v.Refresh(now) })
}

// Snapshot writes the statistics so far to w: for each target the line with
// which ping answers SIGQUIT, of a sweep or a scan how far it is.
func (r *Report) Snapshot(w io.Writer) error {
	_, err := w.Write(r.snapshot()) // not under the lock: w may block
	return err
}

func (r *Report) snapshot() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.views {
		if d, ok := v.(interface{ detach() }); ok {
			d.detach() // w may be the terminal on which v draws
		}
	}
	if p := r.header.pass(); p != nil {
		return append(AppendProgress(nil, p.progress(time.Since(r.header.Start)), 0), '\n')
	}
	for _, t := range r.traces {
		t.release(len(t.held))
	}
	rows, words := r.set.Rows(), wordsOf(r.header.Verb)
	var b []byte
	for _, t := range rows {
		s := t.Summary()
		b = words.appendSnapshot(b, &s, len(rows) > 1)
	}
	return b
}

// End shows the summaries and how the run ended. Call it once, after the last Record.
func (r *Report) End(e *End) error {
	if p := r.header.pass(); p != nil {
		r.mu.Lock()
		p.over()
		r.mu.Unlock()
	}
	return r.each(func(v View) error { return v.End(e) })
}

// each calls f for every View, even after an error, and returns the first one.
func (r *Report) each(f func(View) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var first error
	for _, v := range r.views {
		if err := f(v); err != nil && first == nil {
			first = err
		}
	}
	return first
}

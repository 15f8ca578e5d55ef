package stats

import (
	"errors"
	"syscall"

	"netprobe/probe"
)

// maxFailures bounds how many different failures are told apart.
const maxFailures = 32

// Failure is one way in which hosts, or ports of a scan, could not be tested.
type Failure struct {
	Reason probe.Reason
	Err    error     // of the first one; nil if it came without
	First  SweepHost // the first one, or its host
	Count  uint64    // how many there were
}

// failureKind tells failures apart. The text of an error may name the host, so
// that of the system's error number stands for it where there is one.
type failureKind struct {
	reason probe.Reason
	errno  syscall.Errno
	text   string
}

func kindOfFailure(r *probe.Result) failureKind {
	k := failureKind{reason: r.Reason}
	if errno, ok := errors.AsType[syscall.Errno](r.Err); ok {
		k.errno = errno
	} else if r.Err != nil {
		k.text = r.Err.Error()
	}
	return k
}

// failures counts hosts or ports by why they could not be tested.
type failures struct {
	kinds []failureKind
	seen  []Failure // by kind
	other uint64
	fresh bool
}

// add counts r, and returns the index of its kind: maxFailures if it is none of
// those told apart.
func (f *failures) add(r *probe.Result) int {
	kind := kindOfFailure(r)
	f.fresh = false
	for i := range f.kinds {
		if f.kinds[i] == kind {
			f.seen[i].Count++
			return i
		}
	}
	if len(f.seen) == maxFailures {
		f.other++
		return maxFailures
	}
	f.fresh = true
	f.kinds = append(f.kinds, kind)
	f.seen = append(f.seen, Failure{r.Reason, r.Err, SweepHost{r.Target.Name, r.Target.Addr.Addr()}, 1})
	return len(f.seen) - 1
}

func (f *failures) list() []Failure { return append([]Failure(nil), f.seen...) }

// count returns how many were added.
func (f *failures) count() uint64 {
	n := f.other
	for i := range f.seen {
		n += f.seen[i].Count
	}
	return n
}

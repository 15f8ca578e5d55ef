package lab

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"sync"
)

// TB is what the lab needs of a *testing.T, *testing.B or *testing.F. Package
// testing itself is not imported: one day this is part of a user's binary.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(args ...any)
	Skip(args ...any)
}

// Runner is a *testing.M.
type Runner interface{ Run() int }

// M wraps a *testing.M so that Run runs the tests in a network namespace of
// their own. Where another wrapper wants a say in TestMain, give it an M:
//
//	testscript.Main(lab.M{M: m}, commands)
type M struct{ M Runner }

// Main is all a TestMain has to call: it runs the tests in a network namespace
// of their own and exits.
//
// As root that is a new network and mount namespace; as an ordinary user a new
// user namespace around them, in which the tests are root. The process starts
// itself once more for this, with the same flags and files, and passes signals
// on. Where the system refuses, the tests run where they are, and those that
// need a lab skip with the reason.
func Main(m Runner) { os.Exit(M{m}.Run()) }

// Run implements Runner.
func (m M) Run() int {
	if code, done := reexec(); done {
		return code
	}
	return m.M.Run()
}

var (
	namespaces = sync.OnceValue(checkNamespaces)
	tunDevice  = sync.OnceValue(checkTUN)
)

// Need skips the test, with the reason, if the system allows no network
// namespaces. If the environment says NETPROBE_LAB=require, it fails it instead.
func Need(t TB) {
	t.Helper()
	refuse(t, namespaces())
}

// NeedTUN is Need for labs with a simulator, which take a TUN device too.
func NeedTUN(t TB) {
	t.Helper()
	Need(t)
	refuse(t, tunDevice())
}

func refuse(t TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("NETPROBE_LAB") == "require":
		t.Fatal("NETPROBE_LAB=require, but " + err.Error())
	default:
		t.Skip(err.Error())
	}
}

// Start starts topo with a real kernel at the prober's end, and ends it with
// the test. It skips the test where the system does not allow it: see NeedTUN.
func Start(t TB, topo Topology) *Lab {
	t.Helper()
	NeedTUN(t)
	return adopt(t, topo.Start)
}

// Pair joins two namespaces by a veth pair, with real kernels at both ends, and
// takes them down with the test. It skips the test where the system does not
// allow it: see Need.
func Pair(t TB, v Veth) *Lab {
	t.Helper()
	Need(t)
	return adopt(t, v.Start)
}

func adopt(t TB, start func() (*Lab, error)) *Lab {
	t.Helper()
	l, err := start()
	if err != nil {
		t.Fatal(err)
	}
	l.t = t
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
	return l
}

// Must ends the test if err is not nil: l.Must(l.Down()).
func (l *Lab) Must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// Do runs f inside the prober's namespace: see Namespace.Do.
func (l *Lab) Do(f func()) {
	l.t.Helper()
	l.Must(l.Namespace.Do(f))
}

// Deny makes the prober's sends to the prefixes fail with EPERM. It skips the
// test where there is no nft command, unless NETPROBE_LAB is require.
func (l *Lab) Deny(prefixes ...netip.Prefix) {
	l.t.Helper()
	err := l.Namespace.Deny(prefixes...)
	if errors.Is(err, exec.ErrNotFound) {
		refuse(l.t, err)
	}
	l.Must(err)
}

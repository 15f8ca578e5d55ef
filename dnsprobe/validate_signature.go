package dnsprobe

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// What one validation may cost. A hostile zone can hold hundreds of keys with one
// tag and as many signatures, each pair of which has to be tried (CVE-2023-50387),
// and names whose denial takes many hashes (CVE-2023-50868).
const (
	maxSetChecks  = 16   // signatures checked for one set
	maxChecks     = 256  // signatures checked in all
	maxDigests    = 64   // digests of keys computed in all, for each zone
	maxHashes     = 1024 // names hashed for NSEC3
	maxIterations = 100  // of an NSEC3 hash: RFC 9276 section 3.2
)

// flaw is why something is not secure. A nil flaw is: it is.
type flaw struct {
	is  Security
	why string
}

func bogus(format string, args ...any) *flaw {
	return &flaw{Bogus, fmt.Sprintf(format, args...)}
}

// verify checks set against the keys of z: one signature that is right, valid
// now and made by z is enough (RFC 4035 section 5.3). If the set was expanded
// from a wildcard, encloser is the wildcard's parent, else it is empty.
func (v *validator) verify(set rrset, z *zone) (encloser string, until time.Time, f *flaw) {
	if len(set.sigs) == 0 {
		return "", until, bogus("no RRSIG for %v though %s is signed", set, show(z.name))
	}
	worst := failure{}
	checks := 0
	for _, sig := range set.sigs {
		failed := v.acceptable(set, sig, z)
		if failed.why != "" {
			worst = worst.or(failed)
			continue
		}
		for _, k := range z.keys {
			if k.tag != sig.KeyTag || k.rr.Algorithm != sig.Algorithm {
				continue
			}
			if k.unusable != "" {
				worst = worst.or(failure{Indeterminate, badKey, fmt.Sprintf("signature of %v is by key %d of %s, which cannot be used here: %s", set, k.tag, show(z.name), k.unusable)})
				continue
			}
			if checks++; checks > maxSetChecks || !v.budget.check() {
				return "", until, bogus("%v needs more signature checks than the %d that are made for one set and %d for one name",
					set, maxSetChecks, maxChecks)
			}
			if err := sig.Verify(k.rr, set.rrs); err != nil {
				worst = worst.or(failure{Bogus, badMaths, fmt.Sprintf("signature of %v by key %d of %s does not match its data", set, k.tag, show(z.name))})
				continue
			}
			if labels := ownLabels(set.name); int(sig.Labels) < labels {
				encloser = suffixOf(set.name, int(sig.Labels))
			}
			k.used = true
			return encloser, v.timeOf(sig.Expiration), nil
		}
		worst = worst.or(failure{Bogus, noKey, fmt.Sprintf("signature of %v is by key %d, which %s does not have", set, sig.KeyTag, show(z.name))})
	}
	return "", until, &flaw{worst.is, worst.why}
}

// failure is why one signature does not count. Of several, the one that got
// furthest is told: the others may be left over from a change of keys.
type failure struct {
	is    Security
	stage int
	why   string
}

const (
	badForm = 1 + iota
	noKey
	badKey
	badTime
	badMaths
)

func (f failure) or(other failure) failure {
	if other.stage > f.stage {
		return other
	}
	return f
}

// acceptable says why sig cannot count whatever the keys say, if it cannot.
func (v *validator) acceptable(set rrset, sig *dns.RRSIG, z *zone) failure {
	signer := dns.CanonicalName(sig.SignerName)
	switch {
	case signer != z.name:
		return failure{Bogus, badForm, fmt.Sprintf("signature of %v is by %s, but the zone of the data is %s", set, show(signer), show(z.name))}
	case int(sig.Labels) > ownLabels(set.name):
		return failure{Bogus, badForm, fmt.Sprintf("signature of %v is over a name of %d labels, it has %d", set, sig.Labels, ownLabels(set.name))}
	case int(sig.Labels) < dns.CountLabel(z.name):
		return failure{Bogus, badForm, fmt.Sprintf("signature of %v is over a wildcard outside of %s", set, show(z.name))}
	case !knownAlgorithm(sig.Algorithm):
		return failure{Bogus, badForm, fmt.Sprintf("signature of %v is by %s, which cannot be checked here", set, showAlgorithm(sig.Algorithm))}
	case !sizedRight(sig):
		return failure{Bogus, badForm, fmt.Sprintf("signature of %v has not the size of an %s one", set, showAlgorithm(sig.Algorithm))}
	}
	if why := v.outOfTime(sig); why != "" {
		return failure{Bogus, badTime, fmt.Sprintf("signature of %v %s", set, why)}
	}
	return failure{}
}

// ownLabels counts labels as RRSIG does: a leading asterisk is none (RFC 4034
// section 3.1.3).
func ownLabels(name string) int {
	n := dns.CountLabel(name)
	if strings.HasPrefix(name, "*.") {
		n--
	}
	return n
}

// outOfTime compares in serial arithmetic (RFC 4034 section 3.1.5).
func (v *validator) outOfTime(sig *dns.RRSIG) string {
	now := uint32(v.now.Unix())
	if early := int32(sig.Inception - now); early > 0 {
		return fmt.Sprintf("is not valid before %s, in %s (the clock of this host says %s)",
			showTime(v.timeOf(sig.Inception)), showSpan(int64(early)), showTime(v.now))
	}
	if late := int32(now - sig.Expiration); late > 0 {
		return fmt.Sprintf("expired %s ago, at %s (the clock of this host says %s)",
			showSpan(int64(late)), showTime(v.timeOf(sig.Expiration)), showTime(v.now))
	}
	return ""
}

// timeOf is the time nearest to now that has this serial.
func (v *validator) timeOf(serial uint32) time.Time {
	now := v.now.Unix()
	return time.Unix(now+int64(int32(serial-uint32(now))), 0).UTC()
}

func showTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// showSpan writes seconds for people, in one unit.
func showSpan(seconds int64) string {
	for _, unit := range []struct {
		seconds int64
		name    string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		if n := seconds / unit.seconds; n > 1 || n == 1 && unit.seconds == 1 {
			return fmt.Sprintf("%d %s%s", n, unit.name, map[bool]string{true: "s"}[n > 1])
		}
	}
	return "0 seconds"
}

// algorithms are the ones checked here. SHA-1 is weak, but what is signed with it
// must not become insecure for that: RFC 9905 keeps it for validators.
var algorithms = []uint8{
	dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512,
	dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519,
}

func knownAlgorithm(a uint8) bool { return slices.Contains(algorithms, a) }

func showAlgorithm(a uint8) string {
	if s, ok := dns.AlgorithmToString[a]; ok {
		return s
	}
	return fmt.Sprintf("algorithm %d", a)
}

// sizedRight says whether a signature has the length its algorithm gives it.
func sizedRight(sig *dns.RRSIG) bool {
	n := base64.StdEncoding.DecodedLen(len(sig.Signature)) - strings.Count(sig.Signature, "=")
	switch sig.Algorithm {
	case dns.ECDSAP256SHA256, dns.ED25519:
		return n == 64
	case dns.ECDSAP384SHA384:
		return n == 96
	}
	return n > 0
}

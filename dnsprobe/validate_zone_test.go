package dnsprobe

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// testZone is a zone as an authoritative server has it. Its records are signed
// once, when the tree it is in is made.
type testZone struct {
	name  string
	text  string // records in zone file form, relative to name; SOA and own NS are added
	alg   uint8  // 0 for a zone without signatures
	nsec3 *testNSEC3
	begin time.Duration // of signatures, from now; 0 for an hour ago
	end   time.Duration // 0 for 30 days

	// The sets of each name, with what signing added.
	sets map[string]map[uint16][]dns.RR
	sigs map[string]map[uint16][]dns.RR
	ksk  testKey
	zsk  testKey
	now  time.Time
}

type testNSEC3 struct {
	iter   uint16
	salt   string
	optOut bool
}

type testKey struct {
	rr     *dns.DNSKEY
	signer crypto.Signer
}

// testKeys makes keys once: RSA takes long.
var testKeys sync.Map

func keyFor(zone string, alg uint8, flags uint16) testKey {
	id := fmt.Sprint(zone, alg, flags)
	if k, ok := testKeys.Load(id); ok {
		return k.(testKey)
	}
	bits := map[uint8]int{dns.RSASHA1: 1024, dns.RSASHA256: 2048, dns.RSASHA512: 1024, dns.ECDSAP256SHA256: 256, dns.ECDSAP384SHA384: 384, dns.ED25519: 256}[alg]
	rr := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300},
		Flags: flags, Protocol: 3, Algorithm: alg,
	}
	private, err := rr.Generate(bits)
	if err != nil {
		panic(err)
	}
	k := testKey{rr, private.(crypto.Signer)}
	testKeys.Store(id, k)
	return k
}

func mustRR(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// load reads the records and makes the keys.
func (z *testZone) load(t testing.TB, now time.Time) {
	t.Helper()
	z.now = now
	z.sets, z.sigs = map[string]map[uint16][]dns.RR{}, map[string]map[uint16][]dns.RR{}
	apex := fmt.Sprintf("%[1]s 300 IN SOA ns.%[2]s host.%[2]s 1 1800 900 604800 60\n%[1]s 300 IN NS ns.%[2]s\n", z.name, strings.TrimPrefix(z.name, "."))
	zp := dns.NewZoneParser(strings.NewReader("$TTL 300\n"+apex+z.text), z.name, "")
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		z.add(rr)
	}
	if err := zp.Err(); err != nil {
		t.Fatal(z.name, err)
	}
	if z.alg != 0 {
		z.ksk, z.zsk = keyFor(z.name, z.alg, 257), keyFor(z.name, z.alg, 256)
		z.add(z.ksk.rr)
		z.add(z.zsk.rr)
	}
}

func (z *testZone) add(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if z.sets[name] == nil {
		z.sets[name] = map[uint16][]dns.RR{}
	}
	z.sets[name][rr.Header().Rrtype] = append(z.sets[name][rr.Header().Rrtype], rr)
}

// sign makes the NSEC or NSEC3 chain and all signatures.
func (z *testZone) sign(t testing.TB) {
	t.Helper()
	if z.alg == 0 {
		return
	}
	if z.nsec3 != nil {
		z.chain3()
	} else {
		z.chain()
	}
	for name, types := range z.sets {
		for typ, rrs := range types {
			if z.hidden(name) || z.isCut(name) && typ != dns.TypeDS && typ != dns.TypeNSEC {
				continue
			}
			key := z.zsk
			if typ == dns.TypeDNSKEY {
				key = z.ksk
			}
			z.addSig(t, name, typ, z.signature(t, key, rrs))
		}
	}
}

func (z *testZone) addSig(t testing.TB, name string, typ uint16, sig *dns.RRSIG) {
	t.Helper()
	if z.sigs[name] == nil {
		z.sigs[name] = map[uint16][]dns.RR{}
	}
	z.sigs[name][typ] = append(z.sigs[name][typ], sig)
}

func (z *testZone) signature(t testing.TB, k testKey, rrs []dns.RR) *dns.RRSIG {
	t.Helper()
	begin, end := z.begin, z.end
	if begin == 0 {
		begin = -time.Hour
	}
	if end == 0 {
		end = 30 * 24 * time.Hour
	}
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Ttl: 300},
		Algorithm: k.rr.Algorithm, KeyTag: k.rr.KeyTag(), SignerName: z.name,
		Inception: uint32(z.now.Add(begin).Unix()), Expiration: uint32(z.now.Add(end).Unix()),
	}
	if err := sig.Sign(k.signer, rrs); err != nil {
		t.Fatal(z.name, err)
	}
	return sig
}

// isCut says whether another zone starts at name.
func (z *testZone) isCut(name string) bool { return name != z.name && z.sets[name][dns.TypeNS] != nil }

// hidden says whether name is below a cut: glue.
func (z *testZone) hidden(name string) bool {
	for name = parentOf(name); below(name, z.name); name = parentOf(name) {
		if z.isCut(name) {
			return true
		}
	}
	return false
}

// names returns the zone's own names in canonical order, with the empty ones in
// between where they count (NSEC3).
func (z *testZone) names(empty bool) []string {
	var names []string
	for name := range z.sets {
		if z.hidden(name) {
			continue
		}
		names = append(names, name)
		for p := parentOf(name); empty && below(p, z.name); p = parentOf(p) {
			names = append(names, p)
		}
	}
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}

func (z *testZone) bitmap(name string, extra ...uint16) []uint16 {
	types := extra
	for typ := range z.sets[name] {
		if z.isCut(name) && typ != dns.TypeNS && typ != dns.TypeDS {
			continue
		}
		types = append(types, typ)
	}
	slices.Sort(types)
	return types
}

func (z *testZone) chain() {
	names := z.names(false)
	for i, name := range names {
		z.add(&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60},
			NextDomain: names[(i+1)%len(names)],
			TypeBitMap: z.bitmap(name, dns.TypeNSEC, dns.TypeRRSIG),
		})
	}
}

func (z *testZone) hash(name string) string {
	return dns.HashName(name, dns.SHA1, z.nsec3.iter, z.nsec3.salt)
}

func (z *testZone) chain3() {
	byHash := map[string]string{}
	var hashes []string
	for _, name := range z.names(true) {
		if z.nsec3.optOut && z.isCut(name) && z.sets[name][dns.TypeDS] == nil {
			continue
		}
		byHash[z.hash(name)] = name
		hashes = append(hashes, z.hash(name))
	}
	slices.Sort(hashes)
	flags := uint8(0)
	if z.nsec3.optOut {
		flags = 1
	}
	for i, h := range hashes {
		bits := z.bitmap(byHash[h])
		if len(bits) > 0 && !(z.isCut(byHash[h]) && z.sets[byHash[h]][dns.TypeDS] == nil) {
			bits = z.bitmap(byHash[h], dns.TypeRRSIG)
		}
		z.add(&dns.NSEC3{
			Hdr:  dns.RR_Header{Name: strings.ToLower(h) + "." + strings.TrimPrefix(z.name, "."), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 60},
			Hash: dns.SHA1, Flags: flags, Iterations: z.nsec3.iter, SaltLength: uint8(len(z.nsec3.salt) / 2), Salt: z.nsec3.salt,
			HashLength: 20, NextDomain: hashes[(i+1)%len(hashes)], TypeBitMap: bits,
		})
	}
}

// set returns the set with its signatures, owned by as.
func (z *testZone) set(name string, typ uint16, as string) []dns.RR {
	var out []dns.RR
	for _, rr := range append(slices.Clone(z.sets[name][typ]), z.sigs[name][typ]...) {
		rr = dns.Copy(rr)
		rr.Header().Name = as
		out = append(out, rr)
	}
	return out
}

func (z *testZone) exists(name string) bool {
	return slices.ContainsFunc(z.names(true), func(n string) bool { return n == name }) || name == z.name
}

// answer is what an authoritative server of the zone says.
func (z *testZone) answer(name string, typ uint16) *dns.Msg {
	m := &dns.Msg{}
	m.Authoritative = true
	for n := dns.CountLabel(z.name) + 1; n <= dns.CountLabel(name); n++ {
		at := suffixOf(name, n)
		if z.isCut(at) && !(at == name && typ == dns.TypeDS) {
			z.refer(m, at)
			return m
		}
		if z.sets[at][dns.TypeDNAME] != nil && at != name {
			m.Answer = z.set(at, dns.TypeDNAME, at)
			target, _ := substitute(name, rrset{name: at, rrs: z.sets[at][dns.TypeDNAME]})
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}, Target: target})
			return m
		}
	}
	from := name
	encloser := name
	if !z.exists(name) {
		for encloser = parentOf(name); !z.exists(encloser); encloser = parentOf(encloser) {
		}
		from = wildcardOf(encloser)
		if z.sets[from] == nil {
			m.Rcode = dns.RcodeNameError
			z.deny(m, name, encloser)
			return m
		}
	}
	for _, t := range []uint16{typ, dns.TypeCNAME} {
		if z.sets[from][t] != nil {
			m.Answer = z.set(from, t, name)
			if from != name {
				z.cover(m, name, encloser)
			}
			return m
		}
	}
	z.deny(m, name, encloser)
	return m
}

func (z *testZone) refer(m *dns.Msg, cut string) {
	m.Authoritative = false
	m.Ns = z.set(cut, dns.TypeNS, cut)
	if ds := z.set(cut, dns.TypeDS, cut); ds != nil {
		m.Ns = append(m.Ns, ds...)
	} else if z.alg != 0 {
		z.prove(m, cut, cut)
	}
	for _, ns := range z.sets[cut][dns.TypeNS] {
		host := ns.(*dns.NS).Ns
		m.Extra = append(m.Extra, z.sets[host][dns.TypeA]...)
		m.Extra = append(m.Extra, z.sets[host][dns.TypeAAAA]...)
	}
}

func (z *testZone) deny(m *dns.Msg, name, encloser string) {
	m.Ns = append(m.Ns, z.set(z.name, dns.TypeSOA, z.name)...)
	if z.alg != 0 {
		z.prove(m, name, encloser)
		z.prove(m, wildcardOf(encloser), encloser)
	}
}

// cover adds the proof that nothing is closer to name than a wildcard.
func (z *testZone) cover(m *dns.Msg, name, encloser string) {
	if z.alg == 0 {
		return
	}
	if z.nsec3 != nil {
		name = suffixOf(name, dns.CountLabel(encloser)+1)
	}
	z.prove(m, name, encloser)
}

// prove adds what matches or covers name, and with NSEC3 the closest encloser.
func (z *testZone) prove(m *dns.Msg, name, encloser string) {
	if z.nsec3 == nil {
		z.include(m, z.nsecFor(name), dns.TypeNSEC)
		return
	}
	for encloser != z.name && z.byHash(encloser, false) == "" {
		encloser = parentOf(encloser)
	}
	if name != encloser {
		z.include(m, z.byHash(encloser, false), dns.TypeNSEC3)
		z.include(m, z.byHash(suffixOf(name, dns.CountLabel(encloser)+1), true), dns.TypeNSEC3)
	}
	z.include(m, z.byHash(name, true), dns.TypeNSEC3)
}

func (z *testZone) include(m *dns.Msg, name string, typ uint16) {
	for _, rr := range m.Ns {
		if rr.Header().Name == name && rr.Header().Rrtype == typ {
			return
		}
	}
	m.Ns = append(m.Ns, z.set(name, typ, name)...)
}

// nsecFor returns the owner of the NSEC that matches or covers name.
func (z *testZone) nsecFor(name string) string {
	best := z.name
	for _, n := range z.names(false) {
		if compareNames(n, name) <= 0 {
			best = n
		}
	}
	return best
}

// byHash returns the owner of the NSEC3 that matches name or, if it may, covers it.
func (z *testZone) byHash(name string, cover bool) string {
	want := z.hash(name)
	best, last := "", ""
	for n, types := range z.sets {
		if types[dns.TypeNSEC3] == nil {
			continue
		}
		h := strings.ToUpper(n[:32])
		if h == want {
			return n
		}
		if h < want && n > best {
			best = n
		}
		if n > last {
			last = n
		}
	}
	if !cover {
		return ""
	}
	if best == "" {
		return last
	}
	return best
}

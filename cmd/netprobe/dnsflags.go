package main

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"netprobe/dnsprobe"
	"netprobe/internal/certs"
	"netprobe/output"
	"netprobe/rawsock"
)

// dnsFlags are the flags of dns.
type dnsFlags struct {
	runFlags

	file    string
	reverse bool
	class   string
	proto   string
	options dnsprobe.Options

	retries    int // -1 for the default
	ignoreTC   bool
	servername string
	insecure   bool
	ca         string

	trace   bool
	root    netip.AddrPort // invalid for the servers of the root zone
	dnssec  bool
	anchor  string
	anchors *dnsprobe.Anchors // nil for those of the root zone

	short       bool
	compare     bool
	expectRcode string
	expected    []dnsprobe.Expectation
	window      int // 0 for the engine's own
}

// define gives cmd its flags.
func (f *dnsFlags) define(cmd *cobra.Command) {
	var g flagGroups
	f.ask(g.add("What to ask"))
	f.look(g.add("To look into"))
	f.pace(g.add("How many and how often"))
	way := g.add("Where to and by which way")
	f.way(way)
	f.family(way)
	f.leave(way)
	show := g.add("Output")
	f.runFlags.show(show, output.DNSFormats(), "table")
	show.Lookup("numeric").Hidden = true // accepted, and always so
	onOff(show, &f.short, "short", "", "same as -o short: the data of the answers and nothing else")
	onOff(show, &f.compare, "compare", "", "what servers answer side by side, and who differs in what: rcode, records, TTL, SOA serial; exit 1 if in more than the TTL")
	onOff(show, &f.stamps, "timestamps", "D", "start each answer with the time")
	script := g.add("For scripts")
	script.Var(rcodeValue{&f.expectRcode}, "expect-rcode", "exit 0 for this `RCODE` and 1 for others, as in NXDOMAIN")
	script.Var(expectValue{&f.expected}, "expect", "exit 1 unless the records of a type are exactly those given as `TYPE=DATA`, or are there at all, as in A; may be repeated")
	f.runFlags.expect(script)
	g.attach(cmd)
	completeFlags(cmd)
}

func (f *dnsFlags) ask(fs *pflag.FlagSet) {
	onOff(fs, &f.reverse, "reverse", "x", "NAME is an address: ask for its name")
	fs.VarP(textValue{&f.file, "FILE", "the name of a file, or - for stdin"}, "file", "f", "ask the lines of `FILE` (- is stdin): NAME [TYPE...]")
	f.class = "IN"
	fs.Var(wordValue{&f.class, []string{"IN", "CH", "HS"}}, "class", "class of the question, as CH for version.bind TXT")
	onOff(fs, &f.options.NoRecursion, "no-recursion", "", "do not ask the server to ask others")
	onOff(fs, &f.options.CD, "cd", "", "answers that do not validate, too (checking disabled)")
	onOff(fs, &f.options.DO, "do", "", "DNSSEC records, too")
	fs.Var(prefixValue{&f.options.Subnet}, "ecs", "client subnet to send along, as in 198.51.100.0/24 (RFC 7871)")
	onOff(fs, &f.options.Cookie, "cookie", "", "send a cookie and hold the server to it (RFC 7873)")
	f.options.UDPSize = dnsprobe.DefaultUDPSize
	fs.Var(intValue{&f.options.UDPSize, 512, math.MaxUint16}, "bufsize", "largest datagram the server may send, bytes")
	onOff(fs, &f.options.NoNSID, "no-nsid", "", "do not ask which instance answers")
	onOff(fs, &f.options.NoEDNS, "no-edns", "", "ask as before EDNS, without all that needs it")
	onOff(fs, &f.ignoreTC, "ignore-tc", "", "take truncated answers as they are; else they are asked for again by tcp")
}

// look defines what is done instead of asking servers once.
func (f *dnsFlags) look(fs *pflag.FlagSet) {
	onOff(fs, &f.trace, "trace", "", "walk from the root to the answer, and time each step")
	fs.Var(addrPortValue{&f.root}, "root", "where --trace starts: `ADDR[:PORT]`; a port holds for all servers it meets")
	onOff(fs, &f.dnssec, "dnssec", "", "judge answers by DNSSEC: secure, insecure, or bogus and why; exit 1 for bogus. With --trace from the servers of the zones, else from @SERVER")
	fs.Var(textValue{&f.anchor, "FILE", "the name of a file with DS or DNSKEY records"}, "anchor", "trust the DS and DNSKEY records in `FILE` instead of the keys of the root zone")
}

// studies reports whether questions are looked into one by one.
func (f *dnsFlags) studies() bool { return f.trace || f.dnssec }

func (f *dnsFlags) pace(fs *pflag.FlagSet) {
	f.count, f.interval, f.timeout, f.late, f.retries = 1, time.Second, 2*time.Second, time.Second, -1
	fs.VarP(intValue{&f.count, 1, math.MaxInt32}, "count", "c", "times each question is asked of each server")
	fs.VarP(durationValue{&f.interval, 0, year}, "interval", "i", "time between rounds of -c: `D` is seconds (0.2) or has a unit (200ms)")
	fs.VarP(durationValue{&f.timeout, time.Millisecond, year}, "timeout", "W", "how long one attempt may take")
	fs.Var(durationValue{&f.late, 0, year}, "late", "how long after the timeout an answer by udp is still recorded as late")
	fs.VarP(intValue{&f.retries, 0, 100}, "retries", "r", "further attempts by udp before silence counts (default 2; 0 with -c and -f, where each loss counts)")
	hideZero(fs, "retries")
	f.limits(fs)
	fs.Lookup("rate").Usage = "at most `N` queries per second for the whole run, or max; else 100 are under way to each server"
	hideZero(fs, "rate")
}

func (f *dnsFlags) way(fs *pflag.FlagSet) {
	f.proto = dnsprobe.UDP.String()
	fs.VarP(protoDNSValue{wordValue{&f.proto, dnsprobe.Transports()}}, "proto", "P", "`PROTO` of servers without a scheme: udp, tcp, tls or https")
	fs.Var(textValue{&f.servername, "NAME", "a host name"}, "servername", "the `NAME` that certificates must be for (default that of the server)")
	onOff(fs, &f.insecure, "insecure", "", "take any certificate")
	fs.Var(textValue{&f.ca, "FILE", "the name of a file with certificates in PEM"}, "ca", "trust the certificates in `FILE` (PEM) instead of those of the system")
}

var dnsConflicts = []conflict{
	{"no-edns", "do", "the DO bit is part of EDNS"},
	{"no-edns", "ecs", "the client subnet is part of EDNS"},
	{"no-edns", "cookie", "cookies are part of EDNS"},
	{"no-edns", "bufsize", "the size is part of EDNS"},
	{"insecure", "ca", "--insecure takes any certificate"},
	{"insecure", "servername", "--insecure takes any certificate"},
}

// studyConflicts are flags that mean nothing to a walk or to a judgement.
var studyConflicts = []string{
	"count", "interval", "rate", "retries", "late", "compare", "proto", "expect", "ecs", "cookie", "bufsize", "no-edns", "no-nsid", "no-recursion",
	"cd", "do", "ignore-tc", "ca", "insecure", "servername", "class",
}

// checkStudy checks the flags of --trace and --dnssec.
func (f *dnsFlags) checkStudy(fs *pflag.FlagSet) error {
	switch {
	case f.root.IsValid() && !f.trace:
		return usage("add --trace, which starts there", "--root without --trace")
	case f.anchor != "" && !f.dnssec:
		return usage("add --dnssec, which trusts it", "--anchor without --dnssec")
	case !f.studies():
		return nil
	}
	verb := "--trace"
	if f.dnssec {
		verb = "--dnssec"
	}
	for _, name := range studyConflicts {
		if fs.Changed(name) {
			return usage(verb+" asks each question once, as it sees fit", "%s and --%s contradict each other", verb, name)
		}
	}
	if f.format == "csv" {
		return usage("show it as a table, short or json", "-o csv has no place for %s", verb)
	}
	return f.readAnchors()
}

func (f *dnsFlags) readAnchors() error {
	if f.anchor == "" {
		return nil
	}
	file, err := openAsCaller(f.anchor)
	if err != nil {
		return usage("--anchor takes a file of DS or DNSKEY records", "cannot read anchors: %v", err)
	}
	defer file.Close()
	if f.anchors, err = dnsprobe.ParseAnchors(file); err != nil {
		return usage("--anchor takes a file of DS or DNSKEY records, as in . IN DS 20326 8 2 E06D44...", "%q: %v", f.anchor, err)
	}
	return nil
}

// check finishes the flags after parsing.
func (f *dnsFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, dnsConflicts); err != nil {
		return err
	}
	if f.short {
		if f.json || f.format != "" && f.format != "short" {
			return usage("records go into a file with --out FILE", "--short is -o short, and another format was asked for")
		}
		f.format = "short"
	}
	if err := f.runFlags.check(fs); err != nil {
		return err
	}
	if err := f.checkStudy(fs); err != nil {
		return err
	}
	if f.compare && (f.format == "short" || f.format == "csv") {
		return usage("leave out --compare, or show it as a table or json", "-o %s has no place for a comparison", f.format)
	}
	if f.retries < 0 {
		if f.retries = 2; f.count > 1 || f.file != "" {
			f.retries = 0
		}
	}
	if fs.Changed("rate") {
		f.window = math.MaxInt32
	}
	return nil
}

// maxQuestions bounds what -f reads.
const maxQuestions = 1_000_000

// readQuestions reads NAME [TYPE...] lines; empty ones and those after # do not count.
func (f *dnsFlags) readQuestions(stdin io.Reader, types []string) ([]dnsprobe.Question, error) {
	in, name := stdin, "stdin"
	if f.file != "-" {
		file, err := openAsCaller(f.file)
		if err != nil {
			return nil, usage("-f takes a file with a name on each line, or - for stdin", "cannot read names: %v", err)
		}
		defer file.Close()
		in, name = file, f.file
	}
	var all []dnsprobe.Question
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		qs, err := f.lineQuestions(words, types)
		if err != nil {
			err.msg = fmt.Sprintf("%q, line %d: %s", name, n, err.msg)
			return nil, err
		}
		if all = append(all, qs...); len(all) > maxQuestions {
			return nil, usage("split the file", "%q has more than %d questions", name, maxQuestions)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, usage("", "cannot read %q: %v", name, err)
	}
	if len(all) == 0 {
		return nil, usage("one NAME [TYPE...] a line", "no questions in %q", name)
	}
	return all, nil
}

func (f *dnsFlags) lineQuestions(words, types []string) ([]dnsprobe.Question, *failure) {
	for _, w := range words[1:] {
		if !dnsprobe.IsType(w) {
			return nil, usage("a line is NAME [TYPE...]", "%q is not a record type", w)
		}
	}
	if len(words) > 1 {
		types = words[1:]
	}
	qs, err := f.questionsOf(words[0], types)
	if err == nil {
		return qs, nil
	}
	if u, ok := errors.AsType[*failure](err); ok {
		return nil, u
	}
	return nil, usage("", "%v", err)
}

// roots reads the certificates of --ca. Without those this host has some of its
// own, if servers are to be judged.
func (f *dnsFlags) roots(servers []dnsprobe.Server) (dnsprobe.TLS, error) {
	t := dnsprobe.TLS{ServerName: f.servername, Insecure: f.insecure}
	if f.ca == "" {
		secure := slices.ContainsFunc(servers, func(s dnsprobe.Server) bool { return s.Transport == dnsprobe.DoT || s.Transport == dnsprobe.DoH })
		if !secure || f.insecure {
			return t, nil
		}
		if err := certs.CheckRoots(); err != nil {
			return t, untested(err, noRootsHint+", or name some with --ca")
		}
		return t, nil
	}
	const hint = "--ca takes a file of certificates in PEM, as openssl x509 writes them"
	file, err := openAsCaller(f.ca)
	if err != nil {
		return t, usage(hint, "cannot read certificates: %v", err)
	}
	defer file.Close()
	pem, err := io.ReadAll(io.LimitReader(file, 8<<20))
	if err != nil {
		return t, usage(hint, "cannot read certificates: %v", err)
	}
	if t.Roots = x509.NewCertPool(); !t.Roots.AppendCertsFromPEM(pem) {
		return t, usage(hint, "no certificate in %q", f.ca)
	}
	return t, nil
}

// config is what the flags say to the engine.
func (f *dnsFlags) config(s *dnsRun) dnsprobe.Config {
	c := dnsprobe.Config{
		Questions: s.questions, Options: f.options,
		Count: f.count, Interval: f.interval, Timeout: f.timeout, Late: f.late, Rate: f.rate, Window: f.window, Retries: f.retries,
		KeepTruncated: f.ignoreTC, Expect: f.expected, TLS: s.tls,
		Socket: rawsock.Config{Source: f.source, Interface: f.iface, Mark: f.mark},
	}
	// Who wants no more than totals does not pay for the rest.
	c.Brief = f.quiet && f.out == "" && !f.compare && len(f.expected) == 0
	return c
}

// study is what the flags say to a walk or a judgement.
func (f *dnsFlags) study(s *dnsRun) dnsprobe.StudyConfig {
	c := dnsprobe.StudyConfig{
		Questions: s.questions, Walk: f.trace, Validate: f.dnssec, Root: f.root, Anchors: f.anchors, Timeout: f.timeout,
		Socket: rawsock.Config{Source: f.source, Interface: f.iface, Mark: f.mark},
	}
	switch f.network() {
	case "ip4":
		c.Family = 4
	case "ip6":
		c.Family = 6
	}
	return c
}

// addrPortValue is an address with or without a port.
type addrPortValue struct{ p *netip.AddrPort }

func (v addrPortValue) Type() string { return "ADDR[:PORT]" }

func (v addrPortValue) String() string {
	if !v.p.IsValid() {
		return ""
	}
	return v.p.String()
}

func (v addrPortValue) Set(s string) error {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		*v.p = netip.AddrPortFrom(a.Unmap(), 53)
		return nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return errors.New("an address as in 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:5353")
	}
	*v.p = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	return nil
}

// protoDNSValue is a transport, with a word about the one that is missing.
type protoDNSValue struct{ wordValue }

func (v protoDNSValue) Set(s string) error {
	if s == "quic" {
		return errors.New("DNS over QUIC is not built in; one of " + strings.Join(v.words, ", "))
	}
	return v.wordValue.Set(s)
}

// rcodeValue is the name of an rcode.
type rcodeValue struct{ p *string }

func (v rcodeValue) Type() string    { return "RCODE" }
func (v rcodeValue) String() string  { return *v.p }
func (v rcodeValue) Words() []string { return dnsprobe.Rcodes() }

func (v rcodeValue) Set(s string) error {
	return wordValue{v.p, dnsprobe.Rcodes()}.Set(strings.ToUpper(s))
}

// expectValue adds an expectation each time it is given.
type expectValue struct{ p *[]dnsprobe.Expectation }

func (v expectValue) Type() string   { return "TYPE=DATA" }
func (v expectValue) String() string { return "" }

func (v expectValue) Set(s string) error {
	e, err := dnsprobe.ParseExpectation(s)
	if err != nil {
		return fmt.Errorf("TYPE=DATA as in A=192.0.2.7 or MX='10 mail.example.com.', or TYPE alone: %w", err)
	}
	*v.p = append(*v.p, e)
	return nil
}

// prefixValue is a network; an address alone stands for itself.
type prefixValue struct{ p *netip.Prefix }

func (v prefixValue) Type() string { return "PREFIX" }

func (v prefixValue) String() string {
	if !v.p.IsValid() {
		return ""
	}
	return v.p.String()
}

func (v prefixValue) Set(s string) error {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		*v.p = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return errors.New("a network as in 198.51.100.0/24 or 2001:db8::/56; 0.0.0.0/0 asks that none be passed on")
	}
	*v.p = p
	return nil
}

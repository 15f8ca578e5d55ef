package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/idna"

	"netprobe/dnsprobe"
	"netprobe/output"
)

func newDNS(args []string) *cobra.Command {
	f := &dnsFlags{}
	cmd := &cobra.Command{
		Use:   "dns [flags] NAME [TYPE...] [@SERVER...]",
		Short: "DNS queries, timed in phases, several servers side by side",
		Long: "NAME is taken as fully qualified; TYPE is A unless given. A SERVER is an address or\n" +
			"a name, with or without a port, or a URL: tcp://, tls://, https://. Without one the\n" +
			"name servers of this system are asked. Exit code: 0 all answered NOERROR (or as\n" +
			"--expect and --expect-rcode say), 1 some did not, 2 usage, 3 could not test.",
		Example: "  netprobe dns www.example.com\n" +
			"  netprobe dns example.com A AAAA MX @192.0.2.53 @[2001:db8::53]:5353\n" +
			"  netprobe dns --short -x 192.0.2.7                    the name of an address\n" +
			"  netprobe dns www.example.com @tls://192.0.2.53 @https://dns.example/dns-query\n" +
			"  netprobe dns --compare example.com SOA @ns1.example.com @ns2.example.com\n" +
			"  netprobe dns -c 100 -i 0.1 www.example.com @192.0.2.53 @192.0.2.54\n" +
			"  netprobe dns -f names --rate 5000 -q @192.0.2.53     one NAME [TYPE] a line\n" +
			"  netprobe dns --trace www.example.com                 from the root down, step by step\n" +
			"  netprobe dns --dnssec www.example.com                secure, insecure, or bogus and why\n" +
			"  netprobe dns --expect A=192.0.2.7 www.example.com && deploy\n" +
			"  netprobe dns --json www.example.com | jq -r 'select(.record==\"dns\").rcode'",
		RunE: func(cmd *cobra.Command, words []string) error {
			s, err := f.prepare(cmd, words)
			if err != nil {
				return err
			}
			s.args = args
			return s.run(cmd.Context())
		},
		ValidArgsFunction: func(_ *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(words) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return dnsprobe.Types(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	f.define(cmd)
	return cmd
}

// prepare checks the flags and words of a command line and returns its run.
func (f *dnsFlags) prepare(cmd *cobra.Command, words []string) (*dnsRun, error) {
	if err := f.check(cmd.Flags()); err != nil {
		return nil, err
	}
	names, types, servers, err := f.sort(words)
	if err != nil {
		return nil, err
	}
	s := &dnsRun{f: f}
	s.setUp(cmd, &f.runFlags)
	s.marks = f.mark != 0
	s.display = display{usual: func(bool, int) string { return "table" }, view: output.NewDNSView}
	if s.questions, err = f.questions(cmd, names, types); err != nil {
		return nil, err
	}
	switch {
	case f.trace && len(servers) > 0:
		return nil, usage("--root ADDR starts elsewhere than at the root zone", "--trace asks the servers it meets, not %q", "@"+servers[0])
	case f.trace:
	default:
		s.servers, err = f.servers(servers)
	}
	if err != nil {
		return nil, err
	}
	s.tls, err = f.roots(s.servers)
	return s, err
}

// sort tells names, types and servers apart.
func (f *dnsFlags) sort(words []string) (names, types, servers []string, err error) {
	for _, w := range words {
		switch {
		case strings.HasPrefix(w, "@"):
			servers = append(servers, w[1:])
		case strings.HasPrefix(w, "+"):
			return nil, nil, nil, usage(digHint(w), "%q is not a flag here", w)
		case f.file == "" && len(names) == 0:
			names = append(names, w)
		case dnsprobe.IsType(w):
			types = append(types, w)
		default:
			return nil, nil, nil, usage(typeHint(w, names), "%q is not a record type", w)
		}
	}
	if f.file == "" && len(names) == 0 {
		return nil, nil, nil, usage("as in netprobe dns www.example.com A @192.0.2.53; see netprobe help dns", "dns needs a name")
	}
	return names, types, servers, nil
}

// typeHint says what a word that is no type may have been meant as.
func typeHint(word string, names []string) string {
	_, err := netip.ParseAddr(word)
	switch {
	case len(names) > 0 && dnsprobe.IsType(names[0]):
		return fmt.Sprintf("the name comes first: netprobe dns %s %s", word, names[0])
	case err == nil:
		return "a server is written @" + word
	case strings.Contains(word, "."):
		return "several names go into a file: -f FILE, or -f - for stdin"
	}
	return "types are " + strings.Join(dnsprobe.Types(), ", ") + ", TYPE65280, ..."
}

// digHint says how a habit from dig is spelled here.
func digHint(word string) string {
	word = strings.TrimPrefix(strings.ToLower(word), "+")
	word, value, _ := strings.Cut(word, "=")
	switch word {
	case "short":
		return "it is --short"
	case "tcp", "vc":
		return "it is -P tcp"
	case "tls", "https":
		return "it is -P " + word + ", or a server @" + word + "://HOST"
	case "dnssec", "do":
		return "it is --do"
	case "norecurse", "norec", "nordflag":
		return "it is --no-recursion"
	case "subnet":
		return strings.TrimSpace("it is --ecs " + value)
	case "nsid":
		return "always on, unless --no-nsid"
	case "cookie":
		return "it is --cookie"
	case "bufsize":
		return strings.TrimSpace("it is --bufsize " + value)
	case "ignore":
		return "it is --ignore-tc"
	case "noedns":
		return "it is --no-edns"
	case "cd", "cdflag":
		return "it is --cd"
	case "trace":
		return "it is --trace"
	case "time", "timeout":
		return "it is -W " + value
	case "tries", "retry":
		return "it is -r, further tries after the first"
	}
	return "see netprobe help dns"
}

// questions are those of the command line, or of the file.
func (f *dnsFlags) questions(cmd *cobra.Command, names, types []string) ([]dnsprobe.Question, error) {
	if f.file != "" {
		return f.readQuestions(cmd.InOrStdin(), types)
	}
	return f.questionsOf(names[0], types)
}

// questionsOf asks each of types about name.
func (f *dnsFlags) questionsOf(name string, types []string) ([]dnsprobe.Question, error) {
	if f.reverse {
		addr, err := netip.ParseAddr(name)
		if err != nil {
			return nil, usage("-x takes the address whose name is wanted, as in -x 192.0.2.7", "%q is not an address", name)
		}
		name = dnsprobe.ReverseName(addr)
		if len(types) == 0 {
			types = []string{"PTR"}
		}
	}
	if len(types) == 0 {
		types = []string{""}
	}
	ascii := name
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }) {
		var err error
		if ascii, err = idna.Lookup.ToASCII(name); err != nil {
			return nil, usage("names with other characters than ASCII follow RFC 5891", "%q is not a domain name", name)
		}
	}
	var qs []dnsprobe.Question
	for _, typ := range types {
		q, err := dnsprobe.NewQuestion(ascii, typ, f.class)
		if err != nil {
			return nil, usage("a name is labels of at most 63 octets, 255 in all; others octets are written \\DDD", "%q: %v", name, err)
		}
		qs = append(qs, q)
	}
	return qs, nil
}

// resolvConf is where this system says whom to ask; for tests.
var resolvConf = "/etc/resolv.conf"

// servers reads those of the command line; without any, those of the system.
func (f *dnsFlags) servers(texts []string) ([]dnsprobe.Server, error) {
	if len(texts) == 0 {
		var err error
		if texts, err = systemServers(); err != nil {
			return nil, err
		}
	}
	usual, _ := dnsprobe.ParseTransport(f.proto)
	var all []dnsprobe.Server
	for _, text := range texts {
		s, err := dnsprobe.ParseServer(text, usual, f.parseHost)
		if err != nil {
			return nil, serverFailure(text, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func serverFailure(text string, err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	hint := "a server is @192.0.2.53, @[2001:db8::53]:5353, @tls://192.0.2.53 or @https://dns.example/dns-query"
	if errors.Is(err, dnsprobe.ErrQUIC) {
		hint = "most servers that speak it answer by TLS, too: @tls://" + text[strings.Index(text, "://")+3:]
	}
	return usage(hint, "%q: %v", "@"+text, err)
}

func systemServers() ([]string, error) {
	conf, err := os.Open(resolvConf)
	if err != nil {
		return nil, usage("name a server, as in @192.0.2.53", "cannot tell this system's name servers: %v", err)
	}
	defer conf.Close()
	addrs, err := dnsprobe.SystemServers(conf)
	if err != nil {
		return nil, usage("name a server, as in @192.0.2.53", "cannot read %s: %v", resolvConf, err)
	}
	var texts []string
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	return texts, nil
}

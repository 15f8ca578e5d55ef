package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"netprobe/tcpprobe"
)

// layerFlags are the flags of what is asked above a connection.
type layerFlags struct {
	climb    tcpprobe.Climb
	startTLS string
}

// define gives a verb the flags.
func (f *layerFlags) define(fs *pflag.FlagSet) {
	c := &f.climb
	onOff(fs, &c.TLS, "tls", "", "do a TLS handshake and judge the certificate")
	var protocols []string
	for _, p := range tcpprobe.StartTLSProtocols() {
		protocols = append(protocols, string(p))
	}
	fs.Var(wordValue{&f.startTLS, protocols}, "starttls", "have the server turn to TLS first; `PROTOCOL` is one of "+strings.Join(protocols, ", "))
	fs.Var(hostValue{&c.ServerName}, "servername", "`NAME` to ask for and to expect in the certificate (default the host)")
	fs.Var(alpnValue{&c.ALPN}, "alpn", "`LIST` of application protocols to offer, or none (default h2,http/1.1 where nothing but TLS is asked)")
	onOff(fs, &c.Insecure, "insecure", "", "accept any certificate and old TLS; what is wrong is still told")
	onOff(fs, &c.Banner, "banner", "", "wait for what the server says first")
	fs.Var(pathValue{&c.HTTP}, "http", "get `PATH` by HTTP/1.1, and tell how long the first byte and the rest took")
	fs.Var(statusesValue{&c.Status}, "expect-status", "statuses that are right, a `LIST` as in 200,3xx,401-403 (default all below 400)")
	fs.Var(sendValue{&c.Send}, "send", "send `TEXT`, in which \\r \\n \\t \\0 \\\\ and \\xHH are bytes")
	fs.Var(regexpValue{&c.Expect}, "expect", "`REGEX` that must match what the server says then; with --http the body")
}

// layerConflicts are beside those in check.
var layerConflicts = []conflict{
	{"http", "banner", "an HTTP server says nothing first"},
	{"http", "send", "--http sends its own request; --expect looks at the body"},
	{"http", "starttls", "none of these protocols turns to HTTP"},
	{"starttls", "banner", "what the server says before TLS is starttls_server in the records of --json"},
}

// check finishes the flags after parsing.
func (f *layerFlags) check(fs *pflag.FlagSet) error {
	if err := checkConflicts(fs, layerConflicts); err != nil {
		return err
	}
	f.climb.StartTLS = tcpprobe.StartTLS(f.startTLS)
	secure := f.climb.TLS || f.startTLS != ""
	for _, n := range []struct {
		flag, of string
		ok       bool
	}{
		{"alpn", "--tls or --starttls", secure},
		{"insecure", "--tls or --starttls", secure},
		{"servername", "--tls, --starttls or --http", secure || f.climb.HTTP != ""},
		{"expect-status", "--http", f.climb.HTTP != ""},
		{"send", "--expect", f.climb.Expect != nil},
	} {
		if fs.Changed(n.flag) && !n.ok {
			return usage("add "+n.of+", or leave it out", "--%s means nothing without %s", n.flag, n.of)
		}
	}
	if f.climb.Asks() && fs.Changed("late") {
		return usage("how long one probe may take is -W", "--late means nothing where more than a connect is asked")
	}
	return nil
}

// noRootsHint is what to do where there are no certificates of authorities.
const noRootsHint = "install them (ca-certificates on Debian and Alpine), name a file of them in SSL_CERT_FILE, or judge none with --insecure"

// ready returns what is to be asked above a connection, nil if nothing, unless
// this host cannot judge the answers.
func (f *layerFlags) ready(run *runFlags) (*tcpprobe.Climb, error) {
	if !f.climb.Asks() {
		return nil, nil
	}
	if err := f.climb.Check(); err != nil {
		return nil, untested(err, noRootsHint)
	}
	f.climb.Agent = "netprobe/" + version()
	f.climb.Timeout = run.timeout
	return &f.climb, nil
}

// hostValue is a name or an address to be sent to servers.
type hostValue struct{ p *string }

func (v hostValue) Type() string   { return "NAME" }
func (v hostValue) String() string { return *v.p }

func (v hostValue) Set(s string) error {
	h, err := parseHost(s)
	if err != nil {
		return errors.New("the name or address of a host, as in www.example.com")
	}
	*v.p = h.Lookup
	if h.Addr.IsValid() {
		*v.p = h.Addr.WithZone("").String()
	}
	return nil
}

// alpnValue is a list of ALPN protocols.
type alpnValue struct{ p *[]string }

func (v alpnValue) Type() string   { return "LIST" }
func (v alpnValue) String() string { return strings.Join(*v.p, ",") }

// maxProtocol is the most bytes a protocol's name has (RFC 7301, section 3.1).
const maxProtocol = 255

func (v alpnValue) Set(s string) error {
	*v.p = []string{}
	if s == "none" {
		return nil
	}
	for p := range strings.SplitSeq(s, ",") {
		if p == "" || len(p) > maxProtocol || slices.Contains(*v.p, p) {
			return errors.New("a list of protocols as in h2,http/1.1, or none")
		}
		*v.p = append(*v.p, p)
	}
	return nil
}

// pathValue is a path to ask for by HTTP.
type pathValue struct{ p *string }

func (v pathValue) Type() string   { return "PATH" }
func (v pathValue) String() string { return *v.p }

func (v pathValue) Set(s string) error {
	*v.p = s
	return tcpprobe.CheckPath(s)
}

// statusesValue is a list of HTTP statuses.
type statusesValue struct{ p *tcpprobe.Statuses }

func (v statusesValue) Type() string   { return "LIST" }
func (v statusesValue) String() string { return v.p.String() }

func (v statusesValue) Set(s string) (err error) {
	*v.p, err = tcpprobe.ParseStatuses(s)
	return err
}

// sendValue is a text with escapes.
type sendValue struct{ p *string }

func (v sendValue) Type() string   { return "TEXT" }
func (v sendValue) String() string { return *v.p }

func (v sendValue) Set(s string) (err error) {
	if s == "" {
		return errors.New("the text to send; without --send nothing is sent")
	}
	*v.p, err = tcpprobe.Unescape(s)
	return err
}

// regexpValue is a regular expression of Go (RE2).
type regexpValue struct{ p **regexp.Regexp }

func (v regexpValue) Type() string { return "REGEX" }

func (v regexpValue) String() string {
	if *v.p == nil {
		return ""
	}
	return (*v.p).String()
}

func (v regexpValue) Set(s string) (err error) {
	if s == "" {
		return errors.New("a regular expression; without --expect any answer will do")
	}
	*v.p, err = regexp.Compile(s)
	return err
}

// Package dnsprobe asks DNS servers (RFC 1035) and times each phase of it: by UDP,
// by TCP (RFC 7766), by TLS (RFC 7858) and by HTTPS (RFC 8484).
//
//	 0  1  2  3  4  5  6  7  8  9  0  1  2  3  4  5
//	+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
//	|                      ID                       |
//	|QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
//	|             QDCOUNT, ANCOUNT,                 |
//	|             NSCOUNT, ARCOUNT                  |
//	|  question, answers, authority, additional ... |
//
// It alone imports a DNS library, and none of that library's types shows: what an
// answer says is told in the words of package probe.
//
// What surprises: queries by UDP share one socket per family, which hears
// everybody. So an answer from a wrong address, with a wrong id or to another
// question is seen, named as a stray and not accepted, instead of being a timeout
// that nobody can explain.
package dnsprobe

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"time"

	"netprobe/probe"
	"netprobe/rawsock"
)

// Config is a run of queries: each of Questions, asked of each server, Count times.
type Config struct {
	Questions []Question
	Options   Options

	Count    int           // rounds; 0 means 1
	Interval time.Duration // between the starts of rounds
	Timeout  time.Duration // for each attempt; 0 means 2 s
	Late     time.Duration // how long after that an answer by UDP is still waited for
	Rate     float64       // queries per second of the whole run; 0 for no cap
	Window   int           // undecided queries per server at a time; 0 means 100
	Retries  int           // further datagrams for a query that stays unanswered

	KeepTruncated bool // take a truncated answer as it is, instead of asking again by TCP
	Brief         bool // tell no more of an answer than its rcode, which costs less
	Expect        []Expectation

	TLS    TLS
	Socket rawsock.Config // Source, Interface, Mark, TTL and TOS count
}

// TLS is how servers prove who they are.
type TLS struct {
	ServerName string         // the name to ask for and to check; empty for that of the server
	Insecure   bool           // check nothing
	Roots      *x509.CertPool // nil for those of the system
}

// Options say what a query asks for beside its question.
type Options struct {
	NoRecursion bool
	CD          bool // checking disabled: answers are wanted that do not validate
	NoEDNS      bool // what follows then does not count
	UDPSize     int  // the largest datagram to be sent here, bytes; 0 means 1232
	DO          bool // DNSSEC records, too
	NoNSID      bool // do not ask which instance answers
	Cookie      bool // RFC 7873
	Subnet      netip.Prefix
}

// DefaultUDPSize fits an IPv6 packet of the least MTU, 1280, with some room.
const DefaultUDPSize = 1232

const defaultTimeout = 2 * time.Second

// Counters are what an Engine did beside its Results.
type Counters struct {
	Sent    uint64 // datagrams, and connections tried
	Retried uint64 // of those the second and later for a query
	Streams uint64 // connections tried
	Strays  uint64 // datagrams that were no answer to anything asked
	Dropped uint64 // datagrams that the kernel dropped before we could read them
}

// An Engine is a probe.Prober. The Detail of each outcome is a *probe.DNS.
//
// Every query has one outcome: Reply, whatever the rcode; Late by UDP; Refused,
// Unreachable and Expired; Lost, with the Reason NoResponse for silence, BadReply if only
// strays came, TLSFailed and HTTPStatus for a server that is there but does not
// answer; Pending and Failed.
type Engine struct {
	run
}

// Open opens the sockets for servers of these families, and none for those that
// are asked by streams alone.
func Open(cfg Config, families ...rawsock.Family) (*Engine, error) {
	e := &Engine{}
	if err := e.open(cfg, families); err != nil {
		return nil, err
	}
	return e, nil
}

// An Asked is a server and where it is.
type Asked struct {
	Server Server
	Target *probe.Target // not asked if it has an Err
	Lookup time.Duration // how long it took to find its address; 0 for a literal
}

// SetServers says which servers to ask, by the ID of their Target. It comes before
// Probe.
func (e *Engine) SetServers(servers []Asked) { e.setServers(servers) }

// Clock says where the round-trip times by UDP come from.
func (e *Engine) Clock() probe.Clock { return e.clock() }

// Probe implements probe.Prober. It may be called once and closes the sockets. Its
// error means that a socket failed for good.
func (e *Engine) Probe(ctx context.Context, emit func(probe.Result)) error {
	return errors.Join(e.probe(ctx, emit), e.Close())
}

// Counters may be called after Probe.
func (e *Engine) Counters() Counters { return e.count() }

// Close lets go of the sockets; Probe does that, too.
func (e *Engine) Close() error { return e.close() }

package probe

import (
	"net/netip"
	"time"
)

// DNS is what one DNS query taught: the Detail of its outcome. Names and record
// data are in presentation format (RFC 1035, section 5.1) as they came: bounded, but
// not escaped for a terminal.
type DNS struct {
	Question  DNSQuestion
	Transport string      // of the answer, or of the last attempt: udp, tcp, tls or https
	Answer    *DNSMessage // nil if no answer was accepted
	Phases    []Step      // of the attempt that decided it, after the lookup of the server's name if that was for this query
	Attempts  []DNSAttempt
	Strays    []DNSStray // what came and was not accepted: the first few
	StrayN    int        // how many there were
	Unmet     []string   // what was expected of the answer and is not so, for people
}

// DNSQuestion is what a query asks for.
type DNSQuestion struct {
	Name  string // fully qualified
	Type  string // A, AAAA, TYPE65280
	Class string // IN, CH
}

// DNSAttempt is one message sent, or connection made, for a query.
type DNSAttempt struct {
	Transport string
	Status    Status
	Reason    Reason
	Rcode     string        // of its answer; empty if there was none
	Truncated bool          // its answer had the bit TC
	Sent      time.Time     // when it left
	RTT       time.Duration // from then to the whole answer; valid if HasRTT
	HasRTT    bool
	Clock     Clock
	Size      int    // of its answer, bytes; 0 if there was none
	Phases    []Step // that were reached; the last may have failed
	Why       string // why it failed, for people, on one line; empty if it did not
}

// DNSStray is a datagram or message that looked like an answer and was not one.
type DNSStray struct {
	From netip.AddrPort
	Why  string        // wrong source, wrong id, wrong question, ...
	What string        // what it had instead, for people; may be empty
	At   time.Duration // since the attempt left
}

// DNSMessage is an answer.
type DNSMessage struct {
	Rcode      string   // NOERROR, NXDOMAIN, RCODE42, with the upper bits of EDNS
	Flags      []string // of the header that are set: qr aa tc rd ra z ad cd
	Opcode     string
	Size       int // bytes
	Answers    []DNSRecord
	Authority  []DNSRecord
	Additional []DNSRecord // but OPT
	EDNS       *DNSOptions // nil without OPT
}

// DNSRecord is one resource record.
type DNSRecord struct {
	Name, Class, Type string
	TTL               uint32 // seconds
	Data              string
}

// DNSOptions is what the OPT record of an answer says (RFC 6891).
type DNSOptions struct {
	Version  int
	UDPSize  int    // the largest datagram that the server takes, bytes
	DO       bool   // DNSSEC records are understood
	NSID     string // of RFC 5001: the text if it is printable, else in hexadecimal; valid if HasNSID
	HasNSID  bool
	Errors   []DNSError   // extended errors, RFC 8914
	Cookie   string       // the server's, in hexadecimal (RFC 7873); empty if there was none
	CookieOK bool         // the client cookie came back as it was sent
	Subnet   netip.Prefix // client subnet (RFC 7871); invalid if there was none
	Scope    int          // for how many bits of it the answer holds
	Padding  int          // bytes
	Others   []string     // names or numbers of further options
}

// DNSError is an extended DNS error (RFC 8914).
type DNSError struct {
	Code int
	Name string // as registered; empty if it is not
	Text string // what the server adds
}

// DNSWalk is what came of a walk from the root of the DNS to an answer: the Detail
// of its Result.
type DNSWalk struct {
	Question DNSQuestion
	Steps    []DNSStep
	Rcode    string // of the last answer; empty if the walk broke
	Answers  []DNSRecord
	Zone     string // whose server gave the last answer
	Queries  int
	Took     time.Duration
	Broke    string // why it could not go on, for people; empty if it came to an end
	BrokeAt  string // the zone none of whose servers led further
}

// DNSStep is one question to one server of a walk.
type DNSStep struct {
	Zone    string // that the server is asked about as one of its servers
	Server  string // its name; empty for an address where a walk was told to start
	Addr    netip.AddrPort
	Name    string // asked for: that of the walk, of an alias, or of a server
	Type    string
	Depth   int    // 0 for the walk's own question, more to find the address of a server for the depth above
	Kind    string // referral, answer, alias, no such name, no such data, lame, refused, no answer, not asked
	Rcode   string // empty without an answer
	AA      bool
	Took    time.Duration
	To      string   // zone of a referral, target of an alias
	Servers []string // of a referral, with their addresses
	Refused []string // what it said and was not believed, for people
	Why     string   // for people; empty if it led further
}

// DNSVerdict is what DNSSEC says of an answer: the Detail of its Result.
type DNSVerdict struct {
	Question DNSQuestion
	Status   string // secure, insecure, bogus, indeterminate
	Why      string // for people; empty if secure
	Rcode    string // of the answer; empty if none came
	Answers  []DNSRecord
	Chain    []DNSLink // from the anchor down
	Until    time.Time // when the first of the signatures relied on ends; zero if not secure
	Queries  int
	Took     time.Duration // of all queries
}

// DNSLink is one zone of a chain of trust.
type DNSLink struct {
	Zone   string
	Anchor bool // the chain starts here
	DS     []DNSKeyID
	Keys   []DNSKeyID
	Status string // secure if its keys are trusted
	Why    string // they are not, for people
	Until  time.Time
	Took   time.Duration
}

// DNSKeyID names a key or what vouches for it.
type DNSKeyID struct {
	Tag       uint16
	Algorithm string
	Digest    string // of a DS; empty if its kind is not known here
	SEP       bool   // of a key: meant to be vouched for by the parent
	Used      bool   // of a key: a signature by it was checked and right
}

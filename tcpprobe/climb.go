package tcpprobe

import (
	"context"
	"crypto/x509"
	"net"
	"regexp"
	"time"

	"netprobe/internal/certs"
	"netprobe/internal/crew"
	"netprobe/probe"
	"netprobe/rawsock"
)

// Climb is what is asked above a connection, layer by layer on that same
// connection and in the order of the fields; the zero value asks nothing.
type Climb struct {
	// Names looks up Try.Host before each connect, if that is a name: how long that
	// takes is a phase, and that it has other addresses by now is a fact. The
	// address asked stays Try.To. Its Timeout does not count; nil looks nothing up.
	Names *probe.Resolver

	StartTLS StartTLS // have the server turn from this protocol to TLS; includes TLS

	TLS        bool
	ServerName string         // to ask for and to expect in the certificate; empty for Try.Host
	ALPN       []string       // protocols to offer; nil for what the other layers suggest
	Insecure   bool           // accept any certificate, version and cipher; the facts tell all the same
	Roots      *x509.CertPool // nil for those of this host

	Banner bool // what does the server say first?

	HTTP   string   // path to get, by HTTP/1.1; empty for none
	Status Statuses // to expect; empty for all below 400
	Agent  string   // User-Agent; empty for netprobe

	Send   string         // to send before Expect
	Expect *regexp.Regexp // in what the server says then; with HTTP in the body

	Timeout time.Duration // of connection and climb together; 0 for that of the try, which limits it in any case
}

// Asks reports whether there is anything to ask above the connection.
func (c *Climb) Asks() bool {
	return c.secure() || c.Banner || c.HTTP != "" || c.Expect != nil
}

func (c *Climb) secure() bool { return c.TLS || c.StartTLS != "" }

// Check returns why no server could be judged, without sending anything.
func (c *Climb) Check() error {
	if !c.secure() || c.Insecure || c.Roots != nil {
		return nil
	}
	return certs.CheckRoots()
}

// NewAsker returns what asks by connects that leave by socket, of which Source,
// Interface, Mark, TTL and TOS count, and then climbs; nil asks nothing above the
// connection. The whole takes no longer than the try's Timeout. Connections are
// reset in the end, which leaves no TIME_WAIT behind. A try takes climb.Cost
// descriptors.
//
// A connection that was accepted is a Reply, whatever a layer says of it: Detail
// is a *probe.Layers then, and where one failed, the Reason is its Reason
// (Result.Fault). RTT is that of the connect, At when the last layer was done. A
// name that does not exist any more is a fault, too, at resolve; what else keeps
// a name from being looked up is a trouble of this host.
//
// Answers tell how often the kernel sent the SYN again (Retrans, Linux only),
// also of one that was refused or silent. Then RTT counts from the SYN that was
// answered, or from the last if nobody knows which one that was, and RTT and
// Host together from the first.
func NewAsker(socket rawsock.Config, climb *Climb) crew.Asker {
	d := newDialer(&socket)
	if climb != nil && climb.Asks() {
		d.climb = climb
	}
	return d
}

// layer is one of those that a Climb may ask.
type layer struct {
	name  string // in FailedAt
	asked bool
	do    func(*ascent) *fault
}

func (c *Climb) layers() []layer {
	return []layer{
		{"starttls", c.StartTLS != "", (*ascent).startTLS},
		{"tls", c.secure(), (*ascent).tls},
		{"banner", c.Banner, (*ascent).banner},
		{"http", c.HTTP != "", (*ascent).http},
		{"expect", c.Expect != nil, (*ascent).expect},
	}
}

// first is the name of the first layer that is asked.
func (c *Climb) first() string {
	for _, l := range c.layers() {
		if l.asked {
			return l.name
		}
	}
	return ""
}

// ascent is one climb.
type ascent struct {
	*Climb
	ctx    context.Context
	socket *rawsock.Config
	try    crew.Try
	until  time.Time // the climb may take so long

	wire   *wire
	conn   net.Conn  // wire, or TLS on it
	said   []byte    // by the server, since we said something
	eof    error     // why it says no more; nil while it may
	last   time.Time // when the phase ended, if before what was done for it
	layers *probe.Layers
}

// ascend asks all there is to ask on conn, which stood took after it was dialled,
// for a try that began at sent, and completes the answer a.
func (d *dialer) ascend(ctx context.Context, t crew.Try, conn *net.TCPConn, sent time.Time, took time.Duration, a *crew.Answer) {
	w := &ascent{
		Climb: d.climb, ctx: ctx, socket: &d.hook.Config, try: t, until: sent.Add(t.Timeout),
		wire:   newWire(ctx, conn),
		layers: &probe.Layers{Phases: []probe.Step{{Name: "connect", Took: took}}},
	}
	w.conn = w.wire
	// What is written has a little longer, so that it is reading that finds out.
	_ = conn.SetWriteDeadline(w.until.Add(tardiness))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	w.allow(w.until)
	a.Detail = w.layers
	for _, l := range d.climb.layers() {
		if !l.asked {
			continue
		}
		w.wire.begin()
		if f := l.do(w); f != nil {
			w.fail(a, l.name, f)
			break
		}
	}
	a.At = time.Now()
}

// fail completes the answer where a layer failed.
func (w *ascent) fail(a *crew.Answer, layer string, f *fault) {
	switch {
	case f.canceled:
		a.Result = probe.Result{Status: probe.Pending, Reason: probe.Canceled, Retrans: a.Retrans}
	case f.own != nil:
		// This host's trouble says nothing about the target.
		detail := a.Detail
		a.Result = f.own.Result
		a.Detail = detail
	default:
		a.Reason = f.reason
		w.layers.FailedAt, w.layers.Reason, w.layers.Why = layer, f.reason, f.why
	}
}

// unasked completes an answer whose connection was gone before the first layer
// could ask: reset as soon as it was accepted, or noticed too late.
func (d *dialer) unasked(ctx context.Context, took time.Duration, a *crew.Answer) {
	switch {
	case ctx.Err() != nil:
		*a = canceled()
		return
	case d.hook.End().Connected:
		*a = busy()
		return
	}
	a.Reason = probe.RST
	a.Detail = &probe.Layers{
		Phases:   []probe.Step{{Name: "connect", Took: took}},
		FailedAt: d.climb.first(), Reason: probe.RST, Why: resetByServer,
	}
}

// phase times what is done for a phase.
func (w *ascent) phase(name string, do func() *fault) *fault {
	began := time.Now()
	w.last = time.Time{}
	f := do()
	took := time.Since(began)
	if f == nil && !w.last.IsZero() {
		took = w.last.Sub(began)
	}
	w.layers.Phases = append(w.layers.Phases, probe.Step{Name: name, Took: took})
	return f
}

// learn adds a fact for records, unless it is an empty text.
func (w *ascent) learn(name string, value any) { w.tell(name, value, "") }

// tell adds a fact that lines for people have as well, in these words.
func (w *ascent) tell(name string, value any, brief string) {
	if text, ok := value.(string); ok {
		if text == "" {
			return
		}
		value = clip(text, maxFact)
	}
	w.layers.Facts = append(w.layers.Facts, probe.Fact{Name: name, Value: value, Brief: brief, Aside: brief == ""})
}

// maxFact is how many bytes a fact has at most.
const maxFact = 512

// allow lets reading take until t, unless the run is over.
func (w *ascent) allow(t time.Time) {
	_ = w.wire.tcp.SetReadDeadline(t)
	if w.ctx.Err() != nil {
		_ = w.wire.tcp.SetReadDeadline(time.Unix(1, 0))
	}
}

// host is the name of the server, without the dot that may end it and the zone
// of an address; its address if it has no name.
func (w *ascent) host() string {
	name := w.ServerName
	if name == "" {
		name = w.try.Host
	}
	if name == "" {
		name = w.try.To.Addr().String()
	}
	return certs.ServerName(name)
}

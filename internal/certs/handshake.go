package certs

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"

	"netprobe/internal/snippet"
)

// WhyNot says what err, with which a TLS handshake ended, tells of the server that
// began its answer with first (may be nil). asked is whether it wanted a
// certificate from us. It is not ok for an error that is no matter of TLS.
func WhyNot(err error, first []byte, asked bool) (why string, ok bool) {
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if len(first) == 0 {
			first = e.RecordHeader[:]
		}
		return notTLS(first), true
	}
	if text, ok := alert(err); ok {
		return alertWords(text, asked), true
	}
	if version, ok := strings.CutPrefix(err.Error(), "tls: server selected unsupported protocol version "); ok {
		if v, err := strconv.ParseUint(version, 16, 16); err == nil {
			return "the server speaks " + tls.VersionName(uint16(v)) + " at most, which is too old to be safe", true
		}
	}
	return "", false
}

// notTLS says what a server answered instead.
func notTLS(said []byte) string {
	text := snippet.Line(said)
	if text == "" || !snippet.Readable([]byte(text)) {
		return "answered in something that is not TLS"
	}
	return "answered in plain text: " + text
}

// alert returns the TLS alert (RFC 8446, section 6) that the server ended the
// connection with.
func alert(err error) (text string, ok bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" {
		return "", false
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: "), true
}

// alertWords says what is meant by an alert to a client that was asked for its
// certificate or not.
func alertWords(text string, asked bool) string {
	means := "the server refused"
	switch {
	case text == "protocol version not supported":
		means = "the server speaks neither TLS 1.2 nor 1.3"
	case text == "no application protocol":
		means = "the server takes none of the ALPN protocols offered"
	case text == "unrecognized name":
		means = "the server knows no such name"
	case text == "certificate required", text == "bad certificate", asked:
		means = "the server wants a certificate from its client"
	}
	return means + " (alert: " + text + ")"
}

package dnsprobe

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"netprobe/internal/http1"
	"netprobe/probe"
)

// mediaType is that of a DNS message (RFC 8484, section 6).
const mediaType = "application/dns-message"

// An httpResponse is what a server says to one request.
type httpResponse struct {
	status int
	typ    string // Content-Type, as it came
	body   []byte
}

// http asks by HTTPS: POST (RFC 8484, section 4.1), with id 0 as caches like it.
func (c *call) http(conn net.Conn) error {
	query := c.form.append(make([]byte, 0, 512), 0, c.cookie, true)
	req := httpRequest{authority: c.server.authority(), path: c.server.Path, body: query}
	do := overHTTP1
	if s, ok := conn.(*tls.Conn); ok && s.ConnectionState().NegotiatedProtocol == "h2" {
		do = overHTTP2
	}
	resp, err := do(conn, &req)
	if err != nil {
		return err
	}
	if resp.status != 200 {
		return &mishap{probe.HTTPStatus, fmt.Sprintf("HTTP status %d", resp.status)}
	}
	if typ, _, _ := strings.Cut(resp.typ, ";"); !strings.EqualFold(strings.TrimSpace(typ), mediaType) {
		return &mishap{probe.BadReply, fmt.Sprintf("answered with %q instead of %s", resp.typ, mediaType)}
	}
	if !c.accept(resp.body, 0) {
		last := c.strays[len(c.strays)-1]
		return &mishap{probe.BadReply, strings.TrimSpace("no answer to the question: " + last.Why + " " + last.What)}
	}
	return nil
}

// An httpRequest is one POST.
type httpRequest struct {
	authority, path string
	body            []byte
}

// overHTTP1 does a request by HTTP/1.1 (RFC 9112), for servers that do not speak 2.
func overHTTP1(conn io.ReadWriter, req *httpRequest) (*httpResponse, error) {
	head := "POST " + req.path + " HTTP/1.1\r\nHost: " + req.authority + "\r\nAccept: " + mediaType +
		"\r\nContent-Type: " + mediaType + "\r\nContent-Length: " + strconv.Itoa(len(req.body)) + "\r\nConnection: close\r\n\r\n"
	if _, err := conn.Write(append([]byte(head), req.body...)); err != nil {
		return nil, err
	}
	resp, err := readHTTP1(http1.NewReader(conn))
	if _, ok := errors.AsType[http1.Malformed](err); ok || errors.Is(err, http1.ErrTooLong) {
		err = &mishap{probe.BadReply, "not HTTP: " + err.Error()}
	}
	return resp, err
}

// readHTTP1 reads a response. The body of one that is no success is nobody's.
func readHTTP1(in *http1.Reader) (*httpResponse, error) {
	head, err := in.Head()
	if err != nil {
		return nil, err
	}
	resp := &httpResponse{status: head.Status, typ: head.Field("Content-Type")}
	if head.Status != 200 {
		return resp, nil
	}
	if head.Length <= maxMessage {
		resp.body, err = io.ReadAll(io.LimitReader(in.Body(head), maxMessage+1))
	}
	if head.Length > maxMessage || len(resp.body) > maxMessage {
		return nil, &mishap{probe.BadReply, "answer longer than any DNS message"}
	}
	return resp, err
}

package dnsprobe

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

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
	do := http1
	if s, ok := conn.(*tls.Conn); ok && s.ConnectionState().NegotiatedProtocol == "h2" {
		do = http2
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

// Bounds of what a server may say around an answer.
const (
	maxHTTPLine    = 8 << 10
	maxHTTPHeaders = 100
)

// http1 does a request by HTTP/1.1 (RFC 9112), for servers that do not speak 2.
func http1(conn io.ReadWriter, req *httpRequest) (*httpResponse, error) {
	head := "POST " + req.path + " HTTP/1.1\r\nHost: " + req.authority + "\r\nAccept: " + mediaType +
		"\r\nContent-Type: " + mediaType + "\r\nContent-Length: " + strconv.Itoa(len(req.body)) + "\r\nConnection: close\r\n\r\n"
	if _, err := conn.Write(append([]byte(head), req.body...)); err != nil {
		return nil, err
	}
	return readHTTP1(conn)
}

// readHTTP1 reads a response, and skips those that are not the last (1xx).
func readHTTP1(conn io.Reader) (*httpResponse, error) {
	r := bufio.NewReaderSize(conn, maxHTTPLine)
	for range maxStreamStrays {
		resp, length, chunked, err := readHead(r)
		switch {
		case err != nil:
			return nil, err
		case resp.status/100 == 1:
			continue
		case chunked:
			resp.body, err = readChunks(r)
		case length >= 0:
			resp.body = make([]byte, length)
			_, err = io.ReadFull(r, resp.body)
		default:
			resp.body, err = readBody(r)
		}
		return resp, err
	}
	return nil, notHTTP("no final response")
}

func notHTTP(why string) error { return &mishap{probe.BadReply, "not HTTP: " + why} }

// readBody reads up to the end of the connection.
func readBody(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	if err == nil && len(b) > maxMessage {
		err = &mishap{probe.BadReply, "answer longer than any DNS message"}
	}
	return b, err
}

// readHead reads the status line and the headers; length is -1 if it is not told.
func readHead(r *bufio.Reader) (resp *httpResponse, length int, chunked bool, err error) {
	line, err := readLine(r)
	if err != nil {
		return nil, 0, false, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	resp, length = &httpResponse{}, -1
	if resp.status, err = strconv.Atoi(code); err != nil || !strings.HasPrefix(version, "HTTP/1.") || resp.status < 100 || resp.status > 999 {
		return nil, 0, false, notHTTP("no status line")
	}
	for range maxHTTPHeaders {
		if line, err = readLine(r); err != nil || line == "" {
			return resp, length, chunked, err
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-type":
			resp.typ = value
		case "content-length":
			if length, err = strconv.Atoi(value); err != nil || length < 0 || length > maxMessage {
				return nil, 0, false, &mishap{probe.BadReply, "answer longer than any DNS message"}
			}
		case "transfer-encoding":
			chunked = strings.EqualFold(value, "chunked")
		}
	}
	return nil, 0, false, notHTTP("too many headers")
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", notHTTP("a line without end")
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// readChunks reads a chunked body (RFC 9112, section 7.1), and no trailer: the
// connection ends here.
func readChunks(r *bufio.Reader) ([]byte, error) {
	var body []byte
	for range maxMessage {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 32)
		if err != nil || len(body)+int(n) > maxMessage {
			return nil, notHTTP("a bad chunk")
		}
		if n == 0 {
			return body, nil
		}
		at := len(body)
		body = append(body, make([]byte, n)...)
		if _, err := io.ReadFull(r, body[at:]); err != nil {
			return nil, err
		}
		if line, err := readLine(r); err != nil || line != "" {
			return nil, notHTTP("a bad chunk")
		}
	}
	return nil, notHTTP("a bad chunk")
}

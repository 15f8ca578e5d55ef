package dnsprobe

import (
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"netprobe/probe"
)

// Frames of HTTP/2 (RFC 9113, section 6) and their flags.
//
//	+-----------------------------------------------+
//	|                 Length (24)                   |
//	+---------------+---------------+---------------+
//	|   Type (8)    |   Flags (8)   |
//	+-+-------------+---------------+-------------------------------+
//	|R|                 Stream Identifier (31)                      |
//	+=+=============================================================+
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	framePush         = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9

	flagAck        = 1 // of SETTINGS and PING
	flagEndStream  = 1 // of DATA and HEADERS
	flagEndHeaders = 4
	flagPadded     = 8
	flagPriority   = 32

	frameHead = 9

	// maxFrame is the longest frame a peer may send without being asked.
	maxFrame = 16384
	// maxFrames bounds what is read for one answer.
	maxFrames = 2048
	// maxBlock bounds the headers of one answer, compressed and not.
	maxBlock = 64 << 10
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// overHTTP2 does one request on a connection of its own. A client that asks one thing
// and wants no more than 64 KiB needs little of HTTP/2: no priorities, no pushes, and
// the windows as they are at first.
func overHTTP2(conn io.ReadWriter, req *httpRequest) (*httpResponse, error) {
	b := []byte(preface)
	// SETTINGS_ENABLE_PUSH 0; a larger window, as an answer may just not fit.
	b = appendFrame(b, frameSettings, 0, 0, []byte{0, 2, 0, 0, 0, 0, 0, 4, 0, 2, 0, 0})
	b = appendFrame(b, frameWindow, 0, 0, []byte{0, 1, 0, 0})
	b = appendFrame(b, frameHeaders, flagEndHeaders, 1, requestBlock(req))
	b = appendFrame(b, frameData, flagEndStream, 1, req.body)
	if _, err := conn.Write(b); err != nil {
		return nil, err
	}
	s := &h2{conn: conn, resp: &httpResponse{}}
	s.hpack = hpack.NewDecoder(4096, s.header)
	s.hpack.SetMaxStringLength(maxBlock)
	for range maxFrames {
		if err := s.frame(); err != nil {
			return nil, err
		}
		if s.done {
			return s.resp, nil
		}
	}
	return nil, badH2("too many frames")
}

func badH2(format string, args ...any) error {
	return &mishap{probe.BadReply, "HTTP/2: " + fmt.Sprintf(format, args...)}
}

func appendFrame(b []byte, typ, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), typ, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// blockWriter takes what an hpack.Encoder writes.
type blockWriter struct{ b []byte }

func (w *blockWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func requestBlock(req *httpRequest) []byte {
	w := &blockWriter{}
	enc := hpack.NewEncoder(w)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: req.authority}, {Name: ":path", Value: req.path},
		{Name: "accept", Value: mediaType}, {Name: "content-type", Value: mediaType},
		{Name: "content-length", Value: strconv.Itoa(len(req.body))},
	} {
		_ = enc.WriteField(f) // blockWriter does not fail
	}
	return w.b
}

// h2 is the one stream of a connection, as far as it has come.
type h2 struct {
	conn  io.ReadWriter
	hpack *hpack.Decoder
	buf   [frameHead]byte

	resp  *httpResponse
	block []byte // of headers that are not whole yet
	open  bool   // a CONTINUATION must follow
	last  bool   // the headers under way end the stream
	size  int    // of all headers, uncompressed
	bad   bool   // they make no sense
	done  bool
}

// frame reads one frame.
func (s *h2) frame() error {
	if _, err := io.ReadFull(s.conn, s.buf[:]); err != nil {
		return err
	}
	n := int(s.buf[0])<<16 | int(s.buf[1])<<8 | int(s.buf[2])
	typ, flags, stream := s.buf[3], s.buf[4], binary.BigEndian.Uint32(s.buf[5:])&^(1<<31)
	if n > maxFrame {
		return badH2("a frame of %d bytes", n)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(s.conn, payload); err != nil {
		return err
	}
	if s.open != (typ == frameContinuation) {
		return badH2("headers out of order")
	}
	return s.take(typ, flags, stream, payload)
}

func (s *h2) take(typ, flags byte, stream uint32, p []byte) error {
	switch typ {
	case frameSettings, framePing:
		if flags&flagAck != 0 {
			return nil
		}
		if typ == frameSettings {
			p = nil
		}
		_, err := s.conn.Write(appendFrame(nil, typ, flagAck, 0, p))
		return err
	case frameGoAway:
		if len(p) < 8 || binary.BigEndian.Uint32(p)&^(1<<31) < 1 {
			return badH2("the server went away%s", h2Error(p, 4))
		}
	case framePush:
		return badH2("a push that was not asked for")
	case frameReset:
		if stream == 1 {
			return badH2("the server reset the request%s", h2Error(p, 0))
		}
	case frameHeaders, frameContinuation, frameData:
		if stream != 1 {
			return badH2("stream %d, which nobody opened", stream)
		}
		return s.message(typ, flags, p)
	}
	return nil // window updates, and what is unknown (RFC 9113, section 5.5)
}

// h2Error is the error code at at, for people.
func h2Error(p []byte, at int) string {
	if len(p) < at+4 {
		return ""
	}
	return fmt.Sprintf(" (error %d)", binary.BigEndian.Uint32(p[at:]))
}

// message takes in a part of the response.
func (s *h2) message(typ, flags byte, p []byte) error {
	if typ != frameContinuation && flags&flagPadded != 0 {
		if len(p) == 0 || int(p[0]) > len(p)-1 {
			return badH2("more padding than frame")
		}
		p = p[1 : len(p)-int(p[0])]
	}
	if typ == frameData {
		if s.resp.status == 0 {
			return badH2("a body before its headers")
		}
		if s.resp.body = append(s.resp.body, p...); len(s.resp.body) > maxMessage {
			return &mishap{probe.BadReply, "answer longer than any DNS message"}
		}
		s.done = flags&flagEndStream != 0
		return nil
	}
	if typ == frameHeaders {
		if flags&flagPriority != 0 {
			if len(p) < 5 {
				return badH2("a short frame")
			}
			p = p[5:]
		}
		s.last = flags&flagEndStream != 0
	}
	if s.block = append(s.block, p...); len(s.block) > maxBlock {
		return badH2("too many headers")
	}
	if s.open = flags&flagEndHeaders == 0; s.open {
		return nil
	}
	return s.headers()
}

// headers decodes a whole block. Those of a response that is not final (1xx) are
// followed by others; trailers change nothing.
func (s *h2) headers() error {
	if s.resp.status/100 == 1 {
		s.resp.status = 0
	}
	if _, err := s.hpack.Write(s.block); err != nil || s.hpack.Close() != nil || s.bad {
		return badH2("headers that cannot be read")
	}
	if s.resp.status == 0 {
		return badH2("no status")
	}
	s.block, s.done = s.block[:0], s.last
	return nil
}

func (s *h2) header(f hpack.HeaderField) {
	if s.size += len(f.Name) + len(f.Value) + 32; s.size > maxBlock {
		s.bad = true
		return
	}
	switch f.Name {
	case ":status":
		n, err := strconv.Atoi(f.Value)
		if err != nil || n < 100 || n > 999 || s.resp.status != 0 {
			s.bad = true
			return
		}
		s.resp.status = n
	case "content-type":
		if s.resp.typ == "" {
			s.resp.typ = f.Value
		}
	}
}

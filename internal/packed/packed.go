// Package packed unpacks files that are embedded compressed (DEFLATE, RFC 1951), as
// long texts would be a part of the binary that is felt. The readable file lies beside
// the packed one, and is what people change; then
//
//	go generate ./...
package packed

import (
	"bytes"
	"compress/flate"
	"io"
)

// Unpack returns what was packed. It panics if that is broken: it is a part of the
// program, which the tests of whoever embeds it unpack.
func Unpack(b []byte) []byte {
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	if err != nil {
		panic("packed: " + err.Error())
	}
	return text
}

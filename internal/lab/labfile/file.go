package labfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"netprobe/internal/lab"
)

// What a file may hold at most.
const (
	MaxSize  = 64 << 10 // octets
	maxHops  = 254      // routers on the longest way: one more TTL reaches the host
	maxWays  = 256      // parallel ways of one section
	maxHosts = 1024
	maxDepth = 16 // nested lists and maps
)

// A File is a network as it was written down.
type File struct {
	Name     string // of the file or of the built-in network
	About    string // one line
	Topology lab.Topology
	Targets  []string // names of hosts, in the order of the file
}

// An Error is something wrong with a file.
type Error struct {
	File         string
	Line, Column int    // from 1; 0 if not known, or the file as a whole is meant
	Msg          string // what the file says is quoted in it
	Hint         string // how to mend it; may be empty
}

// Error returns one line.
func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Parse reads the file called name. Its error is an *Error.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > MaxSize {
		return nil, &Error{File: name, Msg: fmt.Sprintf("%d octets, more than %d", len(data), MaxSize)}
	}
	if line := tooDeep(data); line > 0 {
		return nil, &Error{File: name, Line: line, Column: 1, Msg: fmt.Sprintf("lists and maps nested more than %d deep", maxDepth)}
	}
	body, err := document(name, data)
	if err != nil {
		return nil, err
	}
	d := &decoder{file: name, names: make(map[netip.Addr]string)}
	f := &File{Name: name}
	d.top(body, f)
	if d.err != nil {
		return nil, d.err
	}
	if err := f.Topology.Validate(); err != nil {
		return nil, &Error{File: name, Msg: err.Error()}
	}
	return f, nil
}

// document returns the one document of a file.
func document(name string, data []byte) (*yaml.Node, error) {
	in := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	err := in.Decode(&first)
	switch {
	case errors.Is(err, io.EOF), err == nil && (len(first.Content) != 1 || nothing(first.Content[0])):
		return nil, &Error{File: name, Msg: "empty", Hint: "netprobe lab --show isp prints one to start from"}
	case err != nil:
		return nil, syntaxError(name, err)
	}
	switch err := in.Decode(&second); {
	case err == nil:
		return nil, &Error{File: name, Line: second.Line, Column: second.Column, Msg: "a second document in the file"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(name, err)
	}
	return first.Content[0], nil
}

// tooDeep returns the line on which brackets or indentation nest deeper than
// any network needs, or 0. The parser is recursive: this bounds its stack.
func tooDeep(data []byte) int {
	line, open, indents, start := 1, 0, 0, true
	for _, c := range data {
		switch {
		case c == '\n':
			line, indents, start = line+1, 0, true
		case start && (c == ' ' || c == '-' || c == '?' || c == '\t'):
			indents++
		case c == '[' || c == '{':
			open++
			start = false
		case (c == ']' || c == '}') && open > 0:
			open--
			start = false
		default:
			start = false
		}
		if open > maxDepth || indents > 8*maxDepth {
			return line
		}
	}
	return 0
}

// syntaxError turns an error of the YAML parser, whose text may begin with
// "yaml: line 7: ", into ours.
func syntaxError(name string, err error) *Error {
	e := &Error{File: name}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if at, rest, ok := strings.Cut(text, ": "); ok {
		if line, found := strings.CutPrefix(at, "line "); found {
			if n, err := strconv.Atoi(line); err == nil {
				e.Line, text = n, rest
			}
		}
	}
	e.Msg = "not YAML: " + text
	return e
}

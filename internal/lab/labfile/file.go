package labfile

import (
	"fmt"
	"net/netip"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

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
	Line, Column int    // from 1; 0 if the file as a whole is meant
	Msg          string // what the file says is quoted in it
	Hint         string // how to mend it; may be empty
}

// Error returns one line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
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
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, syntaxError(name, err)
	}
	d := &decoder{file: name, names: make(map[netip.Addr]string)}
	f := &File{Name: name}
	switch bodies := documents(tree); len(bodies) {
	case 0:
		return nil, &Error{File: name, Msg: "empty", Hint: "netprobe lab --show isp prints one to start from"}
	case 1:
		d.top(bodies[0], f)
	default:
		d.fail(bodies[1], "a second document in the file")
	}
	if d.err != nil {
		return nil, d.err
	}
	if err := f.Topology.Validate(); err != nil {
		return nil, &Error{File: name, Msg: err.Error()}
	}
	return f, nil
}

// documents returns the documents of a file that are not empty.
func documents(f *ast.File) []ast.Node {
	var list []ast.Node
	for _, doc := range f.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType && doc.Body.Type() != ast.CommentType {
			list = append(list, doc.Body)
		}
	}
	return list
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

// syntaxError turns an error of the YAML parser into ours.
func syntaxError(name string, err error) *Error {
	e := &Error{File: name, Msg: fmt.Sprintf("%q", err.Error())}
	// The parser's own types are internal to it; this is what they share.
	if at, ok := err.(interface {
		GetToken() *token.Token
		GetMessage() string
	}); ok {
		e.Msg = "not YAML: " + at.GetMessage()
		if t := at.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Column = t.Position.Line, t.Position.Column
		}
	}
	return e
}

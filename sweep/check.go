package sweep

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Listing is what a Config lists, as Check found it.
type Listing struct {
	Hosts uint64 // addresses and names, in all shards together
	file  [sha256.Size]byte
}

// Check reads the whole of c.File, which is Steady, before anything is sent, and
// then needs to be rewound. Put the Listing into c: with it the number of hosts
// is known from the start, and the sweep can be resumed.
//
// Errors: a *LineError for the first target of File that cannot be swept (a
// *TooManyError may be inside), a *TooManyError about Specs, or what reading
// gave. A Listing without Hosts is no error.
func Check(c Config) (*Listing, error) {
	l := newLister(&c)
	b := l.batch(false)
	for _, s := range c.Specs {
		if err := l.add(s, b); err != nil {
			return nil, err
		}
	}
	if c.File == nil {
		return &Listing{Hosts: l.hosts}, nil
	}
	var wrong *LineError
	b = l.batch(true)
	hash := sha256.New()
	err := readTargets(io.TeeReader(c.File, hash), func(line int, text string, err error) bool {
		if err == nil {
			err = l.read(text, c.Parser, b)
		}
		if err != nil {
			wrong = &LineError{Name: c.FileName, Line: line, Text: bounded(text), Err: err}
			return false
		}
		if len(b.entries) >= c.full() {
			b = l.batch(true)
		}
		return true
	})
	switch {
	case wrong != nil:
		return nil, wrong
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.FileName, err)
	}
	listing := &Listing{Hosts: l.hosts}
	hash.Sum(listing.file[:0])
	return listing, nil
}

// read parses a target of File and puts it into b.
func (l *lister) read(text string, p Parser, b *batch) error {
	s, err := p.Parse(text)
	if err != nil {
		return err
	}
	return l.add(s, b)
}

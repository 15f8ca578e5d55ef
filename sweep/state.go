package sweep

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"netprobe/probe"
)

// ErrOtherSweep is inside the error New gives for a State that belongs to other
// targets, excludes or options.
var ErrOtherSweep = errors.New("state of another sweep")

// State is how far a sweep got: all that was handed out is what comes before
// Position in the order of the sweep's shard, except for Undecided.
type State struct {
	Digest    string // of targets, excludes and options
	Seed      uint64
	Ordered   bool
	Shard     probe.Shard
	Position  uint64
	Undecided []uint64 // indices of hosts to ask (again), sorted

	Rest json.RawMessage // what else the run keeps of these hosts; nil for nothing
}

const (
	stateVersion = 1
	maxState     = 32 << 20 // bytes of a state file
)

// stateFile is a State in its file.
type stateFile struct {
	Version   int    `json:"netprobe_sweep"`
	Digest    string `json:"digest"`
	Seed      uint64 `json:"seed"`
	Ordered   bool   `json:"ordered,omitempty"`
	Shard     uint64 `json:"shard"`
	Shards    uint64 `json:"shards"`
	Position  uint64 `json:"position"`
	Undecided string `json:"undecided,omitempty"` // differences as varints, in base64

	Rest json.RawMessage `json:"rest,omitempty"`
}

// State returns what a later run needs to go on: undecided are the indices of
// hosts that were handed out and are to be asked again. It is nil if the sweep
// cannot be resumed: File is a pipe, or was not checked.
func (h *Hosts) State(undecided []uint64) *State {
	if h.cfg.File != nil && (!h.cfg.Steady || h.cfg.Listing == nil) {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &h.walk
	all := slices.Concat(undecided, h.names.indices(), h.again)
	for _, pos := range w.redo {
		all = append(all, w.first+w.order.At(pos)*w.step)
	}
	slices.Sort(all)
	return &State{
		Digest: h.digest, Seed: h.cfg.Seed, Ordered: h.cfg.Ordered, Shard: h.cfg.Shard,
		Position:  max(w.before+w.pos, h.cfg.From.position()),
		Undecided: slices.Compact(all),
	}
}

// position returns Position; 0 for no State.
func (s *State) position() uint64 {
	if s == nil {
		return 0
	}
	return s.Position
}

// resume makes h go on from cfg.From.
func (h *Hosts) resume() error {
	s := h.cfg.From
	if s == nil {
		return nil
	}
	switch {
	case h.cfg.File != nil && !h.cfg.Steady:
		return errUnsteady
	case h.cfg.File != nil && h.cfg.Listing == nil:
		return errors.New("a file must be checked before its sweep can be resumed")
	case s.Digest != h.digest:
		return fmt.Errorf("%w: targets, excludes or address options differ", ErrOtherSweep)
	case s.Seed != h.cfg.Seed || s.Ordered != h.cfg.Ordered:
		return fmt.Errorf("%w: the order differs", ErrOtherSweep)
	case s.Shard.String() != h.cfg.Shard.String():
		return fmt.Errorf("%w: it is of shard %s, not %s", ErrOtherSweep, s.Shard, h.cfg.Shard)
	}
	hosts := h.list.hosts
	if h.cfg.Listing != nil {
		hosts = h.cfg.Listing.Hosts
	}
	if _, owned := h.cfg.Shard.Part(0, hosts); s.Position > owned || uint64(len(s.Undecided)) > s.Position {
		return errDamaged
	}
	for _, index := range s.Undecided {
		if index >= hosts || !h.cfg.Shard.Owns(index) {
			return errDamaged
		}
	}
	h.again = slices.Clone(s.Undecided)
	h.count.less, h.count.more = s.Position, uint64(len(s.Undecided))
	return nil
}

var errDamaged = errors.New("damaged state")

// digest tells sweeps apart: two with the same digest have the same hosts at the
// same indices.
func (c *Config) digest() string {
	hash := sha256.New()
	field := func(s string) {
		hash.Write(binary.AppendUvarint(nil, uint64(len(s))))
		io.WriteString(hash, s)
	}
	field(fmt.Sprintf("netprobe sweep %d %d", stateVersion, batchSize))
	field(fmt.Sprintf("%t %d %t %s", c.Parser.Broadcast, c.Parser.Family, c.All, c.Parser.Zone))
	for _, s := range c.Specs {
		field(s.Range.String() + " " + s.Host.Lookup)
	}
	field("exclude")
	if c.Exclude != nil {
		for r := range c.Exclude.All() {
			field(r.String())
		}
	}
	field("file")
	if c.File != nil && c.Listing != nil {
		hash.Write(c.Listing.file[:])
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// ReadState reads a state file.
func ReadState(path string) (*State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, err
	}
	s, err := parseState(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// parseState reads the bytes of a state file.
func parseState(b []byte) (*State, error) {
	if len(b) > maxState {
		return nil, errors.New("too large for the state of a sweep")
	}
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil || f.Version == 0 {
		return nil, errors.New("not the state of a sweep")
	}
	if f.Version != stateVersion {
		return nil, fmt.Errorf("state of a sweep in version %d, of which only %d is known", f.Version, stateVersion)
	}
	s := &State{
		Digest: f.Digest, Seed: f.Seed, Ordered: f.Ordered,
		Shard: probe.Shard{I: f.Shard, N: f.Shards}, Position: f.Position, Rest: f.Rest,
	}
	if s.Shard.I == 0 || !s.Shard.Valid() {
		return nil, errDamaged
	}
	var err error
	if s.Undecided, err = unpack(f.Undecided); err != nil {
		return nil, err
	}
	return s, nil
}

// pack encodes sorted, distinct indices.
func pack(indices []uint64) string {
	var b []byte
	var last uint64
	for i, index := range indices {
		if i > 0 {
			index -= last + 1
		}
		b = binary.AppendUvarint(b, index)
		last = indices[i]
	}
	return base64.StdEncoding.EncodeToString(b)
}

// unpack decodes what pack encoded.
func unpack(s string) ([]uint64, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, errDamaged
	}
	var indices []uint64
	for next := uint64(0); len(b) > 0; {
		d, n := binary.Uvarint(b)
		if n <= 0 || d > math.MaxUint64-1-next {
			return nil, errDamaged
		}
		b = b[n:]
		indices = append(indices, next+d)
		next += d + 1
	}
	return indices, nil
}

// WriteState writes s to a file: whoever reads it finds what was there before,
// or all of s.
func WriteState(path string, s *State) error {
	if s == nil {
		return errUnsteady
	}
	b, err := s.encode()
	if err != nil {
		return err
	}
	if path, err = target(path); err != nil {
		return err
	}
	return replaceFile(path, b)
}

// encode returns what parseState reads.
func (s *State) encode() ([]byte, error) {
	b, err := json.Marshal(stateFile{
		Version: stateVersion, Digest: s.Digest, Seed: s.Seed, Ordered: s.Ordered,
		Shard: max(s.Shard.I, 1), Shards: s.Shard.Step(), Position: s.Position, Undecided: pack(s.Undecided), Rest: s.Rest,
	})
	return append(b, '\n'), err
}

// target returns the file that path leads to, which need not exist. A device or
// a pipe must not be replaced.
func target(path string) (string, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: not a regular file", path)
	}
	return path, nil
}

// replaceFile writes a new file beside path and puts it in path's place.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

package labfile

import (
	"embed"
	"fmt"
	"path"
	"strings"
)

//go:embed topologies/*.yaml
var builtin embed.FS

// List returns the names of the built-in networks, sorted.
func List() []string {
	entries, err := builtin.ReadDir("topologies")
	if err != nil {
		panic(err) // it is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// Source returns the file of a built-in network; ok is false if there is none
// of that name.
func Source(name string) (yaml []byte, ok bool) {
	if strings.ContainsAny(name, "/.") {
		return nil, false
	}
	b, err := builtin.ReadFile(path.Join("topologies", name+".yaml"))
	return b, err == nil
}

// Load returns a built-in network.
func Load(name string) (*File, error) {
	b, ok := Source(name)
	if !ok {
		return nil, fmt.Errorf("no built-in network %q", name)
	}
	return Parse(name, b)
}

// Command gen makes what package ports embeds, data/table.txt, and the list it
// publishes, data/top.csv, from data/iana.csv, data/infrastructure.csv and
// data/groups.csv. With -import it first renews data/iana.csv from a copy of IANA's
// registry.
//
//	go generate ./ports
//	go run ./ports/gen -import service-names-port-numbers.csv ports/data
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	registry := flags.String("import", "", "take this `FILE`, IANA's registry as CSV, for the facts in iana.csv")
	if flags.Parse(args) != nil {
		return 2
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(stderr, "gen: one directory is needed: ports/data")
		return 2
	}
	if err := write(flags.Arg(0), *registry); err != nil {
		fmt.Fprintln(stderr, "gen:", err)
		return 1
	}
	return 0
}

func write(dir, registry string) error {
	if registry != "" {
		facts, err := importRegistry(registry)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "iana.csv"), facts, 0o644); err != nil {
			return err
		}
	}
	made, err := build(dir)
	if err != nil {
		return err
	}
	for name, content := range made {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build returns the generated files by their names in dir.
func build(dir string) (map[string][]byte, error) {
	in, err := readInputs(dir)
	if err != nil {
		return nil, err
	}
	var ranked [2][]place
	for proto := range ranked {
		ranked[proto] = rank(in, proto)
	}
	return map[string][]byte{"table.txt": table(in, ranked), "top.csv": published(ranked)}, nil
}

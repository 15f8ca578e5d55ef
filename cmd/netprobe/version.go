package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"netprobe/output"
)

// version is the version this binary was built from, or "dev".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}

func newVersion() *cobra.Command {
	var schema bool
	cmd := &cobra.Command{
		Use:               "version [--schema]",
		Short:             "print the version, or the schema of the records",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema {
				_, err := cmd.OutOrStdout().Write(output.Schema())
				return outputError(err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "netprobe %s\n", version())
			return outputError(err)
		},
	}
	var groups flagGroups
	onOff(groups.add("Output"), &schema, "schema", "", "print the JSON Schema of the records of --json")
	groups.attach(cmd)
	return cmd
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("see netprobe help "+cmd.Name(), "%s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is where flag descriptions wrap, in columns.
const helpWidth = 100

// flagGroup is a set of flags with a title of its own in the help.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

// flagGroups are those of a verb, in the order of its help.
type flagGroups []flagGroup

// add starts a group and returns the set to define its flags in.
func (g *flagGroups) add(title string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
	fs.SortFlags = false
	*g = append(*g, flagGroup{title, fs})
	return fs
}

// attach gives cmd the flags of all groups, and remembers the groups for its help.
func (g flagGroups) attach(cmd *cobra.Command) {
	for _, group := range g {
		group.flags.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{groupKey: {group.title}} })
		cmd.Flags().AddFlagSet(group.flags)
	}
	cmd.Flags().SortFlags = false
}

// completeFlags lets the shell complete the flags whose values list their words.
func completeFlags(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if v, ok := f.Value.(interface{ Words() []string }); ok {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(v.Words(), cobra.ShellCompDirectiveNoFileComp))
		}
	})
}

// groupKey is the annotation of a flag that names its group.
const groupKey = "group"

// printHelp prints what cmd does, its verbs or flags by group, and examples.
func printHelp(cmd *cobra.Command, w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n\nUsage: %s\n", cmd.CommandPath(), cmd.Short, useLine(cmd))
	if cmd.Long != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.Long)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprint(w, "\nVerbs:\n")
		for _, c := range inOrder(cmd) {
			fmt.Fprintf(w, "  %-12s %s\n", c.Name(), c.Short)
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	printFlags(cmd.Flags(), w)
}

// verbs are all verbs, in the order in which people look for them.
var verbs = []string{"ping", "sweep", "trace", "tcp", "udp", "scan", "dns", "lab", "version", "completion", "help"}

// inOrder returns the verbs of root that are not hidden.
func inOrder(root *cobra.Command) []*cobra.Command {
	all := slices.DeleteFunc(slices.Clone(root.Commands()), func(c *cobra.Command) bool { return c.Hidden })
	slices.SortStableFunc(all, func(a, b *cobra.Command) int {
		return slices.Index(verbs, a.Name()) - slices.Index(verbs, b.Name())
	})
	return all
}

// printFlags prints the flags that were given a group, group by group, then the rest.
func printFlags(all *pflag.FlagSet, w io.Writer) {
	var groups flagGroups
	sets := map[string]*pflag.FlagSet{}
	all.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "version" {
			return // everybody knows them, and they are verbs
		}
		title := "Other flags"
		if names := f.Annotations[groupKey]; names != nil {
			title = names[0]
		}
		if sets[title] == nil {
			sets[title] = groups.add(title)
		}
		sets[title].AddFlag(f)
	})
	for _, g := range groups {
		fmt.Fprintf(w, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(helpWidth))
	}
}

func useLine(cmd *cobra.Command) string {
	if cmd.HasParent() {
		return strings.TrimSpace(cmd.Parent().Name() + " " + cmd.Use)
	}
	return cmd.Use
}

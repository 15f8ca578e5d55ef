package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newCompletion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "print what makes a shell complete verbs and flags",
		Long:  "SHELL is one of " + strings.Join(shells, ", ") + ".",
		Example: "  netprobe completion bash >~/.local/share/bash-completion/completions/netprobe\n" +
			"  netprobe completion zsh >~/.zfunc/_netprobe      where fpath has ~/.zfunc\n" +
			"  netprobe completion fish >~/.config/fish/completions/netprobe.fish",
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("as in netprobe completion bash", "completion needs the name of one shell")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return outputError(root.GenBashCompletionV2(w, true))
			case "zsh":
				return outputError(root.GenZshCompletion(w))
			case "fish":
				return outputError(root.GenFishCompletion(w, true))
			case "powershell":
				return outputError(root.GenPowerShellCompletionWithDesc(w))
			}
			return usage(oneOf(args[0], shells).Error(), "no completion for %q", args[0])
		},
	}
}

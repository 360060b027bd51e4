package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// NewRootCommand returns the ply command for those who document it.
func NewRootCommand() *cobra.Command {
	return newRootCommand(newEnv(Stdio{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}))
}

// newRootCommand returns the ply command with all others below it.
func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "ply",
		Short: "HTTP from the terminal, through a cache that explains itself",
		Long: `ply gets URLs through the chain of the ply library: an RFC 9111 cache, retries that
are safe, redirects that leak nothing, and a record of what each layer did.

The environment gives defaults: PLY_CACHE for --cache, PLY_FORMAT for --format, PLY_COLOR
for --color. NO_COLOR, HTTP_PROXY, HTTPS_PROXY, NO_PROXY and NETRC mean what they always do.`,
		Example: `  ply get https://example.com                 the body, from the cache if that may be
  ply get -v https://example.com              and what happened, as a waterfall on stderr
  ply get -O https://example.com/image.iso    a download, continued where the last one broke off`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usageErrorf("there is no command %q: did you mean %s?", args[0], strings.Join(near, " or "))
			}
			if strings.Contains(args[0], "://") {
				return usageErrorf("there is no command %q: to get a URL, write ply get URL", args[0])
			}
			return usageErrorf("there is no command %q", args[0])
		},
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:                    version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(e.stdin)
	root.SetOut(quietPipe{e.stdout})
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageErrorf("%w", err) })
	root.SetHelpTemplate(helpTemplate)
	shared := root.PersistentFlags()
	shared.StringVar(&e.format, "format", orDefault(e.getenv("PLY_FORMAT"), "text"), "output for people (text) or programs (json)")
	shared.StringVar(&e.color, "color", orDefault(e.getenv("PLY_COLOR"), "auto"), "colours: auto, always, never; auto heeds NO_COLOR")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.ValidateFlagGroups(); err != nil { // cobra would do so later, without the exit code
			return usageErrorf("%w", err)
		}
		if err := e.check(); err != nil {
			return err
		}
		e.guardTerminal()
		return nil
	}
	complete(root, "format", "text", "json")
	complete(root, "color", "auto", "always", "never")
	root.AddCommand(
		newExplainCommand(e),
		newGetCommand(e),
		newLintCommand(e),
		newCacheCommand(e),
		newProxyCommand(e),
		newReplayCommand(e),
	)
	refuseUnknownTopics(root)
	return root
}

// refuseUnknownTopics has cobra's own commands, help and completion, refuse what they do not know, rather than show what they know and end with 0.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usageErrorf("there is no command %q", strings.Join(args, " "))
				}
				return nil
			}
		case "completion":
			cmd.Args = noSuchSubcommand
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// helpTemplate is cobra's, with the examples first: what a reader looks for.
const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{if .HasExample}}Examples:
{{.Example}}

{{end}}{{if .Runnable}}Usage:
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}{{if not .HasParent}}
  {{.CommandPath}} [command]{{end}}

Commands:{{range .Commands}}{{if (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Flags of all commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}

` + ExitCodeHelp + "\n"

// check reports a value of a shared flag, or of its environment variable, that cannot be used.
func (e *env) check() error {
	if err := oneOf("--format", e.format, "text", "json"); err != nil {
		return err
	}
	return oneOf("--color", e.color, "auto", "always", "never")
}

// oneOf returns a usage error unless value is one of those allowed.
func oneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usageErrorf("%s is %q: give %s", name, value, strings.Join(allowed, ", "))
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// A quietPipe takes no offence at a reader that has gone, of which cobra would write an error when it shows a help text.
type quietPipe struct{ w io.Writer }

func (q quietPipe) Write(p []byte) (int, error) {
	n, err := q.w.Write(p)
	if isBrokenPipe(err) {
		return len(p), nil
	}
	return n, err
}

// complete offers values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(fmt.Sprintf("cli: no flag %s to complete", flag)) // a slip in this package, which each test finds
	}
}

// atLeastOneURL is the rule for commands that take URLs.
func atLeastOneURL(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageErrorf("%s needs a URL", cmd.CommandPath())
	}
	return nil
}

package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// unquestioned is how many entries are removed without a question.
const unquestioned = 10

type rmFlags struct {
	cacheFlags
	selectFlags
	dryRun, yes bool
}

func newCacheRmCommand(e *env) *cobra.Command {
	f := &rmFlags{}
	cmd := &cobra.Command{
		Use:   "rm STORE [WHAT...]",
		Short: "Remove entries by URL, pattern, key, tag, principal or age",
		Long: `ply cache rm removes what WHAT and the flags choose, in all processes that share the
store. It asks before it removes more than ten entries; --yes answers. For a URL, a tag
or a principal alone, it also keeps answers out that other processes have under way.`,
		Example: `  ply cache rm default https://api.example.com/users
  ply cache rm redis://localhost:6379 --tag product-42
  ply cache rm ./cache --stale --older-than 720h --dry-run`,
		Args: takesArgs(1, -1, "a STORE, and WHAT is removed"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, what []string) error { return f.run(cmd.Context(), e, c, what) }),
	}
	f.cacheFlags.add(cmd)
	f.selectFlags.add(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "list what would be removed, and remove nothing")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (f *rmFlags) run(ctx context.Context, e *env, c *openCache, what []string) error {
	if f.all(what) {
		return usageErrorf("ply cache rm needs WHAT or a flag that chooses; ply cache clear removes everything")
	}
	chosen, err := f.choose(c, what, time.Now())
	if err != nil {
		return err
	}
	n := 0
	for entry := range c.Entries(ctx) {
		if !chosen.has(entry) {
			continue
		}
		n++
		if f.dryRun {
			fmt.Fprintf(e.stdout, "would remove %s %s\n", entry.Method(), printableLine(entry.KeyParts()[1].Value))
		}
	}
	if err := c.failed(ctx); err != nil {
		return err
	}
	chosen.hintUnfit(e)
	if f.dryRun {
		return nil
	}
	if n > unquestioned {
		if err := e.confirm(ctx, f.yes, fmt.Sprintf("Remove %d entries?", n)); err != nil {
			return err
		}
	}
	removed, err := c.DeleteFunc(ctx, chosen.has)
	if err == nil {
		err = f.invalidate(ctx, c, what)
	}
	return reportRemoved(e, removed, err)
}

// invalidate keeps out what other processes have under way, where a choice is one that they look at: URLs, a tag or a principal, and nothing beside it.
func (f *rmFlags) invalidate(ctx context.Context, c *openCache, what []string) error {
	switch rest := f.selectFlags; {
	case rest == selectFlags{}:
		for _, w := range what {
			if !isURL(w) {
				continue
			}
			if err := c.DeleteURL(ctx, w); err != nil {
				return err
			}
		}
	case len(what) == 0 && rest == selectFlags{tag: f.tag}:
		return c.DeleteTag(ctx, f.tag)
	case len(what) == 0 && rest == selectFlags{principal: f.principal}:
		return c.DeletePrincipal(ctx, f.principal)
	}
	return nil
}

func newCacheClearCommand(e *env) *cobra.Command {
	f, yes := &cacheFlags{}, false
	cmd := &cobra.Command{
		Use:     "clear STORE",
		Short:   "Remove everything",
		Example: "  ply cache clear default\n  ply cache clear sqlite:cache.db --yes",
		Args:    takesArgs(1, 1, "a STORE"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, _ []string) error {
			n := 0
			for range c.Entries(cmd.Context()) {
				n++
			}
			if err := c.failed(cmd.Context()); err != nil {
				return err
			}
			if err := e.confirm(cmd.Context(), yes, fmt.Sprintf("Remove all %d entries?", n)); err != nil {
				return err
			}
			return reportRemoved(e, n, c.Clear(cmd.Context()))
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func reportRemoved(e *env, n int, err error) error {
	if err != nil {
		return err
	}
	if e.json() {
		return writeJSON(e.stdout, map[string]int{"Removed": n})
	}
	e.say("removed %d", n)
	return nil
}

// confirm asks a question on the terminal. Without one, only yes will do.
func (e *env) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	f, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usageErrorf("%s --yes says so; there is no terminal to ask on", question)
	}
	fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	in, stop := untilDone(ctx, f)
	defer stop()
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fmt.Errorf("nothing was removed")
}

package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/plytest/tape"
)

type replayFlags struct{ policies []string }

func newReplayCommand(e *env) *cobra.Command {
	f := &replayFlags{}
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Send recorded traffic through other policies, in virtual time",
		Long: `ply replay takes the traffic of FILE, or stdin for "-": an HTTP Archive as browsers save
it, or a tape of package plytest/tape. It runs the traffic through each policy in virtual
time: a week takes seconds. It asks no server. The table says what each policy would have
cost, and how long callers would have waited; docs/tape.md says how the origin answers what
it was not asked then.

` + policyHelp,
		Example: `  ply replay week.har
  ply replay week.har --policy none --policy cache --policy 'cache,stale-if-error=1h,retry=3,hedge=50ms'
  ply replay week.har --policy cache,fresh=10m --format json`,
		Args: takesArgs(1, 1, "a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), e, args[0]) },
	}
	cmd.Flags().StringArrayVarP(&f.policies, "policy", "p", []string{"none", "cache", "cache,retry=3"}, "policy to try; give it once for each")
	return cmd
}

func (f *replayFlags) run(ctx context.Context, e *env, name string) error {
	var tries []tape.ReplayOptions
	for _, text := range f.policies {
		p, err := parsePolicy(text)
		if err != nil {
			return err
		}
		tries = append(tries, tape.ReplayOptions{Name: p.text, Chain: p.chain})
	}
	t, err := e.readTape(name)
	if err != nil {
		return err
	}
	comparison, err := tape.Compare(ctx, t, tries...)
	if err != nil {
		return err
	}
	if e.json() {
		return writeJSON(e.stdout, comparison)
	}
	_, err = io.WriteString(e.stdout, printable(comparison.String()))
	return err
}

// readTape reads recorded traffic from a file, or from stdin for "-".
func (e *env) readTape(name string) (*tape.Tape, error) {
	in := e.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	r := bufio.NewReader(in)
	decode := tape.FromHAR
	if beginning, _ := r.Peek(64); bytes.Contains(beginning, []byte(`"tape":`)) { // the first member of a tape
		decode = tape.Decode
	}
	t, err := decode(r)
	if err != nil {
		return nil, &codedError{exitError, fmt.Errorf("%s: %w", name, err)} // an archive that is cut off is no broken connection
	}
	if len(t.Exchanges) == 0 {
		return nil, fmt.Errorf("%s has no exchanges", name)
	}
	return t, nil
}

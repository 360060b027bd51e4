package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/middleware/cache"
)

const meaningHelp = `A store does not say whose entries it has. If its program's cache is shared, or has
another key strategy than the default, say so with --shared, --key and
--one-identity-below: the stream tells the importing cache, which refuses entries
that would mean something else there.`

type exportFlags struct {
	cacheFlags
	selectFlags
	har, keepSecrets, omitBodies bool
}

func newCacheExportCommand(e *env) *cobra.Command {
	f := &exportFlags{}
	cmd := &cobra.Command{
		Use:   "export STORE FILE [WHAT...]",
		Short: "Write what is stored to a file, for import or as an HTTP Archive",
		Long: `ply cache export writes entries to FILE, or to stdout for "-". The stream has bodies and
header fields in clear: treat it like the store. With --har it is an HTTP Archive for
the tools of browsers, without secrets and without what an import needs.

` + meaningHelp,
		Example: "  ply cache export default backup.plycache\n  ply cache export default - | ssh host ply cache import sqlite:cache.db -\n  ply cache export ./cache cache.har --har",
		Args:    takesArgs(2, -1, "a STORE, a FILE, and WHAT is exported"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, args []string) error {
			return f.run(cmd.Context(), e, c, args[0], args[1:])
		}),
	}
	f.cacheFlags.add(cmd)
	f.selectFlags.add(cmd)
	cmd.Flags().BoolVar(&f.har, "har", false, "write an HTTP Archive (HAR 1.2) of everything")
	cmd.Flags().BoolVar(&f.keepSecrets, "keep-secrets", false, "with --har: do not hide secrets")
	cmd.Flags().BoolVar(&f.omitBodies, "omit-bodies", false, "with --har: leave the bodies out")
	return cmd
}

func (f *exportFlags) run(ctx context.Context, e *env, c *openCache, name string, what []string) error {
	if f.har && !f.all(what) {
		return usageErrorf("--har writes everything: leave out WHAT and the flags that choose")
	}
	if name == "-" && e.stdoutTTY && !f.har {
		return usageErrorf("an export is not for a terminal: give a file, or send stdout to one")
	}
	chosen, err := f.choose(c, what, time.Now())
	if err != nil {
		return err
	}
	progress := e.progress("exported")
	report, err := cache.MoveReport{}, error(nil)
	err = e.writeFile(name, func(w io.Writer) error {
		if f.har {
			report, err = c.ExportHAR(ctx, w, har.Options{KeepSecrets: f.keepSecrets, OmitBodies: f.omitBodies})
			return err
		}
		report, err = c.ExportFunc(ctx, w, func(entry *cache.Entry) bool {
			progress.add(1)
			return chosen.has(entry)
		})
		return err
	})
	progress.end()
	if err != nil {
		return err
	}
	chosen.hintUnfit(e)
	return e.reportMove("exported", report, name != "-")
}

// writeFile has write write to a file, which is there only once it is complete, or to stdout for "-".
func (e *env) writeFile(name string, write func(io.Writer) error) (err error) {
	if name == "-" {
		w := bufio.NewWriter(e.stdout)
		return errors.Join(write(w), w.Flush())
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".ply-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 64<<10)
	if err := errors.Join(write(w), w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// reportMove says what was moved and what was left. Without stdout, which has the entries themselves, it does so on stderr alone.
func (e *env) reportMove(done string, r cache.MoveReport, stdout bool) error {
	if e.json() && stdout {
		return writeJSON(e.stdout, r)
	}
	e.say("%s %d entries, %s", done, r.Entries, byteSize(r.Bytes))
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		if why != cache.SkipNotWanted {
			e.say("left %d: %s", r.Skipped[why], printableLine(string(why)))
		}
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

type importFlags struct {
	cacheFlags
	principal string
	complete  bool
}

func newCacheImportCommand(e *env) *cobra.Command {
	f := &importFlags{}
	cmd := &cobra.Command{
		Use:   "import STORE FILE",
		Short: "Read an export, or an HTTP Archive, into a store",
		Long: `ply cache import adds what FILE has, or stdin for "-": an export, or an HTTP Archive
of a browser. It replaces nothing that is as new, and makes the store if there is none.

` + meaningHelp + `

An answer in an archive that may have been for one user is left, for browsers leave
credentials out: --principal says whose it is, --complete that nothing was left out.`,
		Example: "  ply cache import sqlite:cache.db backup.plycache\n  ply cache import default session.har --complete",
		Args:    takesArgs(2, 2, "a STORE and a FILE"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := e.stdin
			if args[1] != "-" {
				opened, err := os.Open(args[1])
				if err != nil {
					return err
				}
				defer opened.Close()
				in = opened
			}
			c, err := f.open(cmd.Context(), e, args[0], true)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.close()) }()
			return f.run(cmd.Context(), e, c, in)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.principal, "principal", "", "of an archive: for whom its answers are")
	cmd.Flags().BoolVar(&f.complete, "complete", false, "of an archive: its requests have their credentials and cookies, where they had any")
	return cmd
}

func (f *importFlags) run(ctx context.Context, e *env, c *openCache, in io.Reader) error {
	progress := e.progress("read")
	in, stop := untilDone(ctx, in)
	defer stop()
	r := bufio.NewReader(&countedReader{r: in, n: progress})
	first, err := r.Peek(1)
	if err != nil && err != io.EOF {
		return err
	}
	var report cache.MoveReport
	if len(first) == 1 && (first[0] == '{' || first[0] == 0xEF || first[0] == ' ' || first[0] == '\n') {
		report, err = c.ImportHAR(cache.WithPrincipal(ctx, f.principal), r, cache.HARImport{Complete: f.complete})
	} else {
		report, err = c.Import(ctx, r)
	}
	progress.end()
	if said := e.reportMove("imported", report, true); err == nil {
		err = said
	}
	if err != nil && ctx.Err() == nil {
		return &codedError{exitError, err} // a file that is cut off is no broken connection
	}
	return errors.Join(err, ctx.Err())
}

// untilDone returns a reader of r whose Read ends with ctx, also while r waits for more, as stdin may for ever. The goroutine that waits then ends with the process.
func untilDone(ctx context.Context, r io.Reader) (_ io.Reader, stop func()) {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	ended := context.AfterFunc(ctx, func() { out.CloseWithError(ctx.Err()) })
	return out, func() {
		ended()
		out.Close()
	}
}

// A countedReader counts the bytes that are read.
type countedReader struct {
	r io.Reader
	n *counter
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.add(int64(n))
	return n, err
}

func newCacheCopyCommand(e *env) *cobra.Command {
	f := &cacheFlags{}
	cmd := &cobra.Command{
		Use:     "copy FROM TO",
		Short:   "Copy what is stored into another store, of another kind perhaps",
		Long:    "ply cache copy adds the entries of the store FROM to the store TO, which is made if\nthere is none. Entries keep their keys, whatever strategy made them. Programs may use\nboth stores meanwhile.",
		Example: "  ply cache copy ./cache sqlite:cache.db\n  ply cache copy sqlite:cache.db redis://localhost:6379",
		Args:    takesArgs(2, 2, "two stores, FROM and TO"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			from, err := f.open(cmd.Context(), e, args[0], false)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, from.close()) }()
			to, err := f.open(cmd.Context(), e, args[1], true)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, to.close()) }()
			report, err := cache.Copy(cmd.Context(), to.Cache, from.Cache)
			return errors.Join(e.reportMove("copied", report, true), err)
		},
	}
	f.add(cmd)
	return cmd
}

func newCacheVerifyCommand(e *env) *cobra.Command {
	f, o := &cacheFlags{}, cache.VerifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify STORE",
		Short: "Read and check every record; exit code 7 if some are damaged",
		Long: `ply cache verify reads every record of a store: its checksum, its form, and that no body
lacks a piece. Damaged records are never served; the exit code is 7 if there are some.`,
		Example: "  ply cache verify default\n  ply cache verify sqlite:cache.db --delete-damaged",
		Args:    takesArgs(1, 1, "a STORE"),
		RunE: f.onStore(e, func(cmd *cobra.Command, c *openCache, _ []string) error {
			return verifyStore(cmd.Context(), e, c, o)
		}),
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&o.DeleteDamaged, "delete-damaged", false, "remove what is damaged or incomplete")
	cmd.Flags().BoolVar(&o.DeleteOrphaned, "delete-orphaned", false, "remove pieces of bodies that no response has; only while no process uses the store")
	return cmd
}

func verifyStore(ctx context.Context, e *env, c *openCache, o cache.VerifyOptions) error {
	progress := e.progress("checked")
	o.Progress = func(cache.VerifyReport) { progress.add(1) }
	o.Found = func(p cache.VerifyProblem) {
		progress.clear()
		deleted := ""
		if p.Deleted {
			deleted = " (removed)"
		}
		e.say("%s %s %s: %v%s", p.Kind, printableLine(p.Record), printableLine(p.URL), printableLine(fmt.Sprint(p.Err)), deleted)
	}
	report, err := c.Verify(ctx, o)
	progress.end()
	if err != nil {
		return err
	}
	if e.json() {
		if err := writeJSON(e.stdout, report); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.stdout, "%d records, %d entries, %s: %d damaged, %d incomplete, %d orphaned, %d of a later version, %d removed\n",
			report.Records, report.Entries, byteSize(report.Bytes), report.Damaged, report.Incomplete, report.Orphaned, report.Newer, report.Deleted)
	}
	if !report.Sound() {
		return &codedError{exitCheck, nil}
	}
	return nil
}

// hostOf returns the host of a URL, or the URL if it has none.
func hostOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return text
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// getFlags are the flags of ply get.
type getFlags struct {
	chainFlags
	request requestFlags

	output      string
	remoteName  bool
	include     bool
	verbose     bool
	fail        bool
	parallel    int
	noProgress  bool
	har         string
	curl        bool
	showSecrets bool
}

func newGetCommand(e *env) *cobra.Command {
	f := &getFlags{}
	cmd := &cobra.Command{
		Use:   "get [flags] URL...",
		Short: "Get URLs, from the cache if that may be",
		Long: `get sends a request for each URL through the chain (decode, cache, retry) and writes the
body to stdout, or to a file. A download that broke off is continued by the same command:
the rest is requested with Range and If-Range, and all of it if the content has changed.

On a terminal, text is shown with its control characters escaped, and other content is not
shown. Into a file or a pipe each byte goes as it is.

Secrets come from the environment or a file, for other users can read the arguments of a
process: --bearer env:TOKEN, --user NAME --password file:PATH, -H @FILE, or a netrc file.`,
		Example: `  ply get https://example.com                         the body on stdout
  ply get -v https://example.com                      and the record of the call on stderr
  ply get -O https://example.com/image.iso            into image.iso, continued after a break
  ply get --offline https://example.com               what the cache has, however old
  ply get --json '{"name":"x"}' https://example.com   POST of JSON; @FILE and - are its sources, too
  ply get --bearer env:TOKEN --curl https://example.com   the curl command that does the same
  ply get --har all.har https://example.com           an archive: fields without secrets, bodies as they came
  ply get --parallel 4 -O $(cat urls)                 four downloads at a time`,
		Args:              atLeastOneURL,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), e, args) },
		ValidArgsFunction: f.completeURL,
	}
	f.add(cmd, e)
	f.request.add(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "the file for the body; - writes it to stdout as it is, also to a terminal")
	flags.BoolVarP(&f.remoteName, "remote-name", "O", false, "write the body to a file with the last part of the URL's path as its name")
	flags.BoolVarP(&f.include, "include", "i", false, "write the status line and the header before the body")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show the record of each call as a waterfall on stderr")
	flags.BoolVar(&f.fail, "fail", false, "write no body of a 4xx or 5xx")
	flags.IntVar(&f.parallel, "parallel", 1, "how many URLs at a time; what goes to stdout stays in order")
	flags.BoolVar(&f.noProgress, "no-progress", false, "no progress bars; without a terminal there are none anyway")
	flags.StringVar(&f.har, "har", "", "write all exchanges, of redirects and retries too, to a HAR `file`")
	flags.BoolVar(&f.curl, "curl", false, "send nothing: write the curl command that does the same")
	flags.BoolVar(&f.showSecrets, "show-secrets", false, "leave secrets in what --har and --curl write")
	cmd.MarkFlagsMutuallyExclusive("output", "remote-name")
	return cmd
}

// A job is one URL of a command.
type job struct {
	url  string
	file string // for the body; "" is stdout
}

func (f *getFlags) run(ctx context.Context, e *env, args []string) (err error) {
	jobs, err := f.jobs(args)
	if err != nil {
		return err
	}
	method, opts, err := f.request.options(ctx, e)
	if err != nil {
		return err
	}
	if f.curl {
		return f.writeCurl(ctx, e, jobs, method, opts)
	}
	var below []ply.Middleware
	var archive *harFile
	if f.har != "" {
		if archive, err = newHARFile(f.har); err != nil {
			return err
		}
		below = append(below, ply.Named("har", archive.recorder.Middleware))
	}
	c, err := f.openOrWithout(ctx, e, below...)
	if err != nil {
		if archive != nil {
			archive.file.Close() // nothing was done: what the file had stays
		}
		return err
	}
	if archive != nil {
		defer func() { err = errors.Join(err, archive.save(f.showSecrets)) }()
	}
	g := &getting{f: f, env: e, chain: c, method: method, opts: opts, bars: newBars(e, f.noProgress)}
	err = g.all(ctx, jobs)
	g.bars.wait()
	return errors.Join(err, c.close())
}

// openOrWithout opens the chain. Where the user's cache directory cannot be used, as where there is no home, and nothing asked for it, a request can do without.
func (f *getFlags) openOrWithout(ctx context.Context, e *env, below ...ply.Middleware) (*chain, error) {
	c, err := f.open(ctx, cache.Options{}, below...)
	if f.cache != "" || f.offline || !errors.As(err, new(*storeError)) {
		return c, err
	}
	e.say("%s %s; going on without it, as --cache none does", e.errStyle().yellow("ply:"), printable(errorText(err)))
	without := f.chainFlags
	without.cache = noStore
	return without.open(ctx, cache.Options{}, below...)
}

// jobs are the URLs with their files.
func (f *getFlags) jobs(args []string) ([]job, error) {
	if f.parallel < 1 {
		return nil, usageErrorf("--parallel is %d: give 1 or more", f.parallel)
	}
	if len(args) > 1 && f.output != "" && f.output != "-" {
		return nil, usageErrorf("-o names one file for %d URLs: use -O, or a command for each", len(args))
	}
	jobs := make([]job, len(args))
	taken := map[string]bool{}
	for i, arg := range args {
		u, err := parseURL(arg)
		if err != nil {
			return nil, err
		}
		jobs[i].url = arg
		switch {
		case f.remoteName:
			name := remoteName(u)
			if taken[name] {
				return nil, usageErrorf("two URLs are for the file %s: give each a command with -o", name)
			}
			taken[name], jobs[i].file = true, name
		case f.output != "-":
			jobs[i].file = f.output
		}
	}
	return jobs, nil
}

// getting is a run of ply get.
type getting struct {
	f      *getFlags
	env    *env
	chain  *chain
	method string
	opts   []ply.RequestOption
	bars   *bars
}

// all gets the URLs, some at a time, and writes what goes to the terminal in their order. The first error stops no other URL; all are reported.
func (g *getting) all(ctx context.Context, jobs []job) error {
	errs := make([]error, len(jobs))
	slots := make(chan struct{}, g.f.parallel)
	turn := make(chan struct{})
	close(turn)
	var wg sync.WaitGroup
	for i, j := range jobs {
		slots <- struct{}{}
		before, done := turn, make(chan struct{})
		turn = done
		wg.Go(func() {
			defer func() { close(done); <-slots }()
			errs[i] = g.one(ctx, j, before)
		})
	}
	wg.Wait()
	if len(errs) == 1 {
		return errs[0]
	}
	return reportAllButLast(g.env, errs)
}

// reportAllButLast reports all errors but the last one, and returns that: the exit code is that of the last URL that failed.
func reportAllButLast(e *env, errs []error) (last error) {
	for _, err := range errs {
		if err == nil {
			continue
		}
		if isBrokenPipe(err) {
			return err
		}
		if last != nil && !errors.Is(err, context.Canceled) {
			e.report(last)
		}
		last = err
	}
	return last
}

// one gets one URL. It writes to stdout and stderr once before is closed.
func (g *getting) one(ctx context.Context, j job, before <-chan struct{}) error {
	ctx, stored := withStorings(ply.WithCallInfo(ctx))
	out := &outcome{job: j, stored: stored}
	var err error
	if isRegular(j.file) && g.method == http.MethodGet {
		err = g.download(ctx, out)
		<-before
	} else {
		out.resp, err = g.send(ctx, j.url)
		<-before
		if err == nil {
			err = g.write(out)
		}
	}
	err = g.verdict(out, err)
	if failed := g.describe(ctx, out, err); failed != nil {
		err = failed
	}
	if info, ok := ply.CallInfoFromContext(ctx); ok && g.f.verbose {
		fmt.Fprintln(g.env.stderr, strings.TrimRight(printable(info.String()), "\n"))
		if reason := stored.refused(); reason != "" {
			g.env.say("  not stored, as the end of the body shows: %s", printableLine(reason))
		}
	}
	return err
}

// verdict is the error for what came of a URL: statuses have exit codes, too.
func (g *getting) verdict(out *outcome, err error) error {
	status := 0
	if out.resp != nil {
		status = out.resp.StatusCode
	}
	var failed *ply.StatusError
	if errors.As(err, &failed) {
		status = failed.StatusCode
	}
	if g.f.offline && status == http.StatusGatewayTimeout {
		return &codedError{exitNotCached, fmt.Errorf("the cache has no answer for %s: leave out --offline to fetch it", out.url)}
	}
	if err != nil {
		return err
	}
	if code := statusCode(status); code != exitOK {
		return &codedError{code, nil}
	}
	return nil
}

// completeURL offers the URLs that the cache has, if it is on this machine: completion needs no network. URLs with a query may hold secrets and are left out.
func (f *getFlags) completeURL(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completeCachedURL(cmd.Context(), f.cache, begun), cobra.ShellCompDirectiveNoFileComp
}

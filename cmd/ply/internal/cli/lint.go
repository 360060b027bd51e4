package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/cache/cachelint"
)

// lintFlags are the flags of ply lint.
type lintFlags struct {
	sampleFlags
	failOn string
	rules  bool
}

func newLintCommand(e *env) *cobra.Command {
	f := &lintFlags{}
	cmd := &cobra.Command{
		Use:   "lint URL... | --har FILE [URL...]",
		Short: "Find mistakes in how an origin lets its answers be cached",
		Long: `lint asks an origin a few times for a URL: as it is, in other content codings, with a
condition, by HEAD; and looks for what caches stumble over, in each answer and between them.
With --har it looks at what a browser has recorded, and asks nothing. Each finding has what
shows it, its section of the RFC, and a remedy.`,
		Example: `  ply lint https://example.com/app.js
  ply lint --har session.har
  ply lint --fail-on error --format json URL    for a build: exit code 7 on errors alone
  ply lint --rules                              all that it looks for`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), e, args) },
	}
	f.sampleFlags.add(cmd)
	cmd.Flags().StringVar(&f.failOn, "fail-on", "warning", "the least severity that makes the exit code 7: error, warning, note or never")
	cmd.Flags().BoolVar(&f.rules, "rules", false, "list the rules")
	complete(cmd, "fail-on", "error", "warning", "note", "never")
	return cmd
}

// severities are the values of --fail-on, and the severities that fail with each.
var severities = map[string][]cachelint.Severity{
	"never": nil, "error": {cachelint.Error}, "warning": {cachelint.Error, cachelint.Warning}, "note": {cachelint.Error, cachelint.Warning, cachelint.Note},
}

func (f *lintFlags) run(ctx context.Context, e *env, urls []string) error {
	if f.rules {
		return e.showRules()
	}
	if err := oneOf("--fail-on", f.failOn, "error", "warning", "note", "never"); err != nil {
		return err
	}
	if err := f.checkURLs(urls); err != nil {
		return err
	}
	samples, err := f.samples(ctx, urls)
	if err != nil {
		return err
	}
	findings := cachelint.Lint(samples...)
	if err := e.showFindings(findings, len(samples)); err != nil {
		return err
	}
	for _, finding := range findings {
		for _, severity := range severities[f.failOn] {
			if finding.Severity == severity {
				return &codedError{exitCheck, nil}
			}
		}
	}
	return nil
}

// samples are the exchanges to look at: those of the archive, or those that it makes with the origin.
func (f *lintFlags) samples(ctx context.Context, urls []string) (samples []sample, err error) {
	if f.har != "" {
		err = f.eachOfArchive(urls, func(s sample) error {
			samples = append(samples, s)
			return nil
		})
		return samples, err
	}
	var seen capture
	c, err := f.chain(noStore).open(ctx, cache.Options{}, seen.middleware)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, u := range urls {
		send := func(method string, fields ...string) (sample, error) {
			req, err := f.request(ctx, method, u)
			if err != nil {
				return sample{}, err
			}
			for i := 0; i < len(fields); i += 2 {
				req.Header.Set(fields[i], fields[i+1])
			}
			s, closed, err := fetch(c.client, req, &seen)
			if err != nil {
				return sample{}, err
			}
			samples = append(samples, s)
			return s, closed()
		}
		if err := probe(send); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

// probe asks for one URL in the ways that show how its answers fit each other: in each coding as it is and with a condition, by HEAD, and for another site.
func probe(send func(method string, fields ...string) (sample, error)) error {
	for _, coding := range []string{"identity", "gzip", "br"} {
		first, err := send(http.MethodGet, "Accept-Encoding", coding)
		if err != nil {
			return err
		}
		if coding != "identity" && first.Response.Header.Get("Content-Encoding") == "" {
			continue // the same answer as before
		}
		condition := []string{"If-None-Match", first.Response.Header.Get("Etag")}
		if condition[1] == "" {
			condition = []string{"If-Modified-Since", first.Response.Header.Get("Last-Modified")}
		}
		if first.Response.StatusCode == http.StatusOK && condition[1] != "" {
			if _, err := send(http.MethodGet, "Accept-Encoding", coding, condition[0], condition[1]); err != nil {
				return err
			}
		}
	}
	if _, err := send(http.MethodHead, "Accept-Encoding", "identity"); err != nil {
		return err
	}
	_, err := send(http.MethodGet, "Accept-Encoding", "identity", "Origin", "https://ply.invalid")
	return err
}

// showFindings prints findings, as a text or as lines of JSON.
func (e *env) showFindings(findings []cachelint.Finding, exchanges int) error {
	if e.json() {
		out := json.NewEncoder(e.stdout)
		for i := range findings {
			if err := out.Encode(&findings[i]); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := fmt.Fprint(e.stdout, findingsText(findings, exchanges, e.style()))
	return err
}

// findingsText is findings for people. What is found again at a URL is counted.
func findingsText(findings []cachelint.Finding, exchanges int, s style) string {
	var b strings.Builder
	count := map[cachelint.Severity]int{}
	times := map[[3]string]int{}
	for _, f := range findings {
		times[[3]string{f.URL, f.Rule, f.Text}]++
	}
	url := ""
	for _, f := range findings {
		id := [3]string{f.URL, f.Rule, f.Text}
		n := times[id]
		if n == 0 {
			continue // shown
		}
		times[id] = 0
		count[f.Severity]++
		if f.URL != url {
			url = f.URL
			b.WriteString(s.bold(printableLine(url)) + "\n")
		}
		again := ""
		if n > 1 {
			again = fmt.Sprintf(" (%d times)", n)
		}
		fmt.Fprintf(&b, "  %s %s%s\n    %s\n", severityText(f.Severity, s), s.bold(f.Rule), again, printableLine(f.Text))
		for line := range strings.Lines(f.Evidence) {
			b.WriteString("      " + s.dim(printableLine(strings.TrimRight(line, "\n"))) + "\n")
		}
		fmt.Fprintf(&b, "    %s  %s\n", printableLine(f.Remedy), s.dim("["+f.Section+"]"))
	}
	fmt.Fprintf(&b, "%s, %s, %s in %s\n", counted(count[cachelint.Error], "error"), counted(count[cachelint.Warning], "warning"), counted(count[cachelint.Note], "note"), counted(exchanges, "exchange"))
	return b.String()
}

func severityText(severity cachelint.Severity, s style) string {
	switch severity {
	case cachelint.Error:
		return s.red(string(severity))
	case cachelint.Warning:
		return s.yellow(string(severity))
	}
	return s.blue(string(severity))
}

// showRules prints all rules.
func (e *env) showRules() error {
	for _, r := range cachelint.Rules() {
		if e.json() {
			if err := json.NewEncoder(e.stdout).Encode(r); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(e.stdout, "%-8s %s  %s\n         %s\n", r.Severity, r.Name, "["+r.Section+"]", r.Remedy); err != nil {
			return err
		}
	}
	return nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
)

// explainFlags are the flags of ply explain.
type explainFlags struct {
	sampleFlags
	cache     string
	response  string
	method    string
	shared    bool
	expiry    string
	key       string
	principal string
	noFetch   bool
	check     bool
}

func newExplainCommand(e *env) *cobra.Command {
	f := &explainFlags{}
	cmd := &cobra.Command{
		Use:   "explain URL | --har FILE [URL...]",
		Short: "Say whether an answer would be cached, why, for how long and for whom",
		Long: `explain says what the cache would do with a request now, and fetches it once, past the
cache, to say whether the answer would be stored: why, for how long, under what key, for
whom, and what would change that. Each rule has its section of the RFC. It stores nothing.
A body without a Content-Length is read up to the 8 MiB that are stored at most.`,
		Example: `  ply explain https://example.com                     what the cache has, and what the origin says
  ply explain --shared -H 'Cookie: a=b' URL           as a shared cache, for a request with a cookie
  ply explain --expiry 1h URL                         what an expiry strategy of your own would do
  ply explain --response answer.txt URL               an answer in a file, as it came over the wire
  ply explain --har session.har                       each exchange that a browser has recorded
  ply explain --check URL && echo cached              exit code 7 if it would not be stored`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), e, args) },
	}
	f.sampleFlags.add(cmd)
	addStoreFlag(cmd, e, &f.cache)
	flags := cmd.Flags()
	flags.StringVar(&f.response, "response", "", "explain the answer in this file, status line and header as they came; - is stdin")
	flags.StringVarP(&f.method, "request", "X", http.MethodGet, "the method; what may change something is not sent, but needs --response")
	flags.BoolVar(&f.shared, "shared", false, "explain a shared cache: s-maxage, private and credentials count as there")
	flags.StringVar(&f.expiry, "expiry", "default", "how long an answer is fresh: default (as the server says), a duration such as 1h, revalidate, never or no-store")
	flags.StringVar(&f.key, "key", "default", "what makes two requests the same: default, single-user, ignore-credentials or header:NAME,NAME…")
	flags.StringVar(&f.principal, "principal", "", "the name of the one who asks, as a program gives it by WithPrincipal")
	flags.BoolVar(&f.noFetch, "no-fetch", false, "ask no origin: only what the cache would do now")
	flags.BoolVar(&f.check, "check", false, "exit with 7 unless each answer would be stored")
	cmd.MarkFlagsMutuallyExclusive("har", "response", "no-fetch")
	complete(cmd, "expiry", "default", "revalidate", "never", "no-store")
	complete(cmd, "key", "default", "single-user", "ignore-credentials", "header:")
	return cmd
}

// An explained exchange is what explain prints for each, as JSON one in a line.
type explained struct {
	Method   string                    `json:"method"`
	URL      string                    `json:"url"`                // redacted
	Cache    string                    `json:"cache"`              // private or shared
	Now      *cache.Explanation        `json:"now,omitempty"`      // what the cache would do with the request now
	Status   int                       `json:"status,omitempty"`   // of the answer
	Header   http.Header               `json:"header,omitempty"`   // the fields of the answer that are about caching
	Response *cache.StoringExplanation `json:"response,omitempty"` // whether the answer would be stored
}

func (f *explainFlags) run(ctx context.Context, e *env, urls []string) (err error) {
	o, err := f.options()
	if err != nil {
		return err
	}
	if f.har != "" {
		f.cache = "memory" // of the past there is nothing to look up
	}
	if err := f.checkUse(urls); err != nil {
		return err
	}
	var seen capture
	c, err := f.chain(f.cache).open(ctx, o, seen.middleware)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	stored := true
	show := func(x *explained) error {
		stored = stored && (x.Response == nil && f.noFetch || x.Response != nil && x.Response.Stored)
		x.Cache = "private"
		if f.shared {
			x.Cache = "shared"
		}
		return e.showExplained(x)
	}
	if f.har != "" {
		err = f.explainArchive(ctx, c, urls, show)
	} else {
		err = f.explainURLs(ctx, e, c, &seen, urls, show)
	}
	if err == nil && f.check && !stored {
		return &codedError{exitCheck, nil}
	}
	return err
}

// checkUse says which flag or argument cannot be used.
func (f *explainFlags) checkUse(urls []string) error {
	if err := f.checkURLs(urls); err != nil {
		return err
	}
	if len(urls) > 1 && f.response != "" {
		return usageErrorf("--response is the answer of one URL")
	}
	if f.cache == noStore {
		return usageErrorf("explain needs a cache to look at: leave out --cache none, or give memory")
	}
	return nil
}

func (f *explainFlags) explainURLs(ctx context.Context, e *env, c *chain, seen *capture, urls []string, show func(*explained) error) error {
	for _, u := range urls {
		x, err := f.explainURL(ctx, e, c, seen, u)
		if err == nil {
			err = show(x)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// explainURL explains what is stored for a URL and the answer of its origin, or of a file.
func (f *explainFlags) explainURL(ctx context.Context, e *env, c *chain, seen *capture, url string) (*explained, error) {
	if f.principal != "" {
		ctx = cache.WithPrincipal(ctx, f.principal)
	}
	req, err := f.request(ctx, f.method, url)
	if err != nil {
		return nil, err
	}
	prepared, err := c.client.Prepare(req)
	if err != nil {
		return nil, err
	}
	if prepared, err = belowDecode(prepared); err != nil {
		return nil, err
	}
	switch {
	case f.noFetch:
		return explainExchange(ctx, c.cache, prepared, nil, time.Now())
	case f.response != "":
		resp, err := readResponse(e, f.response, prepared)
		if err != nil {
			return nil, err
		}
		return explainExchange(ctx, c.cache, prepared, resp, time.Now())
	case !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, "QUERY"}, f.method):
		return nil, usageErrorf("%s may change something, so explain does not send it: give the answer by --response, or --no-fetch", f.method)
	}
	s, closed, err := fetch(c.client, req.WithContext(cache.Disable(ctx)), seen)
	if err != nil {
		return nil, err
	}
	defer closed()
	x, err := explainExchange(ctx, c.cache, prepared, s.Response, s.Received)
	body, ok := s.Response.Body.(*unannounced)
	if err != nil || !ok || !x.Response.Stored {
		return x, err
	}
	n, err := body.measure(maxEntryBytes)
	if err != nil {
		return nil, networkError(err)
	}
	if n <= maxEntryBytes {
		return x, nil
	}
	s.Response.ContentLength = n // as far as that counts
	return explainExchange(ctx, c.cache, prepared, s.Response, s.Received)
}

func (f *explainFlags) explainArchive(ctx context.Context, c *chain, urls []string, show func(*explained) error) error {
	return f.eachOfArchive(urls, func(s sample) error {
		if f.principal != "" {
			ctx = cache.WithPrincipal(ctx, f.principal)
		}
		x, err := explainExchange(ctx, c.cache, s.Request.WithContext(ctx), s.Response, s.Received)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Request.URL, err)
		}
		x.Now = nil
		return show(x)
	})
}

// explainExchange explains a request and, unless resp is nil, an answer to it that was received at a time.
func explainExchange(ctx context.Context, c *cache.Cache, r *http.Request, resp *http.Response, received time.Time) (*explained, error) {
	now, err := c.Explain(ctx, r)
	if err != nil {
		return nil, err
	}
	x := &explained{Method: now.Method, URL: now.URL, Now: now}
	if resp == nil {
		return x, nil
	}
	x.Status, x.Header = resp.StatusCode, cachingFields(resp.Header)
	x.Response, err = c.ExplainResponseAt(ctx, r, resp, received)
	return x, err
}

// options are those of the cache that is explained.
func (f *explainFlags) options() (o cache.Options, err error) {
	o.Shared = f.shared
	if o.Expiry, err = parseExpiry(f.expiry); err != nil {
		return o, err
	}
	o.Key, err = parseKey(f.key)
	return o, err
}

func parseExpiry(name string) (expiry.Strategy, error) {
	switch name {
	case "default", "":
		return nil, nil
	case "revalidate":
		return expiry.AlwaysRevalidate(), nil
	case "never":
		return expiry.NeverExpires(), nil
	case "no-store":
		return expiry.NoStore(), nil
	}
	d, err := time.ParseDuration(name)
	if err != nil || d <= 0 {
		return nil, usageErrorf("--expiry is %q: give default, a duration such as 1h, revalidate, never or no-store", name)
	}
	return expiry.After(d), nil
}

func parseKey(name string) (keying.Strategy, error) {
	names, byHeader := strings.CutPrefix(name, "header:")
	switch {
	case name == "default", name == "":
		return nil, nil
	case name == "single-user":
		return keying.SingleUser(), nil
	case name == "ignore-credentials":
		return keying.New(keying.IgnoreCredentials()), nil
	case byHeader && names != "":
		return keying.New(keying.Header(strings.Split(names, ",")...)), nil
	}
	return nil, usageErrorf("--key is %q: give default, single-user, ignore-credentials or header:NAME,NAME…", name)
}

// belowDecode is a request as the cache below decode sees it: with the content codings that decode asks for.
func belowDecode(req *http.Request) (*http.Request, error) {
	var seen capture
	resp, err := decode.New(decode.Options{})(seen.middleware(noContent{})).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return seen.last.Request, nil
}

// noContent answers each request with 204.
type noContent struct{}

func (noContent) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// request makes a request with the fields of --header.
func (f *sampleFlags) request(ctx context.Context, method, url string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header, err = (&requestFlags{header: f.header}).fields()
	if err != nil {
		return nil, err
	}
	return req, nil
}

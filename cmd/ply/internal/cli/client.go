package cli

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/store"
)

// userAgent is what requests say unless -H says otherwise.
const userAgent = "ply"

// storeTimeout bounds a call of the store. A person waits rather than miss the cache.
const storeTimeout = 5 * time.Second

// maxEntryBytes bounds what is stored of a response's body, as a cache.Cache does by default.
const maxEntryBytes = 8 << 20

// chainFlags are the flags of commands that send requests.
type chainFlags struct {
	cache            string
	offline, refresh bool
	timeout          time.Duration
	retries          int
	insecure         bool
	maxRedirects     int
}

// add gives cmd the flags of the chain.
func (f *chainFlags) add(cmd *cobra.Command, e *env) {
	flags := cmd.Flags()
	addStoreFlag(cmd, e, &f.cache)
	flags.BoolVar(&f.offline, "offline", false, "answer from the cache alone, however old that is")
	flags.BoolVar(&f.refresh, "refresh", false, "fetch anew, and store what comes")
	flags.DurationVar(&f.timeout, "timeout", 0, "bound on each request with its retries and its body, as 30s; 0 means none")
	flags.IntVar(&f.retries, "retries", 2, "how often a request is sent again that is safe to send again; 0 means never")
	flags.BoolVarP(&f.insecure, "insecure", "k", false, "do not verify the server's certificate")
	flags.IntVar(&f.maxRedirects, "max-redirects", 10, "redirects to follow; 0 shows the redirect itself")
	cmd.MarkFlagsMutuallyExclusive("offline", "refresh")
}

// addStoreFlag gives cmd the flag --cache, whose default is PLY_CACHE or else the user's cache directory.
func addStoreFlag(cmd *cobra.Command, e *env, name *string) {
	cmd.Flags().StringVar(name, "cache", e.getenv("PLY_CACHE"), "the cache: "+storeNames+" (default: PLY_CACHE, or ply in the user's cache directory)")
	cmd.Flags().Lookup("cache").DefValue = "" // --help shows it, and PLY_CACHE may have a password
	complete(cmd, "cache", "memory", "none", "sqlite:", "redis://", "postgres://", "memcached://", "file:")
}

// A chain is a client with the cache and the store below it.
type chain struct {
	client *ply.Client
	cache  *cache.Cache // nil without one
	store  store.Closer // nil without one
}

// open makes the chain of the flags: decode → cache → retry, with redirects above and what more in below them all. Nothing is sent.
// The caller closes it.
func (f *chainFlags) open(ctx context.Context, o cache.Options, below ...ply.Middleware) (_ *chain, err error) {
	if f.retries < 0 || f.maxRedirects < 0 || f.timeout < 0 {
		return nil, usageErrorf("--retries, --max-redirects and --timeout cannot be negative")
	}
	if f.offline && f.cache == noStore {
		return nil, usageErrorf("--offline needs a cache: leave out --cache none")
	}
	c := &chain{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	layers := []ply.Middleware{decode.New(decode.Options{})}
	if f.cache != noStore {
		if c.store, err = openStore(ctx, f.cache); err != nil {
			return nil, &storeError{err}
		}
		o.Store, o.StoreTimeout, o.Mode, o.Tags, o.MaxEntryBytes = c.store, storeTimeout, f.mode(), tagsOf, maxEntryBytes
		if c.cache, err = cache.New(o); err != nil {
			return nil, err
		}
		layers = append(layers, c.cache.Middleware)
	}
	layers = append(layers, retry.New(retry.Options{MaxAttempts: f.retries + 1, Resume: f.retries}))
	c.client, err = ply.New(ply.Options{
		Header:   http.Header{"User-Agent": {userAgent}},
		Timeouts: ply.Timeouts{Total: f.timeout},
		TrustEnv: true,
		Use:      append(layers, below...),
		Defaults: f.defaults(),
	})
	return c, err
}

// tagsOf returns the tags of a response that its server wrote for a CDN, under any of the usual names.
func tagsOf(resp *http.Response) []string {
	return slices.Concat(cache.SurrogateKey(resp), cache.CacheTag(resp), cache.XKey(resp))
}

// A storeError says that the store of the cache could not be opened.
type storeError struct{ err error }

func (e *storeError) Error() string { return "the cache cannot be opened: " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

func (f *chainFlags) mode() cache.Mode {
	switch {
	case f.offline:
		return cache.ModeOnlyIfCached
	case f.refresh:
		return cache.ModeReload
	}
	return cache.ModeDefault
}

func (f *chainFlags) defaults() (opts []ply.RequestOption) {
	if f.insecure {
		opts = append(opts, ply.InsecureSkipVerify())
	}
	if f.maxRedirects == 0 {
		return append(opts, ply.NoRedirects())
	}
	return append(opts, ply.MaxRedirects(f.maxRedirects))
}

// close ends the client, the cache with what it still writes, and the store, in this order.
func (c *chain) close() error {
	var errs []error
	if c.client != nil {
		errs = append(errs, c.client.Close())
	}
	if c.cache != nil {
		errs = append(errs, c.cache.Close())
	}
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	return errors.Join(errs...)
}

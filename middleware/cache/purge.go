package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/connection"
	"github.com/plyhttp/ply/internal/target"
	"github.com/plyhttp/ply/internal/urlpattern"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// Delete removes what is stored under r's key, all variants of it, whichever connection of the chains that the cache stands in they came by.
// Other principals' copies stay; see [Cache.DeleteURL]. A response to such a request that is under way from the origin meanwhile is not stored.
//
// r must be as the cache sees it: with its whole URL and with all that the key is made of, credentials for one. A client adds some of that in its Do,
// so have it prepare the request, with ply.Client.Prepare. What layers above the cache add must be there, too, and what they choose by context in r's context.
// A URL without a scheme or a host is an error; a request that lacks something else removes what such a request has stored, which may be nothing.
func (c *Cache) Delete(ctx context.Context, r *http.Request) error {
	if r == nil || !located(r) {
		return errNoHost
	}
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.Add(c.tagsOf(r)...)
	var failed error
	for _, path := range c.paths(r) {
		failed = errors.Join(failed, c.deleteBy(ctx, r, path))
	}
	return failed
}

func (c *Cache) deleteBy(ctx context.Context, r *http.Request, path connection.Path) error {
	key, err := c.appendKey(nil, r, path)
	if err != nil {
		return fmt.Errorf("cache: delete: %w", err)
	}
	err = c.updateBoth(ctx, key, func(*stored.Variants) *stored.Variants { return nil })
	if err != nil || !c.searches.Load() {
		return c.reported(ctx, "delete", err)
	}
	if key, err = c.searchKey(r, path); err != nil {
		return fmt.Errorf("cache: delete: %w", err)
	}
	return c.reported(ctx, "delete", c.updateBoth(ctx, key, func(old *stored.Variants) *stored.Variants {
		return old.Without(func(e *stored.Entry) bool { return e.Search == nil || e.Search.Covers(stored.QueryOf(r)) })
	}))
}

// DeleteURL removes everything that is stored for a URL, and for those that [Options.Key] takes for the same: all variants, methods, and every principal's copy,
// in all processes that share the store. A response that is under way from the origin meanwhile is not stored.
//
// The URL is a whole one. An error says so if it has no scheme or host, or if it is one that [Cache.URLs] or a log has shown with hidden values.
func (c *Cache) DeleteURL(ctx context.Context, url string) error {
	r, err := requestFor(url)
	switch {
	case err != nil:
		return err
	case hidden(r.URL):
		return errHidden
	}
	return wrapped("delete", c.drop(ctx, c.tagsOf(r)...))
}

// DeleteGroup removes the stored responses of a cache group (RFC 9875), in all processes that share the store. The URL is any whole one of the origin whose group is meant.
// A response of the group that is under way from the origin meanwhile is not stored. A URL without a scheme or a host is an error.
func (c *Cache) DeleteGroup(ctx context.Context, url, group string) error {
	r, err := requestFor(url)
	if err != nil {
		return err
	}
	return wrapped("delete", c.drop(ctx, c.groupTags(r, []string{group})...))
}

// DeletePrincipal removes everything that is stored for the principal with a name that [WithPrincipal] has been given: at log-out, or when an account is closed.
// It does so in all processes that share the store. A response for that principal that is under way from the origin meanwhile is not stored.
//
// The cache knows the principal of a response only where the program has named it. An empty name is an error.
func (c *Cache) DeletePrincipal(ctx context.Context, name string) error {
	if name == "" {
		return errors.New("cache: delete: the principal has no name: give the one that WithPrincipal was given")
	}
	return wrapped("delete", c.drop(ctx, principalTag(name)))
}

// DeletePattern removes the stored responses whose URL fits a pattern of the kind that expiry.ByURL takes, and returns how many there were.
// A pattern is one of whole URLs: "*.png" is any subdomain of the host "png"; "example.com/img/*.png" and "~[.]png$" are images. That none fits is no error.
// A path with dot segments fits if it does as it was sent or without them, and a URL fits if it does by another host that [Options.Key] takes for the same. A response that this cache has under way from the origin meanwhile is not stored.
//
// Only a pattern that begins with "~" sees queries. Over a byte store it sees [redact.Placeholder] in the place of their values, and of a path's parameters (";v=1").
// A store that cannot list what it holds is an error.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (int, error) {
	fits, err := c.urlsThatFit(pattern)
	if err != nil {
		return 0, err
	}
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.AddFilter(func(url string, _ time.Time) bool {
		return fits(url) || c.durable != nil && fits(redact.URLText(url)) // as it will be in the store
	})
	return c.deleteWhere(ctx, func(e *stored.Entry) bool { return fits(e.URL) })
}

// urlsThatFit returns what reports whether a URL of an entry fits a pattern.
func (c *Cache) urlsThatFit(pattern string) (func(url string) bool, error) {
	p, err := urlpattern.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("cache: pattern %q: %w", pattern, err)
	}
	_, mirrored := c.key.(mirrorer)
	return func(url string) bool {
		if reaches, ok := p.ReachesText(url); ok && (reaches || !mirrored) {
			return reaches
		}
		r, err := http.NewRequest(http.MethodGet, url, nil)
		return err == nil && (p.Reaches(r) || slices.ContainsFunc(c.mirrors(r), p.Reaches))
	}, nil
}

// DeleteOlderThan removes the stored responses that were received or validated longer than d ago, and returns how many there were.
// A response that this cache asked the origin for as long ago, and has under way, is not stored: with a d of zero, none that is under way is.
// A store that cannot list what it holds is an error.
func (c *Cache) DeleteOlderThan(ctx context.Context, d time.Duration) (int, error) {
	now := time.Now()
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.AddFilter(func(_ string, requested time.Time) bool { return now.Sub(requested) >= d })
	return c.deleteWhere(ctx, func(e *stored.Entry) bool { return e.ResidentTime(now) > d })
}

// DeleteFunc removes the stored responses for which drop is true, and returns how many there were. drop must not call the cache or its store.
// It is called by DeleteFunc alone, one call at a time. No response that this cache has under way from the origin meanwhile is stored, for drop cannot be asked about it yet.
//
// Over a byte store drop sees no values of a query; see [Cache.Entries]. A store that cannot list what it holds is an error.
func (c *Cache) DeleteFunc(ctx context.Context, drop func(*Entry) bool) (int, error) {
	if drop == nil {
		return 0, errors.New("cache: delete: the function is nil: give one, or use Clear to remove everything")
	}
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.AddAll()
	return c.deleteAmong(ctx, nil, func(key string, e *stored.Entry) bool { return drop(c.shown(key, e)) })
}

// deleteWhere removes the stored responses for which drop is true. drop may be asked more than once, and about what has been invalidated.
func (c *Cache) deleteWhere(ctx context.Context, drop func(*stored.Entry) bool) (int, error) {
	return c.deleteAmong(ctx, func(set *stored.Variants) bool { return slices.ContainsFunc(set.Entries, drop) }, func(_ string, e *stored.Entry) bool { return drop(e) })
}

// deleteAmong removes the stored responses for which drop is true from the sets that are wanted, or from all if wanted is nil.
func (c *Cache) deleteAmong(ctx context.Context, wanted func(*stored.Variants) bool, drop func(key string, e *stored.Entry) bool) (int, error) {
	n, err := c.updateAll(ctx, wanted, func(key string, e *stored.Entry) *stored.Entry {
		if drop(key, e) {
			return nil
		}
		return e
	})
	return n, c.reported(ctx, "delete", err)
}

// DeleteEntry removes one stored response, such as one that [Cache.Entries] has listed, and what a validation has put in its place since.
// Other variants of it and other principals' copies stay. It is no error if it is gone already. A response to such a request that is under way
// from the origin meanwhile is not stored.
//
// Use it where a URL does not say enough: over a byte store, which holds no values of a query. The entry must come from this cache.
func (c *Cache) DeleteEntry(ctx context.Context, e *Entry) error {
	if e == nil || e.stored == nil || len(e.stored.Tags) == 0 {
		return errors.New("cache: delete: the Entry comes from no cache: take one that Entries yields")
	}
	c.removals.Add(1)
	defer c.removals.Add(-1)
	c.history.Add(e.stored.Tags[0])
	if c.durable != nil && e.cache == c && e.stored.RecordKey() == nil { // a hook has been told of it
		return c.reported(ctx, "delete", c.store.Update(ctx, e.key, func(set *stored.Variants) *stored.Variants { return set.Without(e.stored.SameVariant) }))
	}
	return c.reported(ctx, "delete", c.store.DeleteEntry(ctx, e.stored))
}

// requestFor makes a request for a whole URL.
func requestFor(url string) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("cache: delete: %w", redact.Error(err))
	}
	if !located(r) {
		return nil, errNoHost
	}
	return r, nil
}

var (
	errNoHost = errors.New("cache: the URL has no scheme or no host, so nothing can be stored for it: give a whole URL, or have the client prepare the request (ply.Client.Prepare)")
	errHidden = errors.New("cache: delete: the URL has REDACTED in the place of a value, so it is not the one that was requested: give that, or remove what Entries lists, with DeleteEntry")
)

// located reports whether a request says where it goes: every stored response came from a host.
func located(r *http.Request) bool {
	return r.URL != nil && r.URL.Scheme != "" && target.Authority(r) != ""
}

// hidden reports whether package redact has put its placeholder into a URL.
func hidden(u *url.URL) bool {
	for param := range strings.SplitSeq(u.RawQuery, "&") {
		if _, value, ok := strings.Cut(param, "="); ok && value == redact.Placeholder || !ok && param == redact.Placeholder {
			return true
		}
	}
	return strings.Contains(u.Path, "="+redact.Placeholder) || u.Opaque == redact.Placeholder
}

package cache

import (
	"slices"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
)

// MatchURL returns a function that reports whether the URL of an entry fits a pattern, of the kind that expiry.ByURL takes: whether [Cache.DeletePattern] would remove it.
// It is a condition for [Cache.ExportFunc], and for loops over [Cache.Entries]. It is safe for concurrent use. The error says what is wrong with the pattern.
func (c *Cache) MatchURL(pattern string) (func(*Entry) bool, error) {
	fits, err := c.urlsThatFit(pattern)
	if err != nil {
		return nil, err
	}
	return func(e *Entry) bool { return fits(e.URL()) }, nil
}

// URLIs reports whether the entry is for a URL, or for one that [Options.Key] takes for the same: whether [Cache.DeleteURL] would remove it.
// It knows the values of a query over a byte store, too, where [Entry.URL] does not: entries keep a hash of the whole URL.
// It is false for what is no whole URL, and for an entry that comes from no cache.
func (e *Entry) URLIs(url string) bool {
	r, err := requestFor(url)
	if err != nil || e.cache == nil {
		return false
	}
	return slices.ContainsFunc(e.cache.tagsOf(r), func(tag invalidation.Tag) bool { return slices.Contains(e.stored.Tags, tag) })
}

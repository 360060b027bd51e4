package cache

import (
	"cmp"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// An Entry is one stored response. It never changes: a validation puts a new entry, which shares the body, in its place.
// The zero Entry is of no use; entries come from a cache.
type Entry struct {
	stored *stored.Entry
	cache  *Cache // that holds it, or nil for what a Memory has evicted
	key    string // the cache's key, with secrets in clear, or empty: a byte store has a hash of it only
}

// shown is an entry as the program sees it.
func (c *Cache) shown(key string, e *stored.Entry) *Entry {
	return &Entry{stored: e, cache: c, key: key}
}

// Key returns the cache key that the response is stored under: 64 hexadecimal digits, a hash, for the key itself may hold credentials.
// Responses to one request that differ in what they vary on have one key. It is the same in each process and each store, as long as [Options.Key], [Options.Shared]
// and the connection are. Of an entry that [MemoryOptions.Evicted] has been given it is empty.
//
// In a byte store the name of the record is "e1." and the key.
func (e *Entry) Key() string {
	switch at := e.stored.RecordKey(); {
	case at != nil:
		return hex.EncodeToString(at.Hash[:])
	case e.cache == nil:
		return ""
	}
	return e.cache.hashOf(e.key)
}

// hashOf is a cache key as it may be shown.
func (c *Cache) hashOf(key string) string {
	hash := c.keyHash(key)
	return hex.EncodeToString(hash[:])
}

// keyHash is the hash of a cache key. What has been imported into memory may stand there under the hash itself; see adopt.
func (c *Cache) keyHash(key string) [32]byte {
	if hash, ok := durable.HashIn(key); ok {
		return hash
	}
	return durable.HashKey(c.policy.Shared, key)
}

// KeyParts returns what is known of the parts of the key, and what the response varies on (RFC 9111 §4.1): the "method", the "URI", each selecting header field
// by its name, and the "key". URIs are redacted, and values that may be credentials are hashes, as in [Explanation]. Of the rest, a store holds a hash only:
// [Cache.Explain] has all parts for a request that you have.
func (e *Entry) KeyParts() []KeyPart {
	parts := []KeyPart{{"method", e.Method()}, {"URI", redact.URLText(e.URL())}}
	for _, s := range e.stored.Selectors {
		parts = append(parts, KeyPart{http.CanonicalHeaderKey(s.Name), shownValue(s.Name, s.Value, s.Present)})
	}
	return append(parts, KeyPart{"key", e.Key()})
}

// URL returns the target URI, without fragment and userinfo. In a URL that was read from a byte store, [redact.Placeholder] stands for what package redact hides:
// the values of the query, mostly.
func (e *Entry) URL() string { return e.stored.URL }

// Method returns the method of the requests that the response answers: "GET", which stands for HEAD as well, or another one of [Options.Methods].
func (e *Entry) Method() string { return cmp.Or(e.stored.Method, http.MethodGet) }

// PrincipalIs reports whether the response was made for the principal with this name, as [WithPrincipal] said. An entry has only a hash of the name,
// in memory as in a store, so it cannot return the name.
func (e *Entry) PrincipalIs(name string) bool {
	return name != "" && slices.Contains(e.stored.Tags, principalTag(name))
}

// HasTag reports whether [Options.Tags] gave the response this tag, by which [Cache.DeleteTag] removes it. An entry has only hashes of its tags, so it cannot list them.
func (e *Entry) HasTag(name string) bool {
	return name != "" && slices.Contains(e.stored.Tags, invalidation.NamedTag(name))
}

// StatusCode returns the status of the stored response.
func (e *Entry) StatusCode() int { return e.stored.Status }

// Header returns a copy of the stored header.
func (e *Entry) Header() http.Header { return e.stored.Header.Map() }

// Size returns how many bytes the entry is charged with: body, header and overhead.
func (e *Entry) Size() int64 { return e.stored.Size }

// Received returns when the response was received or last validated.
func (e *Entry) Received() time.Time { return e.stored.Received }

// Requested returns when the request was sent that was answered with the response, or that last validated it: request_time (RFC 9111 §4.2.3).
func (e *Entry) Requested() time.Time { return e.stored.Requested }

// ResponseDelay returns how long the origin took in that exchange, from the request to the end of the response's header: response_delay (RFC 9111 §4.2.3).
func (e *Entry) ResponseDelay() time.Duration {
	return max(e.stored.Received.Sub(e.stored.Requested), 0)
}

// LastUsed returns when a request was last answered from the entry, or when it was stored if none has been. It is the one thing that goes on changing: in a [Memory],
// with each use, as exact as a millisecond. A byte store is not written to with each use: it learns of one within the hour where the response
// varies on something, and sooner where each use extends the lifetime; for all others it is when the response was stored.
func (e *Entry) LastUsed() time.Time { return time.Unix(0, e.stored.Used.Load()) }

// Age returns how old the response is at now: current_age (RFC 9111 §4.2.3).
func (e *Entry) Age(now time.Time) time.Duration { return e.stored.Age(now) }

// Expires returns until when the response is fresh.
func (e *Entry) Expires() time.Time { return e.stored.Expires() }

// Fresh reports whether the response is fresh at now.
func (e *Entry) Fresh(now time.Time) bool { return e.stored.FreshFor(now) > 0 }

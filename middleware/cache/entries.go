package cache

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// An Entry is one stored response. It never changes: a validation puts a new entry, which shares the body, in its place.
// The zero Entry is of no use; entries come from a cache.
type Entry struct{ stored *stored.Entry }

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

// StatusCode returns the status of the stored response.
func (e *Entry) StatusCode() int { return e.stored.Status }

// Header returns a copy of the stored header.
func (e *Entry) Header() http.Header { return e.stored.Header.Clone() }

// Size returns how many bytes the entry is charged with: body, header and overhead.
func (e *Entry) Size() int64 { return e.stored.Size }

// Received returns when the response was received or last validated.
func (e *Entry) Received() time.Time { return e.stored.Received }

// Expires returns until when the response is fresh.
func (e *Entry) Expires() time.Time { return e.stored.Expires() }

// Fresh reports whether the response is fresh at now.
func (e *Entry) Fresh(now time.Time) bool { return e.stored.FreshFor(now) > 0 }

package cache

import (
	"context"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/redact"
)

// ErrBodyGone is the error of [Entry.Open] if the store does not have the body any more: the response was replaced or removed after the entry was listed,
// or the store has lost it.
var ErrBodyGone = durable.ErrGone

// Open returns the stored response with its body: as it is stored, without Age and Cache-Status, fresh or not. Its Request has the method and the URL
// of the entry, and ctx. The caller closes the body; each call returns a response of its own.
//
// Open is a look, not a use: neither [Entry.LastUsed] nor [Stats] count it, the origin is not asked, and an event stream comes at once.
// It returns the body whichever principal that was stored for, as Entries lists them all: pass entries on only to those who may see it.
//
// A body that only a byte store has is checked as it is read, up to 1 MiB of it before Open returns; ctx bounds that, and reading the rest.
// The error is [ErrBodyGone] if it is gone, and otherwise the store's. Should the rest of a larger body be gone later, Read returns [io.ErrUnexpectedEOF].
func (e *Entry) Open(ctx context.Context) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, e.Method(), e.URL(), nil)
	if err != nil {
		return nil, wrapped("open", redact.Error(err))
	}
	s := e.stored
	if !s.Body.InMemory() && e.cache != nil && e.cache.durable != nil {
		if s, err = e.cache.durable.WithBody(ctx, s, 0); err != nil {
			return nil, wrapped("open", err)
		}
	}
	resp := s.WithoutBody(r, s.Body.Size())
	if s.Uncompressed {
		resp.Uncompressed, resp.ContentLength = true, -1
	}
	if s.Trailer() != "" {
		resp.Trailer = s.Trailer().Map()
	}
	if s.Body.Size() > 0 {
		resp.Body = s.Content(r)
	}
	return resp, nil
}

package cache

import (
	"context"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// A sharedBody is the body of the answer to a fetch, which several requests may read, and of which a copy is stored when it has ended well.
// What lives as long as it does is one piece of memory, with the leader's response and its reader.
//
// Decided is called once: when the copy is complete, or is dropped. Until then the fetch stays in the table, so that later requests join it;
// with a complete copy it stays until they find the entry in the store. An extra reference keeps the fan-out alive so long.
type sharedBody struct {
	stream.FanOut
	claim  stream.Claim
	fetch  *inflightFetch
	made   *http.Response // the transport's, which puts the trailers into it
	given  http.Response  // the leader's
	leader sharedReader
	began  invalidation.Moment // the request's, in the history of invalidations
	events *stream.EventStream // that the body is, or nil
}

// shareBody lets the waiters of a fetch read the body, and stores a copy of it when it has ended well.
func (p *originResponse) shareBody(e *stored.Entry) {
	events := p.recordEvents()
	if events != nil {
		p.inflight.lease.End(lease.ReleaseAll) // no other process waits for the end of a stream
	}
	b := new(sharedBody)
	b.BodyCopy, b.events = p.newBodyCopy(e, events, &b.claim), events
	// What is stored before its caller has read it must not be heard of before the answer.
	b.Ahead = events == nil && p.cache.trace == nil && !p.parsed.Traced && p.cache.filterBody == nil
	b.share(p, e)
}

// share makes b the body of the fetch that answers with e. The response gets another trailer section than that of the transport:
// what the caller does to its own is not stored.
func (b *sharedBody) share(p *originResponse, e *stored.Entry) {
	f, made := p.inflight, p.Response
	b.Owner, b.fetch, b.made, b.began = b, f, made, p.began
	b.Source, b.Announced = made.Body, made.Trailer.Clone()
	e.Derive()
	b.Tagged = e.Etag().Strong()
	f.entry, f.body = e, b
	b.given = *made
	b.given.Trailer = made.Trailer.Clone()
	p.Response = &b.given
}

// Ended takes the trailers.
func (b *sharedBody) Ended() { b.Final = b.made.Trailer.Clone() }

// Cancel ends the exchange of the fetch.
func (b *sharedBody) Cancel(cause error) { b.fetch.endFor(cause) }

// Decided stores the copy, or ends the fetch without one.
func (b *sharedBody) Decided(o stream.Outcome) {
	f := b.fetch
	x := &f.lead
	switch {
	case f.unstored:
	case !o.Complete:
		x.removeIfTooLarge(f.entry, o.Reason)
		f.copyDropped(x, o)
	case f.bodyKept(x, f.entry, o.Body):
		e := b.completed(&o)
		b.AddRef()
		x.cache.put(x, e, b.began, b)
	}
}

// completed is the entry of the fetch with its body. It is the one that the requests of the fetch share, unless one has joined, which may be reading it.
func (b *sharedBody) completed(o *stream.Outcome) *stored.Entry {
	f := b.fetch
	// A request that joins from here on finds the entry as it stays:
	//	we: find that none has joined, complete the entry   they: join, read it
	//	they: join, read it   we: find that, complete a copy
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.entry
	if f.joined || b.events != nil || o.Stored != nil {
		e = e.Clone()
		e.Derive()
	}
	e.Complete(o.Content(), stored.NewHeader(b.Final), b.events.Pacing())
	return e
}

// settled lets go of what has been kept until later requests find the entry in the store, or never will. A nil sharedBody keeps nothing.
func (b *sharedBody) settled() {
	if b != nil {
		b.fetch.table.remove(b.fetch)
		b.Leave(context.Canceled)
	}
}

// bodyKept reports whether the user's condition lets the response be stored with this body. If it does not, or panics, the copy is dropped.
func (f *inflightFetch) bodyKept(x *exchange, e *stored.Entry, body []byte) (kept bool) {
	defer func() {
		if !kept {
			f.copyDropped(x, stream.Outcome{Reason: bodyRefused})
		}
	}()
	return x.cache.keeps(x.request, e, body)
}

// copyDropped ends a fetch whose answer is not stored after all: no request joins it any more, and other processes wait no longer.
func (f *inflightFetch) copyDropped(x *exchange, o stream.Outcome) {
	f.table.remove(f)
	f.lease.End(releaseAfterDrop(&o))
	x.cache.traceNotStored(x.request, o.Reason)
}

// A sharedReader is the body of one response whose bytes come from a fetch that others share.
// It may be read after the exchange is over, so it keeps the request and the fetch, and no exchange.
type sharedReader struct {
	stream.Reader
	fetch   *inflightFetch
	next    http.RoundTripper
	request *http.Request
	resp    *http.Response
	part    bool // it is a part of the body, which no trailers follow
}

// init prepares a reader for the body of resp. It ends with the caller's context, not with that of the fetch, which others may still need.
func (t *sharedReader) init(x *exchange, f *inflightFetch, resp *http.Response) {
	t.Ctx, t.Answer = x.request.Context(), t
	t.fetch, t.next, t.request, t.resp = f, x.next, x.request, resp
}

// Ended gives the response its trailers.
func (t *sharedReader) Ended() {
	if !t.part {
		addTrailers(t.resp, t.fetch.body.Final)
	}
}

// Resume asks for the rest of the body by another request.
func (t *sharedReader) Resume() *stream.Continuation {
	e := t.fetch.entry
	return &stream.Continuation{
		Next: t.next, Request: t.request, Status: e.Status, Header: e.Header.Map(),
		Length: t.fetch.body.Length, Uncompressed: e.Uncompressed,
	}
}

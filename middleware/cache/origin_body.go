package cache

import (
	"context"
	"maps"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// newBodyCopy prepares the copy of the body. A large one goes into a byte store while it comes in. events is not nil for an event stream.
func (p *originResponse) newBodyCopy(e *stored.Entry, events *stream.EventStream) stream.BodyCopy {
	length := p.ContentLength
	if length == 0 {
		length = -1 // a handler that makes its responses by hand left it out: with a length of zero, net/http has NoBody
	}
	d := stream.BodyCopy{Length: length, Limit: p.cache.maxEntry, TooLarge: tooLarge, Trailers: p.Trailer != nil, Claim: &stream.Claim{Budget: &p.cache.copyBudget}}
	if events != nil {
		d.Incomplete = events.Incomplete
	}
	if p.cache.filterBody != nil && d.Limit > maxFiltered {
		d.Limit, d.TooLarge = maxFiltered, tooLargeToFilter
	}
	if durable := p.cache.durable; durable != nil && d.Limit > stream.SinkAt {
		key := p.storeKey
		d.OpenSink = func() stream.Sink { return durable.NewChunkWriter(durable.RecordKey(key), e) }
	}
	return d
}

// shareBody lets the waiters of a fetch read the body, and stores a copy of it when it has ended well.
//
// The fan-out calls Decided once, without its lock: when the copy is complete, or is dropped. Until then the fetch stays in the table, so that
// later requests join it; with a complete copy it stays until they find the entry in the store. An extra reference keeps the fan-out alive so long.
func (p *originResponse) shareBody(e *stored.Entry) {
	x, f, began := p.exchange, p.inflight, p.began
	events := p.recordEvents()
	if events != nil {
		f.lease.End(lease.ReleaseAll) // no other process waits for the end of a stream
	}
	s := p.fanOut(e, p.newBodyCopy(e, events))
	s.Decided = func(o stream.Outcome) {
		if !o.Complete {
			x.removeIfTooLarge(e, o.Reason)
			f.copyDropped(x, o)
			return
		}
		if !f.bodyKept(x, e, o.Body) {
			return
		}
		whole := e.Clone()
		if whole.Body = o.Content(); len(s.Final) > 0 {
			whole.Trailer = stored.NewHeader(s.Final)
		}
		whole.Pacing = events.Pacing()
		whole.Derive()
		s.AddRef()
		x.cache.put(x, whole, began, func() {
			f.table.remove(f)
			s.Leave(context.Canceled)
		})
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

// fanOut lets several requests read the body. The caller sets Decided.
func (p *originResponse) fanOut(e *stored.Entry, copy stream.BodyCopy) *stream.FanOut {
	f, made := p.inflight, p.Response
	s := &stream.FanOut{Source: made.Body, BodyCopy: copy, Cancel: f.endFor, Announced: made.Trailer.Clone()}
	s.Ended = func() { s.Final = made.Trailer.Clone() }
	e.Derive()
	s.Tagged = e.Etag.Strong()
	f.entry, f.fanout = e, s
	given := *made
	given.Trailer = made.Trailer.Clone()
	p.Response = &given
	return s
}

// copyDropped ends a fetch whose answer is not stored after all: no request joins it any more, and other processes wait no longer.
func (f *inflightFetch) copyDropped(x *exchange, o stream.Outcome) {
	f.table.remove(f)
	f.lease.End(releaseAfterDrop(&o))
	x.cache.traceNotStored(x.request, o.Reason)
}

// copyBody copies the body as its one caller reads it, and stores e when it has ended well. The transport puts trailers into the response that it made;
// the caller gets another response, so that what it does to its trailers is not stored.
func (p *originResponse) copyBody(e *stored.Entry) {
	events := p.recordEvents()
	made, given, x, began := p.Response, *p.Response, p.exchange, p.began
	given.Trailer = made.Trailer.Clone()
	recorder := stream.NewRecorder(made.Body, p.newBodyCopy(e, events))
	recorder.Ended = func() { addTrailers(&given, made.Trailer) }
	recorder.Commit = func(body stored.Content) {
		if !x.cache.keeps(x.request, e, body.Bytes) {
			x.cache.traceNotStored(x.request, bodyRefused)
			return
		}
		e.Body = body
		if len(made.Trailer) > 0 {
			e.Trailer = stored.NewHeader(made.Trailer)
		}
		e.Pacing = events.Pacing()
		e.Derive()
		x.cache.put(x, e, began, nil)
	}
	recorder.Abandon = func(reason string) {
		x.removeIfTooLarge(e, reason)
		x.cache.traceNotStored(x.request, reason)
	}
	given.Body = recorder
	p.Response = &given
}

// addTrailers gives a response the trailers that came with the end of its body, in a map of its own.
func addTrailers(resp *http.Response, trailers http.Header) {
	if resp.Trailer == nil {
		resp.Trailer = trailers.Clone()
		return
	}
	maps.Copy(resp.Trailer, trailers.Clone())
}

package cache

import (
	"maps"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// newBodyCopy prepares the copy of the body, for whose room claim stands. A large one goes into a byte store while it comes in.
// events is not nil for an event stream.
func (p *originResponse) newBodyCopy(e *stored.Entry, events *stream.EventStream, claim *stream.Claim) stream.BodyCopy {
	length := p.ContentLength
	if length == 0 {
		length = -1 // a handler that makes its responses by hand left it out: with a length of zero, net/http has NoBody
	}
	claim.Budget = &p.cache.copyBudget
	d := stream.BodyCopy{Length: length, Limit: p.cache.maxEntry, TooLarge: tooLarge, Trailers: p.Trailer != nil, Claim: claim}
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

// copyBody copies the body as its one caller reads it, and stores e when it has ended well. The transport puts trailers into the response that it made;
// the caller gets another response, so that what it does to its trailers is not stored.
func (p *originResponse) copyBody(e *stored.Entry) {
	events := p.recordEvents()
	made, given, x, began := p.Response, *p.Response, p.exchange, p.began
	given.Trailer = made.Trailer.Clone()
	recorder := stream.NewRecorder(made.Body, p.newBodyCopy(e, events, new(stream.Claim)))
	recorder.Ended = func() { addTrailers(&given, made.Trailer) }
	recorder.Commit = func(body stored.Content) {
		if !x.cache.keeps(x.request, e, body.Bytes) {
			x.cache.traceNotStored(x.request, bodyRefused)
			return
		}
		e.Derive()
		e.Complete(body, stored.NewHeader(made.Trailer), events.Pacing())
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

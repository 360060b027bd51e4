package cache

import (
	"net/http"

	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// An EventStreamMode says whether a cache stores event streams, and how it replays them; see [Options.EventStreams].
type EventStreamMode uint8

const (
	// EventStreamsNotStored passes event streams on as they arrive, and stores none.
	EventStreamsNotStored EventStreamMode = iota

	// EventStreamsAtOnce replays a stored stream as fast as it is read.
	EventStreamsAtOnce

	// EventStreamsPaced replays a stored stream with the pauses that it had when it was fetched, counted from the response's header.
	EventStreamsPaced
)

// String returns "not stored", "at once" or "paced".
func (m EventStreamMode) String() string {
	switch m {
	case EventStreamsNotStored:
		return "not stored"
	case EventStreamsAtOnce:
		return "at once"
	case EventStreamsPaced:
		return "paced"
	}
	return "unknown"
}

// detail is what Cache-Status says of a stored stream that is served.
func (m EventStreamMode) detail() string { return "event stream, " + m.String() }

// recordEvents watches the body of an event stream that is to be stored, on its way to the callers. It is nil for any other response.
func (p *originResponse) recordEvents() *stream.EventStream {
	if !rfc9111.IsEventStream(p.Header) {
		return nil
	}
	s := stream.NewEventStream(p.Body, p.received)
	p.Body = s
	return s
}

// replayed gives a stored event stream its pacing. It leaves any other response alone, and with it a part, or a 304.
func (c *Cache) replayed(resp *http.Response, e *stored.Entry, r *http.Request) *http.Response {
	if e.Pacing() != "" && c.eventStreams == EventStreamsPaced && resp.Body != http.NoBody && resp.StatusCode == e.Status {
		resp.Body = stream.NewPaced(r.Context(), resp.Body, e.Pacing())
	}
	return resp
}

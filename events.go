package ply

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/eventstream"
)

// Event is a server-sent event (HTML standard §9.2).
type Event struct {
	// ID is the last event ID: of this event, or of an earlier one if it has none. It is empty if there is none yet, or the server has taken it back.
	ID string

	// Type is the event's type, "message" if it names none.
	Type string

	// Data is its data: the lines, with "\n" in between. It may be empty, and is always UTF-8.
	Data string

	// Retry is how long the server wants clients to wait before they connect again, as far as it has said so in this stream. It is 0 if it has not.
	Retry time.Duration
}

// EventLimitError says that a line or an event of a stream is larger than what its reader accepts. The stream has been closed.
type EventLimitError struct {
	// Limit is the number of bytes that were allowed.
	Limit int64
}

func (e *EventLimitError) Error() string {
	return fmt.Sprintf("event exceeds the limit of %d bytes: raise it with ply.WithBodyLimit", e.Limit)
}

// RetryableError is false: the server would send the same event again.
func (e *EventLimitError) RetryableError() bool { return false }

var errNoEventStream = errors.New("the content is no event stream: its type is not text/event-stream")

// Events reads the server-sent events of a response, as they arrive, and closes it. It takes what a call returns, of a [Client] or of an *http.Client:
//
//	for event, err := range ply.Events(client.Get(ctx, "/feed")) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.Type, event.Data)
//	}
//
// The stream is read to the letter of the HTML standard (§9.2.5, §9.2.6). The loop ends without an error where the stream does: an event that is incomplete then is dropped,
// and a 204 has no events. Any error is the last thing that the loop gets: an err given; a [*StatusError] for any other status than 200, unless [AnyStatus] takes it;
// a [*DecodeError] for a response that is not text/event-stream, or is still encoded; an [*EventLimitError]; the error of a body that breaks off,
// such as the [*TimeoutError] of [Timeouts.IdleRead], which bounds the silence between two reads. A [Timeouts.Total] bounds the stream as a whole.
//
// A line, and all that is kept of an event, may have [DefaultBodyLimit] bytes: [WithBodyLimit] sets another limit. The stream as a whole has none.
//
// The body is closed when the loop ends, by break or return too. It can be ranged over once; without a loop the body stays open.
// [Client.Events] connects again where a stream breaks off.
func Events(resp *http.Response, err error) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s, err := openEvents(resp, err, "")
		if err == nil && s != nil {
			defer s.close()
			_, err = s.each(func(e Event) bool { return yield(e, nil) })
		}
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// eventStream is a response that is read as a stream of events.
type eventStream struct {
	resp   *http.Response
	limit  int64
	reader *eventstream.Reader
}

// openEvents returns nil for a 204. lastID is the last event ID before the stream sets one. A response that is no event stream is closed.
func openEvents(resp *http.Response, err error, lastID string) (*eventStream, error) {
	if resp, err = successful(resp, err); err != nil {
		return nil, err
	}
	if err := checkEventStream(resp); err != nil || resp.StatusCode == http.StatusNoContent {
		resp.Body.Close()
		return nil, err
	}
	limit := bodyLimit(resp, DefaultBodyLimit)
	return &eventStream{resp: resp, limit: limit, reader: eventstream.NewReader(resp.Body, lastID, limit)}, nil
}

// checkEventStream returns why a successful response is no event stream, or nil.
func checkEventStream(resp *http.Response) error {
	_, any := resp.Body.(*anyStatus)
	switch {
	case resp.StatusCode == http.StatusNoContent:
		return nil
	case resp.StatusCode != http.StatusOK && !any:
		return statusError(resp)
	case !isEventStream(resp.Header.Get("Content-Type")):
		return eventStreamError(resp, errNoEventStream)
	case encodingOf(resp.Header) != "":
		return eventStreamError(resp, errEncoded)
	}
	return nil
}

// isEventStream looks at the essence of a media type alone: a charset, or a parameter that cannot be parsed, changes nothing.
func isEventStream(contentType string) bool {
	essence, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.Trim(essence, " \t"), "text/event-stream")
}

func eventStreamError(resp *http.Response, err error) error {
	e := &DecodeError{Type: reflect.TypeFor[Event](), MediaType: mediaType(resp.Header), ContentEncoding: encodingOf(resp.Header), Err: err}
	e.Method, e.URL = requestOf(resp)
	return e
}

// each gives all events to f until that returns false, and reports whether it did. The error is that of a stream that broke off.
func (s *eventStream) each(f func(Event) bool) (stopped bool, err error) {
	for {
		e, err := s.reader.Next()
		switch {
		case err == io.EOF:
			return false, nil
		case err == eventstream.ErrTooLong:
			return false, bodyError(s.resp, &EventLimitError{s.limit})
		case err != nil:
			return false, bodyError(s.resp, err)
		case !f(Event(e)):
			return true, nil
		}
	}
}

func (s *eventStream) close() { s.resp.Body.Close() }

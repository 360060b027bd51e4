package ply_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

// eventsOf is all that a loop over events gets.
func eventsOf(stream func(func(ply.Event, error) bool)) (events []ply.Event, err error) {
	for e, failed := range stream {
		if failed != nil {
			err = failed
			continue
		}
		events = append(events, e)
	}
	return events, err
}

// streamOf is a response with a body of which it is known how often it was closed.
func streamOf(status int, contentType, body string) (*http.Response, *closeCounter) {
	counter := &closeCounter{Reader: strings.NewReader(body)}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: counter, ContentLength: -1}, counter
}

func TestEventsOfAResponse(t *testing.T) {
	resp, body := streamOf(200, "text/event-stream", "\uFEFFid: 1\ndata: a\ndata: b\n\nevent: add\ndata: c\nretry: 5\n\ndata: cut off")
	got, err := eventsOf(ply.Events(resp, nil))
	require.NoError(t, err)
	want := []ply.Event{{ID: "1", Type: "message", Data: "a\nb"}, {ID: "1", Type: "add", Data: "c", Retry: 5 * time.Millisecond}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if body.closed != 1 {
		t.Errorf("the body was closed %d times", body.closed)
	}
}

func TestALoopOverEventsClosesTheBodyWhenItIsLeft(t *testing.T) {
	resp, body := streamOf(200, "text/event-stream", "data: a\n\ndata: b\n\n")
	for e, err := range ply.Events(resp, nil) {
		if err != nil || e.Data != "a" {
			t.Errorf("%v, %v", e, err)
		}
		break
	}
	if body.closed != 1 {
		t.Errorf("the body was closed %d times", body.closed)
	}
}

func TestWhatIsNoEventStreamIsAnError(t *testing.T) {
	failed := errors.New("failed")
	status := func(err error) bool { return ply.StatusIs(err) }
	decode := func(err error) bool {
		var e *ply.DecodeError
		return errors.As(err, &e) && strings.Contains(err.Error(), "ply.Event")
	}
	for _, tt := range []struct {
		name        string
		status      int
		contentType string
		encoding    string
		is          func(error) bool
	}{
		{"a page", 200, "text/html", "", decode},
		{"no type", 200, "", "", decode},
		{"a type that begins alike", 200, "text/event-streams", "", decode},
		{"JSON", 200, "application/json", "", decode},
		{"compressed", 200, "text/event-stream", "zstd", decode},
		{"404", 404, "text/event-stream", "", status},
		{"503", 503, "text/plain", "", status},
		{"202", 202, "text/event-stream", "", status},
		{"206", 206, "text/event-stream", "", status},
		{"302", 302, "text/event-stream", "", status},
		{"no content", 204, "", "", nil},
		{"a parameter", 200, "Text/Event-Stream ;charset=latin1", "", nil},
		{"a parameter that is none", 200, "text/event-stream; x", "", nil},
	} {
		resp, body := streamOf(tt.status, tt.contentType, "data: é\n\n")
		if tt.encoding != "" {
			resp.Header.Set("Content-Encoding", tt.encoding)
		}
		events, err := eventsOf(ply.Events(resp, nil))
		if tt.is == nil && err != nil || tt.is != nil && (!tt.is(err) || len(events) > 0) {
			t.Errorf("%s: %v, %v", tt.name, events, err)
		}
		if body.closed != 1 {
			t.Errorf("%s: the body was closed %d times", tt.name, body.closed)
		}
	}
	if _, err := eventsOf(ply.Events(nil, failed)); err != failed {
		t.Errorf("the error of the call is %v", err)
	}
	resp, _ := streamOf(409, "text/event-stream", "data: x\n\n")
	if events, err := eventsOf(ply.Events(ply.AnyStatus(resp, nil))); err != nil || len(events) != 1 {
		t.Errorf("any status: %v, %v", events, err)
	}
}

func TestEventsAreBounded(t *testing.T) {
	stream := strings.Repeat("data: 12345678\n\n", 100) + "data: " + strings.Repeat("x", 1000) + "\n\n"
	origin := plytest.NewOrigin(plytest.Text(stream, "Content-Type", "text/event-stream"))
	c, err := ply.New(ply.Options{Transport: origin})
	require.NoError(t, err)
	ctx := ply.WithBodyLimit(context.Background(), 100)
	events, err := eventsOf(ply.Events(c.Get(ctx, "http://origin.test/?token=hunter2")))
	var limit *ply.EventLimitError
	if len(events) != 100 || !errors.As(err, &limit) || limit.Limit != 100 || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%d events, %v", len(events), err)
	}
	events, err = eventsOf(ply.Events(c.Get(context.Background(), "http://origin.test/")))
	if len(events) != 101 || err != nil {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestABrokenStreamIsAnErrorBehindItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			fault plytest.Fault
			is    func(error) bool
		}{
			"cut":   {plytest.CutAfter(14), func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
			"reset": {plytest.ResetAfter(14), func(err error) bool { return err != nil }},
			"silent": {plytest.StallAfter(14), func(err error) bool {
				var timeout *ply.TimeoutError
				return errors.As(err, &timeout) && timeout.Phase == ply.PhaseIdleRead
			}},
		} {
			reply := plytest.Text("data: a\n\ndata: b\n\n", "Content-Type", "text/event-stream")
			reply.Fault = tt.fault
			c, err := ply.New(ply.Options{Transport: plytest.NewOrigin(reply), Timeouts: ply.Timeouts{IdleRead: 30 * time.Second}})
			require.NoError(t, err)
			events, err := eventsOf(ply.Events(c.Get(t.Context(), "http://origin.test/")))
			if len(events) != 1 || !tt.is(err) {
				t.Errorf("%s: %v, %v", name, events, err)
			}
		}
	})
}

// An event is there when its last byte is, though the stream goes on.
func TestEventsArriveAsTheyAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, part := range []string{"data: a\r\r", "data: b\r", "\n\r", "\ndata: c\n\n"} {
				io.WriteString(w, part)
				w.(http.Flusher).Flush()
				time.Sleep(time.Second)
			}
		}))
		c, err := ply.New(ply.Options{Transport: origin})
		require.NoError(t, err)
		begin := time.Now()
		var got []string
		for e, err := range ply.Events(c.Get(t.Context(), "http://origin.test/")) {
			require.NoError(t, err)
			got = append(got, e.Data+" "+time.Since(begin).String())
		}
		if diff := cmp.Diff([]string{"a 0s", "b 2s", "c 3s"}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

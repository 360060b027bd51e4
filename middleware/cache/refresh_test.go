package cache_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

func TestRefreshOutlivesTheCallerAndEndsWithTheCache(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=600")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		o.delay = 10 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		g.send(r)
		cancel()
		synctest.Wait()
		if err := o.asked[1].Context().Err(); err != nil {
			t.Errorf("the caller's cancellation ended the refresh: %v", err)
		}
		g.Close()
		if err := o.asked[1].Context().Err(); err == nil {
			t.Error("Close left the refresh running")
		}
		have, _ := g.get(url)
		g.want(have, 200, "x", "bypassed", 3)
	})
}

// A refresh has no caller whom a panic could reach.
func TestRefreshPanicIsReportedAsItsError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var refreshed error
		panics := true
		trace := &cache.Trace{Refreshed: func(_ *http.Request, err error) {
			refreshed = err
			if panics {
				panic("and again")
			}
		}}
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{Trace: trace})
		g.get(url)
		time.Sleep(2 * time.Second)
		answer := o.answer
		o.answer = func(*http.Request) *http.Response { panic("broken handler") }
		have, _ := g.get(url)
		synctest.Wait()
		g.want(have, 200, "x", "stale", 2)
		if refreshed == nil {
			t.Error("the refresh is said to have gone well")
		}
		panics, o.answer = false, answer
		g.get(url)
		synctest.Wait()
		have, _ = g.get(url)
		g.want(have, 200, "x", "hit", 3)
		require.NoError(t, refreshed)
	})
}

func TestRefreshDoesNotReadBodyThatIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		done := false
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{Trace: &cache.Trace{Refreshed: func(*http.Request, error) { done = true }}})
		g.get(url)
		time.Sleep(2 * time.Second)
		stream, w := io.Pipe()
		defer w.Close()
		o.answer = func(*http.Request) *http.Response {
			resp := reply(200, "", "Content-Type: text/event-stream")
			resp.Body, resp.ContentLength = stream, -1
			return resp
		}
		g.get(url)
		synctest.Wait()
		if !done {
			t.Error("the refresh reads a stream without end")
		}
	})
}

// A failing origin that does not even send its error page delays no caller who can be served something else.
func TestDroppedErrorBodyIsNotWaitedFor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-if-error=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		stalled, w := io.Pipe()
		defer w.Close()
		o.answer = func(*http.Request) *http.Response {
			resp := reply(503, "", "Content-Length: 10")
			resp.Body, resp.ContentLength = stalled, 10
			return resp
		}
		before := time.Now()
		have, _ := g.get(url)
		g.want(have, 200, "x", "stale", 2)
		if waited := time.Since(before); waited > 100*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("the body is not closed")
		}
	})
}

// Two requests that overtake each other: what was asked for later is what stays.
func TestLateResponseDoesNotReplaceALaterRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("old", "Cache-Control: max-age=60")
		g := newRig(t, o, cache.Options{NoCollapse: true})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		slow, err := g.rt.RoundTrip(r)
		require.NoError(t, err)
		time.Sleep(time.Second)
		o.answer = says("new", "Cache-Control: max-age=60").answer
		g.get(url)
		readAll(slow)
		have, _ := g.get(url)
		g.want(have, 200, "new", "hit", 2)
	})
}

// Close ends a refresh that reads a body which knows nothing of its request's context.
func TestRefreshReadingItsBodyEndsWithClose(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=1, stale-while-revalidate=60")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(2 * time.Second)
		stalled, w := io.Pipe()
		defer w.Close()
		o.answer = func(*http.Request) *http.Response {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = stalled, -1
			return resp
		}
		g.get(url)
		synctest.Wait()
		require.NoError(t, g.Close())
	})
}

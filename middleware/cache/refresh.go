package cache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// refreshInBackground validates the selected response on a goroutine of its own, which the caller's cancellation does not end.
// It reports whether it does: one refresh of a key runs at a time.
// It runs on the caller's goroutine and does not wait for the refresh. The clone of the request is the refresh's own.
func (x *exchange) refreshInBackground() bool {
	c := x.cache
	if x.parsed.Mode == rfc9111.ModeReadOnly {
		return false // the answer could not be stored
	}
	// The values stay, for the layers below read their settings there. The end does not: the caller is served, and may be gone before the refresh is sent.
	ctx := reqctx.InBackground(context.WithoutCancel(x.request.Context()))
	if x.ahead != nil && c.refreshBudget != nil {
		values := reqctx.From(ctx)
		values.PaidFor = true
		ctx = reqctx.With(ctx, values)
	}
	r := x.request.Clone(ctx)
	// The body of the caller's request is the caller's. A request whose body cannot be made again is not refreshed.
	if stream.Rewind(r) != nil {
		return false
	}
	withoutCancel(r)
	// The refresh is for the whole stored response, not for what this caller already has of it.
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "Range", "If-Range"} {
		rfc9111.DeleteFold(r.Header, name)
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	// The goroutine works on a copy. x is the caller's, who goes on to serve the stale response at the same time.
	refresh := x.copied()
	refresh.background = true
	parsed := rfc9111.ReadRequest(c.modeFor(choicesOf(r.Context())), r, &c.policy)
	parsed.Path, parsed.Principal, parsed.Named = x.parsed.Path, x.parsed.Principal, x.parsed.Named
	refresh.parsed = &parsed
	// From here on r and its body are the refresh's, if it starts.
	// The table of fetches owns the goroutine: its context ends with the cache, and Close waits for it. Another refresh of the key starts when this one has ended.
	started := c.fetches.startRefresh(x.ownKey, x.storeKey, func() {
		// The time begins here, and not with the caller's request: no request waits for it.
		ctx, cancel := context.WithTimeout(r.Context(), c.refreshTimeout)
		defer cancel()
		defer context.AfterFunc(c.fetches.ctx, cancel)() // Close of the cache
		refresh.request = r.WithContext(ctx)
		refresh.refresh()
	})
	// A refresh that has started owns the body that Rewind has made.
	if !started && r.Body != nil {
		r.Body.Close()
	}
	return started
}

// refresh fetches or validates, and traces that. No caller is there for a panic to reach: it becomes the error of the refresh.
// A panic in the hook that gets this error is dropped.
// It runs once, on the goroutine that startRefresh has made, and holds no lock. The refresh timeout and Close of the cache end its context, and with that the pause.
func (x *exchange) refresh() {
	defer func() { recover() }()
	err := x.fetchForRefresh()
	// A refresh ahead may have ended without a request to the origin. Then what the budget has paid goes back.
	if x.ahead != nil {
		x.ahead.notSent()
	}
	x.cache.traces(x.request.Context(), func(t *Trace) {
		if t.Refreshed != nil {
			t.Refreshed(x.request, err)
		}
	})
	// The pause is part of the refresh: while it lasts, the key counts as being refreshed.
	if err != nil || x.failures > 0 {
		x.pauseAfterFailure()
	}
}

// refreshPause is how long a refresh that failed keeps the next one of its key from starting.
const refreshPause = 250 * time.Millisecond

// pauseAfterFailure waits that long: an origin in trouble is not asked again by the next request that is served something stale.
// It blocks the refresh's goroutine only. Close of the cache ends the context, so that it need not wait for the pause.
func (x *exchange) pauseAfterFailure() {
	// The key stays in the table of refreshes meanwhile (startRefresh), which is what keeps others from starting one.
	pause := time.NewTimer(refreshPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-x.request.Context().Done():
	}
}

// fetchForRefresh asks the origin, and reads the body to its end if it is to be stored.
// It runs on the refresh's goroutine, and blocks as long as the handlers below and the body do.
func (x *exchange) fetchForRefresh() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("cache: a refresh has panicked: %v", v)
		}
	}()
	x.cache.traces(x.request.Context(), func(t *Trace) {
		if t.Refreshing != nil {
			t.Refreshing(x.request)
		}
	})
	resp, err := x.do(x.refreshDecision())
	// Another process holds the lease, so it refreshes. This process leaves the key alone for a moment, or each request would try for the lease again.
	if err == errElsewhere {
		x.cache.leases.Pause(x.request.Context())
		return nil
	}
	if err != nil {
		return err
	}
	// An answer that says that the origin is in trouble is no error, but has the same pause follow.
	if inTrouble(resp.StatusCode) {
		x.failures++
	}
	defer resp.Body.Close()
	// The context may end while Copy waits in Read: Close from the AfterFunc's goroutine ends that. The deferred stop keeps it from starting after the return.
	defer context.AfterFunc(x.request.Context(), func() { stream.WithoutPanic(func() { resp.Body.Close() }) })() // a body need not obey the context
	// The copy for the store is made of what is read here. A body that is not stored is closed unread.
	if stream.IsRecording(resp.Body) {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, x.cache.maxEntry+1))
	}
	return err
}

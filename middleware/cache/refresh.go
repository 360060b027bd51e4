package cache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// refreshInBackground validates the selected response on a goroutine of its own, which the caller's cancellation does not end.
func (x *exchange) refreshInBackground() {
	c := x.cache
	if x.parsed.Mode == rfc9111.ModeReadOnly {
		return // what it brings could not be kept
	}
	r := x.request.Clone(reqctx.InBackground(context.WithoutCancel(x.request.Context())))
	if stream.Rewind(r) != nil {
		return
	}
	withoutCancel(r)
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "Range", "If-Range"} {
		rfc9111.DeleteFold(r.Header, name)
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	behind := *x
	behind.background = true
	behind.parsed = rfc9111.ReadRequest(modeOf(r.Context()), r, &c.policy)
	behind.parsed.Path, behind.parsed.Principal, behind.parsed.Named = x.parsed.Path, x.parsed.Principal, x.parsed.Named
	started := c.fetches.startRefresh(x.ownKey, x.storeKey, func() {
		ctx, cancel := context.WithTimeout(r.Context(), c.refreshTimeout)
		defer cancel()
		defer context.AfterFunc(c.fetches.ctx, cancel)()
		behind.request = r.WithContext(ctx)
		behind.refresh()
	})
	if !started && r.Body != nil {
		r.Body.Close()
	}
}

// refreshTimeout fetches or validates, and tells about it. Nobody is there whom a panic could reach: it is an error of the refresh,
// and one in the hook that hears of that error is dropped.
func (x *exchange) refresh() {
	defer func() { recover() }()
	err := x.fetchForRefresh()
	x.cache.traces(x.request.Context(), func(t *Trace) {
		if t.Refreshed != nil {
			t.Refreshed(x.request, err)
		}
	})
	if err != nil || x.failures > 0 {
		x.pauseAfterFailure()
	}
}

// refreshPause is how long a refresh that failed keeps others of its key from being tried.
const refreshPause = 250 * time.Millisecond

// pauseAfterFailure waits that long: an origin in trouble is not asked again by whoever is served something stale next.
func (x *exchange) pauseAfterFailure() {
	pause := time.NewTimer(refreshPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-x.request.Context().Done():
	}
}

// fetchForRefresh reads the body to its end if it is to be stored.
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
	d := rfc9111.Decision{Action: rfc9111.Validate, Fwd: cachestatus.FwdStale}
	if !x.selected.HasValidator() {
		d.Action = rfc9111.Fetch
	}
	resp, err := x.do(d)
	if err == errElsewhere {
		x.cache.leases.Pause(x.request.Context())
		return nil
	}
	if err != nil {
		return err
	}
	if inTrouble(resp.StatusCode) {
		x.failures++
	}
	defer resp.Body.Close()
	defer context.AfterFunc(x.request.Context(), func() { stream.WithoutPanic(func() { resp.Body.Close() }) })() // a body need not know of the context
	if stream.IsRecording(resp.Body) {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, x.cache.maxEntry+1))
	}
	return err
}

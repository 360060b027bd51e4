package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/redact"
)

// A Doer sends a request as a client does: an *http.Client or a *ply.Client.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// A Warmer fills a cache before its responses are asked for; see [Warm]. Its fields must not change while it is at work.
type Warmer struct {
	// Client sends the requests: an *http.Client or a *ply.Client in whose chain a cache stands. It is required.
	Client Doer

	// Concurrency is how many requests are under way at a time, at most. Zero means 4.
	Concurrency int

	// Edit changes each request before it is sent: it sets what responses vary on, say. Nil means GET requests as they are. It is called from several goroutines.
	Edit func(*http.Request)

	// Progress is called with each result, one call at a time, on the goroutine that has called Warm. Nil means that no function is called.
	Progress func(r WarmResult, done, all int)
}

// A WarmResult says what became of one URL.
type WarmResult struct {
	URL        string
	StatusCode int    // of the response, or 0 if there was none
	Status     Status // what the cache did: Hit for what was fresh already, Stored for what is stored now
	Err        error  // why nothing fresh is stored now, or nil; its text hides secrets of the URL
}

// Warm has a cache fetch what is not fresh in it: of these URLs, four at a time. client is an *http.Client or a *ply.Client in whose chain the cache stands;
// a chain that has no client yet goes into one, &http.Client{Transport: chain}. Use a [Warmer] for another number, for header fields, or to hear of progress.
//
// What is fresh is left as it is, also at the origin. What is stale is validated or fetched before Warm returns. A response of 400 or more, and one that is not stored, is an error:
// the error joins those of all URLs, each with its URL, and says which remained when ctx was done.
func Warm(ctx context.Context, client Doer, urls ...string) error {
	return (&Warmer{Client: client}).Warm(ctx, urls...)
}

var (
	errNoClient = errors.New("cache: warm: no client: give one in whose chain the cache stands")
	errNoCache  = errors.New("no ply cache took part: put one into the client's chain")
	errStale    = errors.New("the origin has failed, and what is stored is stale")
)

// Warm fetches what is not fresh; see the function of that name.
// It returns only when each of its goroutines has ended, so Client and Edit are not called afterwards.
// Its error joins those of all URLs; it is an error, too, if Client is nil.
func (w *Warmer) Warm(ctx context.Context, urls ...string) error {
	if w.Client == nil {
		return errNoClient
	}
	if w.Concurrency < 0 {
		return errors.New("cache: warm: Concurrency is negative: give a number of requests, or zero for 4")
	}
	n := w.Concurrency
	if n == 0 {
		n = 4
	}
	// This context is canceled on return at the latest, and nothing of Warm outlives it.
	ctx, cancel := context.WithCancel(ctx)
	// The loop below is the only receiver. Every path out of it cancels ctx and receives until the channel is closed, so no worker is stuck in its send:
	//	Progress: panics   we: cancel, receive on   workers: end after the URL at hand   the closer: closes results   we: return
	results := make(chan WarmResult) // no buffer: a worker waits until the loop below has taken its result, so no result is lost
	defer func() {                   // Progress may have panicked: the workers end all the same
		cancel()
		for range results {
		}
	}()
	// Each worker takes the next index; no two get the same one.
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, len(urls)) {
		workers.Go(func() {
			// ctx is looked at between two URLs. A request that is under way ends by its own context, which is made of ctx.
			for i := next.Add(1) - 1; i < int64(len(urls)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				// Blocks until the loop has called Progress for the result before: a slow Progress slows the workers, and results never pile up.
				results <- w.fetch(ctx, urls[i])
			}
		})
	}
	go func() { // ends when the workers have, each at the end of the URLs or of ctx
		workers.Wait()
		close(results)
	}()
	// One goroutine from here on, that of the caller: failed and done need no lock, and no two calls of Progress run at a time.
	var failed []error
	done := 0
	// Ends when the closer has closed the channel, so all workers have returned when Warm does.
	for r := range results {
		done++
		if r.Err != nil {
			failed = append(failed, fmt.Errorf("cache: warm %s: %w", redact.URLText(r.URL), r.Err))
		}
		if w.Progress != nil {
			w.Progress(r, done, len(urls))
		}
	}
	// A worker takes no URL once ctx is done, so what was not taken has no result.
	if left := len(urls) - done; left > 0 {
		failed = append(failed, fmt.Errorf("cache: warm: %d of %d URLs were not tried: %w", left, len(urls), context.Cause(ctx)))
	}
	return errors.Join(failed...)
}

// fetch asks for one URL. It reads what is being stored, and nothing else.
// It runs on a worker, and blocks as long as Client does. ctx ends with that of Warm, or when Progress panics.
func (w *Warmer) fetch(ctx context.Context, url string) WarmResult {
	result := WarmResult{URL: url}
	r, err := http.NewRequestWithContext(demandingFresh(ctx), http.MethodGet, url, nil)
	if err != nil {
		result.Err = redact.Error(err)
		return result
	}
	// Each request is the worker's own, so Edit may change it at will. What Edit shares between calls it must guard itself.
	if w.Edit != nil {
		w.Edit(r)
	}
	resp, err := w.Client.Do(r)
	if err != nil {
		result.Err = redact.Error(err)
		return result
	}
	// A body that is not stored is closed unread: to warm a cache need not cost the transfer of what it will not keep.
	defer resp.Body.Close()
	result.StatusCode = resp.StatusCode
	s, took := StatusOf(resp)
	result.Status = s
	// The copy for the store is made of what is read here, so a body that is to be stored must be read to its end. After a 304 it comes from the store.
	if s.Stored && s.FwdStatus != http.StatusNotModified {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	// In the order of what the caller can do about it: the connection, the chain, the server, and then what was stored.
	switch {
	case err != nil:
		result.Err = redact.Error(err)
	case !took:
		result.Err = errNoCache
	case resp.StatusCode >= 400:
		result.Err = fmt.Errorf("the response is %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	case s.HasTTL && s.TTL <= 0 && !s.Stored:
		result.Err = errStale
	// A collapsed answer is stored by the request that leads its fetch.
	case !s.Hit && !s.Stored && !s.Collapsed:
		result.Err = errors.New(cmp.Or(s.Detail, "not stored"))
	}
	return result
}

// demandingFresh returns a context for requests that a stale response does not suffice for, as if they said max-stale=0. Nothing of that is sent to the server.
func demandingFresh(ctx context.Context) context.Context {
	return choosing(ctx, func(c *choices) { c.fresh = true })
}

// demandFresh has a request refuse stale responses (RFC 9111 §5.2.1.2).
func demandFresh(a *rfc9111.Request) {
	a.Directives.MaxStale, a.Directives.AnyStale = field.Seconds{Set: true}, false
}

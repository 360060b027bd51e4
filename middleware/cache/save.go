package cache

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
	"github.com/plyhttp/ply/redact"
)

// A NotStoredError says why [Cache.Save] has stored nothing.
type NotStoredError struct {
	Reason string // in the words of Cache-Status, as in StoringExplanation
	Source string // the section that says so, such as "RFC 9111 §3", or what else decides
	Err    error  // of the body or of the store, or nil
}

// Error has the reason and its source. What it shows of Err is redacted.
func (e *NotStoredError) Error() string {
	text := fmt.Sprintf("cache: save: not stored: %s (%s)", e.Reason, e.Source)
	if e.Err != nil {
		text += ": " + redact.ErrorText(e.Err)
	}
	return text
}

// Unwrap returns the error of the body or of the store, or nil.
func (e *NotStoredError) Unwrap() error { return e.Err }

// Save stores resp as the answer to r, as if the origin had just sent it: from a fixture, a test, or another source that the program trusts as it does the origin.
// It reads the body to its end, no further than [Options.MaxEntryBytes], and closes it whatever comes of it. It returns when requests find the response.
//
// The rules are those for any response of the origin: freshness, Vary, Options.Filter, the mode of r's context. What may not be stored is a [*NotStoredError],
// and leaves what is stored as it is; [Cache.ExplainResponse] says the same beforehand. The age counts: an old Date or an Age makes the response as old as they say (RFC 9111 §4.2.3),
// so a fixture is better without them, or use [WithExpiry] on the context of r; such choices in ctx do not count. Like [Cache.Delete] it wants r as the cache sees it; r's own body is not read to its end, nor closed.
// Credentials that a layer below the cache adds are not in r, and Save cannot see them: save only what all may have whose requests look like r to the cache, or name the principal in the context of r.
//
// The key says by which connection a response came, so the cache must stand in a chain before the first Save; of several chains with different connections,
// each gets a copy. ctx bounds the calls of the store and the reading of the body. An unsafe method invalidates nothing here.
func (c *Cache) Save(ctx context.Context, r *http.Request, resp *http.Response) error {
	if resp == nil {
		return errors.New("cache: save: no response: give one, with its body")
	}
	given := asReceived(r, resp)
	closeBody := sync.OnceFunc(func() { stream.WithoutPanic(func() { resp.Body.Close() }) })
	if resp.Body != nil {
		defer closeBody()
		defer context.AfterFunc(ctx, closeBody)() // ends a read that does not obey ctx
	}
	if r == nil || !located(r) {
		return errNoHost
	}
	places := c.places(r, time.Now())
	switch len(places) {
	case 0:
		return errors.New("cache: save: the cache stands in no chain yet, so its keys have no connection: call Middleware first")
	case 1:
		return c.saveAt(ctx, places[0], &given)
	}
	body, err := io.ReadAll(io.LimitReader(given.Body, c.maxEntry+1))
	if err != nil {
		return brokeOff(ctx, err)
	}
	var failed error
	for _, s := range places {
		copied := given
		if given.Body != http.NoBody {
			copied.Body = io.NopCloser(bytes.NewReader(body))
		}
		failed = errors.Join(failed, c.saveAt(ctx, s, &copied))
	}
	return failed
}

// asReceived is resp as the transport would have returned it for r. Its body need not be closed.
func asReceived(r *http.Request, resp *http.Response) http.Response {
	given := *resp
	given.Request = r
	if given.Body == nil {
		given.Body = http.NoBody
	}
	if given.Body != http.NoBody {
		given.Body = io.NopCloser(given.Body)
	}
	if given.Header == nil {
		given.Header = http.Header{}
	}
	given.Status = cmp.Or(given.Status, strconv.Itoa(given.StatusCode)+" "+http.StatusText(given.StatusCode))
	if given.Proto == "" {
		given.Proto, given.ProtoMajor, given.ProtoMinor = "HTTP/1.1", 1, 1
	}
	return given
}

// places are what r comes to on each connection below the cache that has a name of its own. Those that a byte store is bypassed for count only if there is no other.
func (c *Cache) places(r *http.Request, now time.Time) (places []*foreseen) {
	known := make(map[string]bool)
	var unnamed []*foreseen
	for _, chain := range c.mountedChains(r) {
		s := &foreseen{request: r, now: now}
		c.read(&s.parsed, r, chain)
		name := string(s.parsed.Path.Append(nil))
		switch {
		case known[name]:
		case c.durable != nil && s.parsed.Path.Unnamed() != "":
			unnamed = append(unnamed, s)
		default:
			places = append(places, s)
		}
		known[name] = true
	}
	if len(places) == 0 && len(unnamed) > 0 {
		return unnamed[:1]
	}
	return places
}

// saveAt stores a response as the answer to a request on one connection.
func (c *Cache) saveAt(ctx context.Context, s *foreseen, given *http.Response) error {
	o := saving{outcome: make(chan *NotStoredError, 1)}
	r := s.request.WithContext(choosing(WithTrace(s.request.Context(), o.trace()), func(c *choices) { c.saving = ctx }))
	given.Request = r
	var buffer []byte
	s.key = c.keyIn(&buffer, &s.parsed, r)
	if err := c.lookBeforeSave(ctx, s, r); err != nil {
		return &NotStoredError{Reason: "the store failed", Source: sourceOf("the store failed"), Err: err}
	}
	p := &originResponse{
		exchange: (&layer{cache: c}).newExchange(r, &s.parsed, s.key, s.lookup, s.now),
		Response: given, began: c.history.Now(), requested: s.now, received: s.now,
	}
	reason, broken := p.save(), error(nil)
	if reason != "" {
		c.traceNotStored(r, reason)
	} else if p.Body != http.NoBody {
		_, broken = io.Copy(io.Discard, io.LimitReader(p.Body, c.maxEntry+1))
		p.Body.Close() // settles the copy
	}
	if broken != nil {
		return brokeOff(ctx, broken)
	}
	select {
	case e := <-o.outcome:
		if e == nil {
			return nil
		}
		return e
	case <-ctx.Done():
		return wrapped("save", context.Cause(ctx))
	}
}

// lookBeforeSave finds what is stored for the request of s, and the generations of its tags at this moment: the response is of this moment, too.
func (c *Cache) lookBeforeSave(ctx context.Context, s *foreseen, r *http.Request) error {
	f := &s.lookup
	switch {
	case s.key == nil:
		return nil
	case c.durable == nil:
		f.Variants = c.peekMemory(s.key)
	default:
		limited, cancel := c.within(ctx)
		defer cancel()
		sets, seen, err := c.durable.Get(limited, [2][]byte{s.key}, c.knownTags(r))
		if err != nil {
			c.fault(r.Context(), "get", err)
			return err
		}
		f.Variants, f.seen = sets[0], seen
	}
	f.Entry = selectFrom(f.Variants, &s.parsed, r, c.hashKey())
	return nil
}

// save begins to store the response, which is complete when its body has been read, or says why it is not stored. What is stored stays in that case.
func (p *originResponse) save() (reason string) {
	if reason = p.refusedByRequest(); reason != "" {
		return reason
	}
	noBody := p.Body == http.NoBody && p.ContentLength <= 0
	e, reason := p.wantedEntry(noBody)
	if reason == "" {
		reason = p.invalidatedBefore(e)
	}
	if reason != "" {
		return reason
	}
	p.selected = nil
	p.keep(e, noBody)
	return ""
}

// invalidatedBefore says why a response from an archive is not stored: one of its tags has been invalidated since it was requested, here or by another process over the store.
func (p *originResponse) invalidatedBefore(e *stored.Entry) (reason string) {
	c, ctx := p.cache, p.request.Context()
	requested := choicesOf(ctx).savingOf
	switch {
	case requested.IsZero():
		return ""
	case c.history.After(requested, e.Tags, e.URL):
		return string(SkipInvalidated)
	case c.durable == nil:
		return ""
	}
	limited, cancel := c.within(ctx)
	defer cancel()
	invalidated, err := c.durable.InvalidatedSince(limited, e.Tags, requested)
	switch {
	case err != nil:
		c.fault(ctx, "get", err)
		return "the store failed"
	case invalidated:
		return string(SkipInvalidated)
	}
	return ""
}

// A saving waits for what becomes of a response. Its trace is that of one request: only for that response is it called with an outcome.
type saving struct {
	outcome chan *NotStoredError // nil for a response that is stored. It has room for one: nothing waits in a hook

	mu    sync.Mutex // guards fault: a store may fail on goroutines of the cache
	fault error
}

func (o *saving) trace() *Trace {
	tell := func(e *NotStoredError) {
		select {
		case o.outcome <- e:
		default:
		}
	}
	return &Trace{
		Stored: func(*Entry) { tell(nil) },
		NotStored: func(_ *http.Request, reason string) {
			o.mu.Lock()
			defer o.mu.Unlock()
			tell(&NotStoredError{Reason: redact.Text(reason), Source: sourceOf(reason), Err: o.fault})
		},
		Fault: func(_ string, err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.fault = err
		},
	}
}

// brokeOff is the error for a body that cannot be read to its end.
func brokeOff(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return wrapped("save", context.Cause(ctx))
	}
	const reason = "the body broke off"
	return &NotStoredError{Reason: reason, Source: sourceOf(reason), Err: err}
}

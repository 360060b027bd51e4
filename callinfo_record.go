package ply

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/redact"
)

// The context of a recorded call has one of these under reqctx.Record, depending on how far inside the chain it is:
//
//	*callRecorder    from WithCallInfo, outside a call
//	*callRecord      the call, in the call layers of a Client
//	*hopRecord       one of its hops, in the exchange layers
//	*exchangeRecord  one exchange, in the transport
//
// A call that begins with the context of a hop that has ended is a new call, with a record of its own.
//
// Contexts and requests refer to records, never the other way round: what keeps a record, as package inspect does, keeps nothing of the program's.
// A record has room for one hop and that for one exchange, which is what most calls have; a request is made in one allocation with its context.

// callRecorder is what WithCallInfo puts into a context. It makes the records of the calls that begin with that context.
type callRecorder struct {
	mu   sync.Mutex  // guards last
	last *callRecord // the call that has begun last
}

// callRecord is the record of a call.
type callRecord struct {
	recorder *callRecorder
	start    time.Time
	method   string  // of the caller's request; the hops have what was sent
	url      urlText // of that request

	mu      sync.Mutex   // guards the fields below, those of the hops and those of their exchanges
	hops    []*hopRecord // the first of them in room
	room    [1]*hopRecord
	first   hopRecord
	last    *hopRecord // kept even if it is beyond the bound: it says how the call ended
	omitted int
	err     error
	total   time.Duration // if err is not nil
}

// maxRecorded bounds the hops that are kept of a call, and the exchanges that are kept of a hop.
const maxRecorded = 100

func (a *callRecorder) start(req *http.Request) *callRecord {
	c := &callRecord{recorder: a, start: time.Now(), method: methodOf(req), url: urlTextOf(req, nil)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = c
	return c
}

// urlText is the text of a URL without its secrets. It doesn't change.
type urlText struct {
	text     string
	url      url.URL // what the text was made of
	redactor *redact.Redactor
}

// urlTextOf returns the text for the URL of req: that of before, if it is of the same URL.
func urlTextOf(req *http.Request, before *urlText) urlText {
	r := redact.From(req.Context())
	if req.URL == nil {
		return urlText{redactor: r}
	}
	if before != nil && before.redactor == r && before.url == *req.URL {
		return *before
	}
	return urlText{r.URL(req.URL), *req.URL, r}
}

// errPanicked is the error of a call or a hop whose layers have panicked, or ended the goroutine. The value of the panic may be secret.
var errPanicked = errors.New("a layer has panicked")

func methodOf(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// callRecordOf returns the record of the call that ctx belongs to, or nil.
func callRecordOf(ctx context.Context) *callRecord {
	switch part := reqctx.Record(ctx).(type) {
	case *callRecorder:
		part.mu.Lock()
		defer part.mu.Unlock()
		return part.last
	case *callRecord:
		return part
	case *hopRecord:
		return part.call
	case *exchangeRecord:
		return part.hop.call
	}
	return nil
}

// recorderOf returns the recorder for a call that begins with ctx, or nil: no record is wanted, or ctx belongs to a recorded call that goes on.
func recorderOf(ctx context.Context) *callRecorder {
	switch part := reqctx.Record(ctx).(type) {
	case *callRecorder:
		return part
	case *hopRecord:
		if part.isOver() {
			return part.call.recorder
		}
	case *exchangeRecord:
		if part.hop.isOver() {
			return part.hop.call.recorder
		}
	}
	return nil
}

// recordCall performs a call and records it.
func (a *callRecorder) recordCall(req *http.Request, do func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	c := a.start(req)
	returned := false
	defer func() {
		if !returned {
			c.failed(errPanicked)
		}
	}()
	resp, err := do(withRecord(req, c))
	returned = true
	if err != nil {
		c.failed(err)
	}
	return resp, err
}

// recordedRequest is a request and a context with a part of a record: one allocation for the two.
type recordedRequest struct {
	req http.Request
	ctx reqctx.RecordContext
}

// withRecord returns a copy of req that is noted in part.
func withRecord(req *http.Request, part any) *http.Request {
	r := &recordedRequest{}
	r.ctx.Fill(req.Context(), part)
	r.req = *req.WithContext(&r.ctx)
	return &r.req
}

func (c *callRecord) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err, c.total = err, c.now()
}

func (c *callRecord) now() time.Duration { return time.Since(c.start) }

// add returns the record of another hop.
func (c *callRecord) add(method string, url urlText) *hopRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.first
	if c.hops == nil {
		c.hops = c.room[:0]
	} else {
		h = &hopRecord{}
	}
	h.call, h.url, c.last = c, url, h
	h.CallHop = CallHop{Method: method, URL: url.text, Header: CallSpan{Start: c.now()}}
	if len(c.hops) == maxRecorded {
		c.omitted++
	} else {
		c.hops = append(c.hops, h)
	}
	return h
}

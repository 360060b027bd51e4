package inspect

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/redact"
)

// callBytes is what a call is charged with beside its header fields and bodies.
const callBytes = 2 << 10

// maxHops bounds the hops that are kept of one call.
const maxHops = 100

// call is a call that is kept: what passed the layer, and the record of what the layers did.
type call struct {
	in    *Inspector
	start time.Time
	chain []chainLayer
	whole bool // its one hop is a whole call: the layer stands outside redirects

	id, version int64 // guarded by Inspector.mu, but for the id, which does not change once it is added

	charged atomic.Int64
	leaving int64 // of Inspector.leaving; set by the goroutine that drops the call, before it does

	mu     sync.Mutex // guards the fields below, and those of the hops
	hops   []*hop
	record context.Context // has the record and nothing else
	gone   bool            // it is not kept any more
}

// hop is one request that passed the layer, and its response.
type hop struct {
	call  *call // does not change once requests know the hop
	start time.Time

	// What was asked for does not change.
	method, url   string // the URL is without secrets
	redactor      *redact.Redactor
	requestHeader http.Header

	// guarded by call.mu
	request                   copyOf
	status                    int
	statusText, proto         string
	header, trailer           http.Header
	length                    int64
	response                  copyOf
	cache                     cachestatus.Status
	cached                    bool // cache is known
	answered, ended, isClosed bool
	lost                      bool // the program dropped the body without closing it
	err                       error
	headerAfter, endAfter     time.Duration
}

func (in *Inspector) newHop(req *http.Request) *hop {
	h := &hop{start: time.Now(), method: req.Method, requestHeader: req.Header.Clone(), redactor: in.o.Redactor}
	if h.redactor == nil {
		h.redactor = redact.From(req.Context())
	}
	h.url, h.request.body = h.redactor.URL(req.URL), hasBody(req)
	if h.method == "" {
		h.method = http.MethodGet
	}
	return h
}

// bytes is what the hop is charged with before its request is sent.
func (h *hop) bytes() int64 { return headerBytes(h.requestHeader) + int64(len(h.url)) }

// recordedBy keeps the record of ctx, for the whole call.
func (c *call) recordedBy(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.record == nil {
		c.record = recordOf(ctx)
	}
}

// redirected adds a hop to the call, unless the call is kept no more.
func (c *call) redirected(h *hop) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || len(c.hops) == maxHops {
		return false
	}
	h.call = c
	c.hops = append(c.hops, h)
	c.chargeLocked(h.bytes())
	return true
}

func (c *call) charge(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chargeLocked(n)
}

// chargeLocked charges the call with bytes, unless it is gone. The caller holds mu.
func (c *call) chargeLocked(n int64) {
	if !c.gone {
		c.charged.Add(n)
		c.in.bytes.Add(n)
	}
}

// drop lets go of what the call holds. What passes from now on is not copied.
func (c *call) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone, c.record = true, nil
	c.in.bytes.Add(-c.charged.Load())
	c.in.leaving.Add(-c.leaving)
	for _, h := range c.hops {
		h.request.data, h.response.data = nil, nil
	}
}

// underWay reports whether the hop has not ended.
func (h *hop) underWay() bool {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	return !h.ended
}

func (h *hop) failed(err error) {
	if err == nil {
		err = errNoResponse
	}
	h.end(func() { h.err, h.headerAfter = err, time.Since(h.start) })
}

var (
	errNoResponse = errors.New("a layer returned neither a response nor an error")
	errPanicked   = errors.New("a layer panicked, so that there is no response")
	errClosed     = errors.New("closed")
)

func (h *hop) responded(resp *http.Response, caches bool) {
	header := resp.Header.Clone()
	c := h.call
	c.mu.Lock()
	h.answered, h.headerAfter = true, time.Since(h.start)
	h.status, h.statusText, h.proto, h.length, h.header = resp.StatusCode, resp.Status, resp.Proto, resp.ContentLength, header
	if caches {
		h.cache, h.cached = cacheStatus(header)
	}
	c.chargeLocked(headerBytes(header))
	c.mu.Unlock()
	c.in.changed(c)
}

// passed copies a piece of the response's body.
func (h *hop) passed(p []byte) {
	if len(p) == 0 {
		return
	}
	c := h.call
	c.mu.Lock()
	c.chargeLocked(h.response.keep(p, h.response.size, c.limit()))
	gone := c.gone
	c.mu.Unlock()
	if !gone {
		c.in.grew(c)
	}
}

// limit is how much of a body is kept. The caller holds mu.
func (c *call) limit() int {
	if c.gone {
		return 0
	}
	return c.in.o.MaxBodyBytes
}

// done ends the hop when its body has ended, with io.EOF, errClosed or another error. Only the first end counts.
func (h *hop) done(err error, resp *http.Response) {
	h.end(func() {
		switch {
		case err == errClosed:
			h.isClosed = h.length != h.response.size
		case err != nil && err != io.EOF:
			h.err = err
		case resp != nil && len(resp.Trailer) > 0:
			h.trailer = resp.Trailer.Clone()
			h.call.chargeLocked(headerBytes(h.trailer))
		}
	})
}

func (h *hop) end(how func()) {
	c := h.call
	c.mu.Lock()
	if h.ended {
		c.mu.Unlock()
		return
	}
	how()
	h.ended, h.endAfter = true, time.Since(h.start)
	end, gone := h.start.Add(h.endAfter), c.gone
	c.mu.Unlock()
	c.in.count(h, end)
	if !gone {
		c.in.changed(c)
	}
}

// lose ends a hop whose body the garbage collector has found. It runs on a goroutine of the runtime, which may be outside the bubble of a test: pages hear of it with the next change.
func (h *hop) lose() {
	c := h.call
	c.mu.Lock()
	lost := !h.ended
	if lost {
		h.ended, h.lost, h.isClosed, h.endAfter = true, true, true, h.headerAfter
	}
	c.mu.Unlock()
	if !lost {
		return
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.version++
	c.version = c.in.version
}

// seen is what the outcome of a hop depends on.
func (h *hop) seen() seen {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	return h.seenLocked()
}

func (h *hop) seenLocked() seen { return seen{h.answered, h.err, h.cached, h.cache} }

func (h *hop) received() int64 {
	h.call.mu.Lock()
	defer h.call.mu.Unlock()
	return h.response.size
}

// headerBytes is what the fields of a header are charged with.
func headerBytes(h http.Header) int64 {
	n := 0
	for name, values := range h {
		n += len(name) + 64
		for _, v := range values {
			n += len(v) + 16
		}
	}
	return int64(n)
}

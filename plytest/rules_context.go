package plytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func (c *check) noGoroutineLeft() {
	for _, stacks := range c.leaks {
		c.errorf("left behind:\n%s", stacks)
	}
	c.runSituations(observer{})
	for _, leave := range []func(cancel func(), body io.Closer){
		func(_ func(), body io.Closer) { body.Close() },
		func(cancel func(), body io.Closer) { cancel(); body.Close() },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		h := c.layer(&transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			resp := answer(http.StatusOK, "", "Cache-Control", "max-age=600")
			resp.Body, resp.ContentLength = newSlowBody(req.Context(), c.giveUp(), "hello"), -1
			return resp, nil
		}})
		if resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil)); err == nil {
			resp.Body.Read(make([]byte, 5))
			leave(cancel, resp.Body)
		}
		cancel()
	}
}

// slowBody hangs after its text, until it is closed, the context is done or the time is up.
type slowBody struct {
	io.Reader
	ctx    context.Context
	limit  time.Duration
	once   sync.Once
	closed chan struct{}
	late   atomic.Bool // the time was up
}

func newSlowBody(ctx context.Context, limit time.Duration, text string) *slowBody {
	return &slowBody{Reader: strings.NewReader(text), ctx: ctx, limit: limit, closed: make(chan struct{})}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if n, _ := b.Reader.Read(p); n > 0 {
		return n, nil
	}
	timer := time.NewTimer(b.limit)
	defer timer.Stop()
	select {
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	case <-b.closed:
		return 0, errReadAfterClose
	case <-timer.C:
		b.late.Store(true)
		return 0, io.EOF
	}
}

func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// leased fails when the context of the request that it answers is done.
type leased struct {
	io.Reader
	ctx context.Context
}

func (l *leased) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	return l.Reader.Read(p)
}

func (l *leased) Close() error { return nil }

func (c *check) contextAlive() {
	text := randomText(256 << 10)
	for _, failFirst := range []bool{false, true} {
		for _, directive := range []string{"max-age=600", "no-store"} {
			next := &transport{answer: func(req *http.Request, n int) (*http.Response, error) {
				consume(req)
				if failFirst && n == 1 {
					return answer(http.StatusServiceUnavailable, "later"), nil
				}
				resp := bodyResponse(nil, int64(len(text)), directive)
				resp.Body = &leased{newReader(text), req.Context()}
				return resp, nil
			}}
			c.readSlowly(next, text)
		}
	}
}

func (c *check) readSlowly(next *transport, text string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	resp, err := c.do(c.layer(next), newRequest(ctx, http.MethodGet, newURL(), nil))
	if err != nil || !next.called() || resp.StatusCode != http.StatusOK {
		if err == nil {
			drain(resp)
		}
		return
	}
	defer resp.Body.Close()
	c.settle()
	part, total := make([]byte, len(text)/4), 0
	for range 4 {
		n, err := io.ReadFull(resp.Body, part)
		total += n
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			c.errorf("the request's context was canceled after %d of %d bytes", total, len(text))
			return
		}
		c.settle()
	}
}

func (c *check) cancellationHonored() {
	c.cancelWaiting()
	c.cancelReading()
	if c.bubbled { // a real clock cannot tell a pause from a busy machine
		c.cancelPausing()
	}
}

// cancelPausing cancels a call while the layer itself may be waiting: for its turn, or before it tries again.
// Time passes in the bubble only if the layer has a pause that goes on.
func (c *check) cancelPausing() {
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			if err := req.Context().Err(); err != nil {
				return nil, err
			}
			return answer(status, "hello", "Cache-Control", "no-store"), nil
		}}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		h, start := c.layer(next), time.Now()
		if resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil)); err == nil {
			drain(resp)
		}
		cancel()
		if late := time.Since(start); late > 50*time.Millisecond {
			c.errorf("a call that the layer lets wait (next answers with %d) does not return when its context is done, but %v later", status, late.Round(time.Millisecond))
		}
	}
}

func (c *check) cancelWaiting() {
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return c.hang(req)
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var err error
	var late bool
	h, start := c.layer(next), time.Now()
	time.AfterFunc(c.giveUp()/4, cancel)
	resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil))
	late = time.Since(start) >= c.giveUp()
	if resp != nil {
		drain(resp)
	}
	switch {
	case !next.called() || ctx.Err() == nil:
	case late:
		c.errorf("a call that waits for next does not return when its context is canceled")
	case err != nil && !errors.Is(err, context.Canceled):
		c.errorf("errors.Is does not find context.Canceled in %q", err)
	}
}

func (c *check) cancelReading() {
	var body *slowBody
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusOK, "", "Content-Type", "text/event-stream")
		body = newSlowBody(req.Context(), c.giveUp(), "hello")
		resp.Body, resp.ContentLength = body, -1
		return resp, nil
	}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h, start := c.layer(next), time.Now()
	time.AfterFunc(c.giveUp()/4, cancel)
	resp, err := c.do(h, newRequest(ctx, http.MethodGet, newURL(), nil))
	if err != nil || !next.called() {
		return
	}
	drain(resp)
	if time.Since(start) >= c.giveUp() {
		c.errorf("reading a body does not end when the context is canceled")
	}
}

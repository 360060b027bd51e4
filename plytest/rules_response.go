package plytest

import (
	"context"
	"net/http"
	"sync"
)

func (c *check) runAllSituations() { c.runSituations(observer{}) }

func (c *check) responsesClosed() {
	c.runSituations(observer{after: func(t *trial) {
		if !c.eventually(func() bool { return t.next.open() == 0 }) {
			c.errorf("%s: %d responses of next were not closed", t.what, t.next.open())
		}
	}})
}

func (c *check) headersNotShared() {
	for _, directive := range []string{"max-age=600", "no-store"} {
		c.poison(directive)
	}
}

// poison changes the headers of responses at several moments and looks for the traces in others.
func (c *check) poison(directive string) {
	h := c.layer(&transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusOK, "hello", "Cache-Control", directive, "X-Plytest", "one", "X-Plytest", "two")
		resp.Trailer = http.Header{"X-Plytest": {"one", "two"}}
		return resp, nil
	}})
	url := newURL()
	get := func() *http.Response {
		req := newRequest(context.Background(), http.MethodGet, url, nil)
		resp, err := c.do(h, req)
		if err != nil {
			return answer(http.StatusOK, "")
		}
		if poisoned(resp) {
			c.errorf("%s: a change to the header of one response shows in another", directive)
		}
		resp.Header.Set("X-Mine", "1")
		if req.Header.Get("X-Mine") != "" {
			c.errorf("%s: a change to the header of a response shows in the request", directive)
		}
		return resp
	}
	spoil := func(resp *http.Response) {
		for _, h := range []http.Header{resp.Header, resp.Trailer} {
			if values := h["X-Plytest"]; len(values) > 0 {
				values[0] = "poison"
			}
			if h != nil {
				h.Set("X-Poison", "1")
			}
		}
	}
	first, second := get(), get()
	spoil(first)
	if poisoned(second) {
		c.errorf("%s: a change to the header of one response shows in another", directive)
	}
	drain(first)
	drain(second)
	c.settle()
	third := get()
	drain(third)
	spoil(third)
	c.settle()
	fourth := get()
	spoil(fourth)
	drain(fourth)
	c.settle()
	drain(get())
	if len(c.failures) == 0 {
		c.writeTogether(h, url)
	}
}

// writeTogether lets callers change their headers at the same time, for the race detector to look at.
func (c *check) writeTogether(h http.RoundTripper, url string) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			defer c.recover()
			resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
			if err != nil {
				return
			}
			resp.Header.Set("X-Mine", "1")
			drain(resp)
			resp.Header.Add("X-Plytest", "three")
		})
	}
	wg.Wait()
}

func poisoned(resp *http.Response) bool {
	for _, h := range []http.Header{resp.Header, resp.Trailer} {
		if h.Get("X-Poison") != "" || h.Get("X-Plytest") == "poison" {
			return true
		}
	}
	return false
}

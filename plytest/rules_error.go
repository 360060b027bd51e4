package plytest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

func (c *check) errorKept() {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			return nil, errBelow
		}}
		var body io.Reader
		if method == http.MethodPost {
			body = strings.NewReader("content")
		}
		resp, err := c.do(c.layer(next), newRequest(context.Background(), method, newURL(), body))
		switch {
		case err == nil:
			drain(resp)
		case next.called() && err != errNothing && !errors.Is(err, errBelow):
			c.errorf("%s: errors.Is does not find the error of next in %q", method, err)
		}
	}
}

func (c *check) panicPassed() {
	var calm atomic.Bool
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		if !calm.Load() {
			panic(errBelow)
		}
		return answer(http.StatusOK, "hello"), nil
	}}
	h, url := c.layer(next), newURL()
	const enough = 100 // more than a layer has slots
	for range enough {
		swallowed := false
		if !c.returns(func() { swallowed = c.swallows(h, url) }) {
			c.errorf("after a panic of next, calls do not return")
			return
		}
		if swallowed && next.called() {
			c.errorf("a panic of next became a response")
			return
		}
	}
	calm.Store(true)
	for _, url := range []string{url, newURL()} {
		if !c.returns(func() { c.swallows(h, url) }) {
			c.errorf("after a panic of next, calls do not return")
			return
		}
	}
}

// swallows reports whether a call returns a response.
func (c *check) swallows(h http.RoundTripper, url string) (answered bool) {
	defer func() { recover() }()
	resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
	if err != nil {
		return false
	}
	drain(resp)
	return true
}

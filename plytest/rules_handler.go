package plytest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"
)

func (c *check) idleConnectionsClosed() {
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return answer(http.StatusOK, "hello"), nil
	}}
	h, ok := c.layer(next).(interface{ CloseIdleConnections() })
	if !ok {
		c.errorf("the handler has no method CloseIdleConnections")
		return
	}
	if h.CloseIdleConnections(); next.idle.Load() == 0 {
		c.errorf("CloseIdleConnections does not reach next")
	}
}

const nilScheme = "plytest"

var nilTransport struct {
	mu       sync.Mutex // held while http.DefaultTransport is replaced
	register sync.Once
}

// nilNext gives http.DefaultTransport a scheme of its own to serve, so that no network is needed and the variable stays as it is,
// unless something else is in it already.
func (c *check) nilNext() {
	below := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return answer(http.StatusOK, "default"), nil
	}}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		nilTransport.register.Do(func() { t.RegisterProtocol(nilScheme, below) })
	} else {
		nilTransport.mu.Lock()
		defer nilTransport.mu.Unlock()
		before := http.DefaultTransport
		http.DefaultTransport = below
		defer func() { http.DefaultTransport = before }()
	}
	url := strings.Replace(newURL(), "https", nilScheme, 1)
	explicit := &transport{answer: below.answer}
	want := c.fetch(c.layer(explicit), url)
	if want != "default" {
		return // the layer answers by itself, or not for this scheme
	}
	url = strings.Replace(newURL(), "https", nilScheme, 1)
	if got := c.fetchNil(url); got != want {
		c.errorf("with a nil next, %s", got)
	}
}

// fetchNil makes a request through a layer that has nothing below.
func (c *check) fetchNil(url string) (got string) {
	defer func() {
		if v := recover(); v != nil {
			got = fmt.Sprintf("the layer panics: %v", v)
		}
	}()
	return c.fetch(c.layerOver(nil), url)
}

func (c *check) fetch(h http.RoundTripper, url string) string {
	if h == nil {
		return "the handler is nil"
	}
	resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
	if err != nil {
		return fmt.Sprintf("a call fails: %v", err)
	}
	text, _ := drain(resp)
	return text
}

// proof is what the answer to a request must be, so that mixing two up shows.
func proof(path, body string) string {
	return fmt.Sprintf("%20s %x", path, sha256.Sum256([]byte(path+body)))
}

func (c *check) concurrentUse() {
	next := &transport{answer: func(req *http.Request, n int) (*http.Response, error) {
		body := consume(req)
		c.pause(n)
		resp := answer(http.StatusOK, proof(req.URL.Path, body), "Cache-Control", "max-age=600", "X-Path", req.URL.Path)
		return resp, nil
	}}
	h, shared := c.layer(next), newURL()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			defer c.recover()
			c.exchange(h, http.MethodPost, newURL(), strings.Repeat(fmt.Sprint(i), 1000+i))
			c.exchange(h, http.MethodGet, newURL(), "")
			c.exchange(h, http.MethodGet, shared, "")
		})
	}
	wg.Wait()
	c.reuse(h)
}

// pause lets other calls come in between.
func (c *check) pause(n int) {
	if c.bubbled {
		time.Sleep(time.Duration(1+n%5) * time.Millisecond)
	}
	runtime.Gosched()
}

func (c *check) exchange(h http.RoundTripper, method, url, text string) {
	var body io.Reader
	if text != "" {
		body = strings.NewReader(text)
	}
	c.verify(h, newRequest(context.Background(), method, url, body), text)
}

func (c *check) verify(h http.RoundTripper, req *http.Request, text string) {
	resp, err := c.do(h, req)
	if err != nil {
		return
	}
	want := proof(req.URL.Path, text)
	path := resp.Header.Get("X-Path")
	got, err := drain(resp)
	if err != nil || path == "" || len(got) != len(want) {
		return // an answer of the layer's own, or another rule's matter
	}
	if got != want || path != req.URL.Path {
		c.errorf("a call got the answer of another: %s %s has %.40q", req.Method, req.URL.Path, got)
	}
}

// reuse sends one request again and again, as a caller may once the response has been closed.
func (c *check) reuse(h http.RoundTripper) {
	const text = "content"
	req := newRequest(context.Background(), http.MethodPut, newURL(), strings.NewReader(text))
	for range 3 {
		req.Body, _ = req.GetBody()
		c.verify(h, req, text)
		c.settle()
	}
}

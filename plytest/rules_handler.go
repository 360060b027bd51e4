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
	replaced sync.Mutex // held while http.DefaultTransport is replaced

	mu         sync.Mutex // guards the field below
	registered map[*http.Transport]bool
}

// register has a transport hand requests of nilScheme to below. A program may put another transport into http.DefaultTransport between two checks.
func register(t *http.Transport, below http.RoundTripper) {
	nilTransport.mu.Lock()
	defer nilTransport.mu.Unlock()
	if nilTransport.registered[t] {
		return // a second time it panics
	}
	if nilTransport.registered == nil {
		nilTransport.registered = make(map[*http.Transport]bool)
	}
	nilTransport.registered[t] = true
	t.RegisterProtocol(nilScheme, below)
}

// nilNext gives http.DefaultTransport a scheme of its own to serve, so that no network is needed and the variable stays as it is,
// unless something else is in it already.
func (c *check) nilNext() {
	below := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return answer(http.StatusOK, "default"), nil
	}}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		register(t, below)
	} else {
		nilTransport.replaced.Lock()
		defer nilTransport.replaced.Unlock()
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

// asked is what a call asks for, in its context under askedKey.
type asked struct{ path, body string }

type askedKey struct{}

func asking(method, url, text string) *http.Request {
	var body io.Reader
	if text != "" {
		body = strings.NewReader(text)
	}
	req := newRequest(context.Background(), method, url, body)
	return req.WithContext(context.WithValue(req.Context(), askedKey{}, asked{req.URL.Path, text}))
}

func (c *check) concurrentUse() {
	rewrites := c.rewrites()
	next := &transport{answer: func(req *http.Request, n int) (*http.Response, error) {
		got := asked{req.URL.Path, consume(req)}
		if rewrites { // then only the context tells whose request it is
			got, _ = req.Context().Value(askedKey{}).(asked)
		}
		c.pause(n)
		resp := answer(http.StatusOK, proof(got.path, got.body), "Cache-Control", "max-age=600", "X-Path", got.path)
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

// rewrites reports whether the layer sends another path or another body than a call has that is alone, as it may: with a prefix, compressed.
// What it sends must be whole, whether it is sent for the first time or again.
func (c *check) rewrites() (yes bool) {
	const text = "content of a call that is alone"
	req := asking(http.MethodPost, newURL(), text)
	path := req.URL.Path
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		length, getBody := req.ContentLength, req.GetBody
		body := consume(req)
		yes = yes || req.URL.Path != path || body != text
		if length > 0 && int64(len(body)) != length {
			c.errorf("next gets a body of %d bytes with a ContentLength of %d: a layer that reads the body sends one with the same content", len(body), length)
		}
		if getBody != nil && length > 0 {
			again, err := getBody()
			if err != nil {
				return nil, err
			}
			defer again.Close()
			if b, _ := io.ReadAll(again); int64(len(b)) != length {
				c.errorf("GetBody of the request that next gets has %d bytes, and Body %d: a layer that replaces one replaces the other, too", len(b), length)
			}
		}
		return answer(http.StatusOK, "hello"), nil
	}}
	if resp, err := c.do(c.layer(next), req); err == nil {
		drain(resp)
	}
	return yes
}

// pause lets other calls come in between.
func (c *check) pause(n int) {
	if c.bubbled {
		time.Sleep(time.Duration(1+n%5) * time.Millisecond)
	}
	runtime.Gosched()
}

func (c *check) exchange(h http.RoundTripper, method, url, text string) {
	c.verify(h, asking(method, url, text), text)
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
	req := asking(http.MethodPut, newURL(), text)
	for range 3 {
		req.Body, _ = req.GetBody()
		c.verify(h, req, text)
		c.settle()
	}
}

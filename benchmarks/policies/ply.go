package main

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/middleware/cache"
)

// real is the cache itself, before an origin that counts.
type real struct {
	cache http.RoundTripper
	asked int
}

func newPly(size int) store {
	p := new(real)
	c, err := cache.New(cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxEntries: size, MaxBytes: 1 << 40})})
	if err != nil {
		panic(err) // the options are our own
	}
	p.cache = c.Middleware(p)
	return p
}

// RoundTrip is the origin's.
func (p *real) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked++
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Cache-Control": {"max-age=1000000"}}, Body: io.NopCloser(strings.NewReader("x")), ContentLength: 1,
	}, nil
}

func (p *real) ask(key uint64) bool {
	before := p.asked
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + strconv.FormatUint(key, 10)}}
	resp, err := p.cache.RoundTrip(r)
	if err != nil {
		panic(err) // the origin knows no errors
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return p.asked == before
}

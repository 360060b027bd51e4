package main

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/plyhttp/ply/middleware/cache"
)

// real is the cache itself, before an origin that counts.
type real struct {
	*cache.Cache
	client http.RoundTripper
	asked  int
	room
}

func newPly(r room) store { return newReal(r) }

func newReal(r room) *real {
	options := cache.MemoryOptions{MaxBytes: r.limit}
	if r.size == nil {
		options = cache.MemoryOptions{MaxEntries: int(r.limit), MaxBytes: 1 << 40}
	}
	p := &real{room: r}
	c, err := cache.New(cache.Options{Store: cache.NewMemory(options)})
	if err != nil {
		panic(err) // the options are our own
	}
	p.Cache, p.client = c, c.Middleware(p)
	return p
}

// content is the beginning of which each body is.
var content = strings.Repeat("a body of many bytes that are alike, as nothing looks at them. ", 1+largest/60)

// RoundTrip is the origin's.
func (p *real) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked++
	n := 1
	if p.size != nil {
		key, _ := strconv.ParseUint(r.URL.Path[1:], 10, 64)
		n = p.size(key)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Cache-Control": {"max-age=1000000"}}, Body: io.NopCloser(strings.NewReader(content[:n])), ContentLength: int64(n),
	}, nil
}

func (p *real) ask(key uint64) bool {
	before := p.asked
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + strconv.FormatUint(key, 10)}}
	resp, err := p.client.RoundTrip(r)
	if err != nil {
		panic(err) // the origin knows no errors
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return p.asked == before
}

func (p *real) close() { p.Close() }

// overhead is what ply charges for an answer here beside its body. The others are told to charge it as well.
var overhead = sync.OnceValue(func() int64 {
	p := newReal(room{limit: 1 << 30, size: func(uint64) int { return smallest }})
	defer p.close()
	p.ask(1234)
	return p.Stats().Bytes - smallest
})

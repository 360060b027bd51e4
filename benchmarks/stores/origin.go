package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// size is how long a body is.
type size int

// The sizes that are measured.
const (
	KiB size = 1 << 10
	MiB size = 1 << 20
)

var sizes = []size{KiB, 64 * KiB, MiB, 16 * MiB}

func (s size) String() string {
	if s >= MiB {
		return fmt.Sprintf("%d MiB", s/MiB)
	}
	return fmt.Sprintf("%d KiB", s/KiB)
}

// filler is what every body has behind its name.
var filler = func() []byte {
	b := make([]byte, 16*MiB)
	word := uint64(1)
	for i := range b {
		word = word*6364136223846793005 + 1442695040888963407
		b[i] = byte(word >> 56)
	}
	return b
}()

// nameBytes is the length of what each body begins with: its path, and spaces.
const nameBytes = 64

func name(path string) string { return path + strings.Repeat(" ", nameBytes-len(path)) }

// origin is a server in memory. The bodies at /fresh/ are good for an hour, those at /stale/ have to be validated for each use.
type origin struct {
	size      size
	requests  atomic.Int64
	confirmed atomic.Int64 // answered with 304
}

// RoundTrip answers at once.
func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.requests.Add(1)
	path := r.URL.Path
	tag, control := strconv.Quote(path), "max-age=3600"
	if strings.HasPrefix(path, "/stale/") {
		control = "max-age=0"
	}
	resp := &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: http.NoBody,
		Header: http.Header{"Cache-Control": {control}, "Etag": {tag}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
	}
	if r.Header.Get("If-None-Match") == tag {
		o.confirmed.Add(1)
		resp.Status, resp.StatusCode = "304 Not Modified", http.StatusNotModified
		return resp, nil
	}
	resp.Status, resp.StatusCode, resp.ContentLength = "200 OK", http.StatusOK, int64(o.size)
	resp.Header["Content-Length"] = []string{strconv.Itoa(int(o.size))}
	resp.Header["Content-Type"] = []string{"application/octet-stream"}
	resp.Body = io.NopCloser(struct{ io.Reader }{body(path, o.size)}) // like one from a connection, it has Read and nothing else
	return resp, nil
}

func body(path string, n size) io.Reader {
	return io.MultiReader(strings.NewReader(name(path)), bytes.NewReader(filler[nameBytes:n]))
}

// sink takes a body in, and remembers how long it was and what it began with.
type sink struct {
	begin []byte
	n     int64
}

func (s *sink) Write(p []byte) (int, error) {
	if missing := nameBytes - len(s.begin); missing > 0 {
		s.begin = append(s.begin, p[:min(missing, len(p))]...)
	}
	s.n += int64(len(p))
	return len(p), nil
}

// is reports whether the body was, as far as that can be seen at its beginning and its length, that of a path.
func (s *sink) is(path string, n size) bool { return s.n == int64(n) && string(s.begin) == name(path) }

package benchmarks

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// size is how long a body is.
type size int

// The sizes of bodies that are measured.
const (
	KiB size = 1 << 10
	MiB size = 1 << 20
)

var sizes = []size{KiB, 64 * KiB, MiB}

func (s size) String() string {
	if s >= MiB {
		return fmt.Sprintf("%d MiB", s/MiB)
	}
	return fmt.Sprintf("%d KiB", s/KiB)
}

// content is the one right body of a URL in a language. No other one has these eight bytes at this place.
func content(path, language string, n size) []byte {
	hash := fnv.New64a()
	io.WriteString(hash, path+" "+language)
	words, body := hash.Sum64(), make([]byte, n)
	for i := 0; i < len(body); i += 8 {
		binary.LittleEndian.PutUint64(body[i:], words)
		words += 0x9e3779b97f4a7c15
	}
	return body
}

// says is how an origin answers.
type says struct {
	size    size
	fields  int    // of a 200, six at least
	control string // Cache-Control
	vary    string
	latency time.Duration
}

// origin is a server in memory. It answers at once, unless it has a latency.
type origin struct {
	says
	pages     map[string]*page
	requests  atomic.Int64
	confirmed atomic.Int64 // answered with 304

	network http.RoundTripper // asks the server of serve, or nil if the answers are made here
}

// page is a prepared answer.
type page struct {
	body      []byte
	etag      string // each variant has its own: it names the bytes
	header    http.Header
	confirmed http.Header // of a 304
}

// newOrigin prepares the pages at paths, so that nothing but the answer itself is made during a measurement.
func newOrigin(s says, paths ...string) *origin {
	o := &origin{says: s, pages: make(map[string]*page)}
	date := time.Now().UTC().Format(http.TimeFormat)
	languages := []string{""}
	if s.vary != "" {
		languages = []string{"en", "fr"}
	}
	for _, path := range paths {
		for _, language := range languages {
			p := &page{body: content(path, language, o.size), etag: strconv.Quote(path + language)}
			p.confirmed = http.Header{"Cache-Control": {o.control}, "Date": {date}, "Etag": {p.etag}}
			header := p.confirmed.Clone()
			header["Content-Type"] = []string{"application/octet-stream"}
			header["Content-Length"] = []string{strconv.Itoa(int(o.size))}
			if o.vary != "" {
				header["Vary"] = []string{o.vary}
			}
			for i := len(header); i < o.fields; i++ {
				header[fmt.Sprintf("X-Field-%d", i)] = []string{"one value of usual length"}
			}
			p.header = header
			o.pages[path+" "+language] = p
		}
	}
	return o
}

// pageOf finds the page for a request without an allocation.
func (o *origin) pageOf(r *http.Request) *page {
	var buffer [64]byte
	key := append(append(buffer[:0], r.URL.Path...), ' ')
	if language := r.Header["Accept-Language"]; len(language) > 0 {
		key = append(key, language[0]...)
	}
	return o.pages[string(key)]
}

// serve puts the pages behind a server on a loopback socket, which a transport of net/http asks.
func (o *origin) serve(tb testing.TB) {
	tb.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := o.pageOf(r)
		maps.Copy(w.Header(), p.header)
		w.Write(p.body)
	}))
	tb.Cleanup(server.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	tb.Cleanup(transport.CloseIdleConnections)
	o.network = transport
}

// RoundTrip answers with the page, or with 304 if the caller has it.
func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.requests.Add(1)
	if o.network != nil {
		return o.network.RoundTrip(r)
	}
	if o.latency > 0 {
		time.Sleep(o.latency)
	}
	p, resp := o.pageOf(r), &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r}
	if held := r.Header["If-None-Match"]; len(held) > 0 && strings.Contains(held[0], p.etag) {
		o.confirmed.Add(1)
		resp.Status, resp.StatusCode, resp.Header, resp.Body = "304 Not Modified", http.StatusNotModified, p.confirmed.Clone(), http.NoBody
		return resp, nil
	}
	resp.Status, resp.StatusCode, resp.Header = "200 OK", http.StatusOK, p.header.Clone()
	resp.Body, resp.ContentLength = &arriving{*bytes.NewReader(p.body)}, int64(len(p.body))
	return resp, nil
}

// arriving is a body that, like one from a connection, can be read and nothing else.
type arriving struct{ from bytes.Reader }

func (a *arriving) Read(p []byte) (int, error) { return a.from.Read(p) }
func (a *arriving) Close() error               { return nil }

var _ io.ReadCloser = (*arriving)(nil)

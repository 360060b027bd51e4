package ecosystem

import (
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

// gzhttp's transport decodes below the cache: what is stored is the plain content, and every caller gets it whole.
func TestGzhttp(t *testing.T) {
	text := strings.Repeat("all the same ", 1000)
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Encoding")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("the transport did not ask for gzip")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, text)
		z.Close()
	})
	client := newClient(t, ply.Options{BaseURL: origin.URL, Use: []ply.Middleware{
		newCache(t, cache.Options{}).Middleware, eager(2),
		func(next http.RoundTripper) http.RoundTripper { return gzhttp.Transport(next) },
	}})
	for range 3 {
		resp, err := client.Get(t.Context(), "/")
		same(t, "content is whole", textOf(t, resp, err) == text, true)
		same(t, "Content-Encoding", resp.Header.Get("Content-Encoding"), "")
	}
	origin.saw(t, 1)
}

// http3Server serves h over QUIC on loopback and returns its URL and a pool that trusts it.
func http3Server(t *testing.T, h http.HandlerFunc) (string, *x509.CertPool) {
	t.Helper()
	certified := serveTLS(t, func(http.ResponseWriter, *http.Request) {}) // for its certificate
	pool := x509.NewCertPool()
	pool.AddCert(certified.Certificate())
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certified.TLS.Certificates})}
	go s.Serve(conn)
	t.Cleanup(func() { s.Close(); conn.Close() })
	return fmt.Sprint("https://", conn.LocalAddr()), pool
}

// reset ends the stream of a request in both directions.
func reset(w http.ResponseWriter, code http3.ErrCode) {
	s := w.(http3.HTTPStreamer).HTTPStream()
	s.CancelRead(quic.StreamErrorCode(code))
	s.CancelWrite(quic.StreamErrorCode(code))
}

// quic-go's transport is a transport like any other: hits, retries of streams that the server reset, no second POST.
func TestHTTP3(t *testing.T) {
	var requests, posts, resets atomic.Int64
	url, pool := http3Server(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		switch r.URL.Path {
		case "/reset":
			if resets.Add(1) == 1 {
				reset(w, http3.ErrCodeInternalError)
				return
			}
		case "/rejected":
			if resets.Add(1) == 1 {
				reset(w, http3.ErrCodeRequestRejected)
				return
			}
		case "/order":
			posts.Add(1)
			io.Copy(io.Discard, r.Body)
			reset(w, http3.ErrCodeInternalError)
			return
		}
		fresh(r.Proto)(w, r)
	})
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(func() { transport.Close() })
	client := newClient(t, ply.Options{BaseURL: url, Transport: transport, Timeouts: ply.Timeouts{Total: 20 * time.Second},
		Use: []ply.Middleware{newCache(t, cache.Options{}).Middleware, eager(3)}})
	for range 3 {
		resp, err := client.Get(t.Context(), "/")
		same(t, "body", textOf(t, resp, err), "HTTP/3.0")
	}
	same(t, "requests", requests.Load(), 1)

	resp, err := client.Get(t.Context(), "/reset")
	same(t, "after a reset stream", textOf(t, resp, err), "HTTP/3.0")
	same(t, "streams", resets.Swap(0), 2)

	resp, err = client.Post(t.Context(), "/rejected", ply.BodyString("order"))
	same(t, "a POST that the server rejected unseen", textOf(t, resp, err), "HTTP/3.0")
	same(t, "streams", resets.Load(), 2)

	if err := ply.Discard(client.Post(t.Context(), "/order", ply.BodyString("order"))); err == nil {
		t.Error("no error though the stream was reset")
	}
	same(t, "POSTs", posts.Load(), 1)
}

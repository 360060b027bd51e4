package ply_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
)

// habitat is where a habit is observed: a client of some kind, and a server on a real socket.
type habitat struct {
	*testing.T
	do        func(*http.Request) (*http.Response, error)
	closeIdle func()
	url       string
	server    *httptest.Server

	mu       sync.Mutex
	observed []string
	conns    int
}

// note records an observation. What a server is called is left out.
func (h *habitat) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.observed = append(h.observed, strings.ReplaceAll(fmt.Sprintf(format, args...), strings.TrimPrefix(strings.TrimPrefix(h.url, "http://"), "https://"), "HOST"))
}

func (h *habitat) connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns
}

func (h *habitat) request(method string, body io.Reader, header ...string) *http.Request {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.url, body)
	require.NoError(h, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// see notes everything about a response, and reads it.
func (h *habitat) see(resp *http.Response, err error) {
	h.Helper()
	if h.failed(err) {
		return
	}
	h.describe(resp)
	h.read(resp)
	resp.Body.Close()
}

func (h *habitat) failed(err error) bool {
	if err == nil {
		return false
	}
	var outer *url.Error
	if errors.As(err, &outer) {
		h.note("%s %s fails, timeout %t", outer.Op, outer.URL, outer.Timeout())
	}
	h.note("error %s", kind(err))
	return true
}

var errMine = errors.New("mine")

// kind classifies errors by type and value, as a caller would, not by text.
func kind(err error) string {
	for _, e := range []error{
		nil, io.EOF, io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded,
		http.ErrBodyReadAfterClose, errMine, net.ErrClosed,
	} {
		if err == e || e != nil && errors.Is(err, e) {
			return fmt.Sprint(e)
		}
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return "of the network: " + op.Op
	}
	return "another: " + fmt.Sprintf("%T", err)
}

func (h *habitat) describe(resp *http.Response) {
	header := resp.Header.Clone()
	for _, name := range []string{"Date", "Cache-Status"} {
		header.Del(name)
	}
	h.note("%s %s, header %v, length %d, coding %v, close %t, uncompressed %t",
		resp.Proto, resp.Status, header, resp.ContentLength, resp.TransferEncoding, resp.Close, resp.Uncompressed)
	h.note("request %s %s, TLS %t, no body %t", resp.Request.Method, resp.Request.URL, resp.TLS != nil, resp.Body == http.NoBody)
	h.note("trailer at first %v", resp.Trailer)
}

func (h *habitat) read(resp *http.Response) {
	b, err := io.ReadAll(resp.Body)
	text := string(b)
	if len(b) > 1000 {
		text = fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
	}
	h.note("%s, then %s, trailer %v", text, kind(err), resp.Trailer)
}

// watchedReader is a request body without GetBody.
type watchedReader struct {
	io.Reader
	mu   sync.Mutex
	read int
	shut int
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read += n
	return n, err
}

func (w *watchedReader) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shut++
	return nil
}

func (w *watchedReader) counts() (read int, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read, w.shut > 0
}

// fullChain returns all layers of a careful client. Retries don't wait.
func fullChain(t *testing.T) []ply.Middleware {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	logger := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	log := logging.New(logging.Options{Logger: logger})
	at := retry.New(retry.Options{Backoff: retry.Constant(0)})
	return []ply.Middleware{log, c.Middleware, at, ply.Named("attempts", log)}
}

// TestLayersKeepTheBehaviorOfNetHTTP: with an empty and a full chain, a caller observes the same as with the bare transport.
func TestLayersKeepTheBehaviorOfNetHTTP(t *testing.T) {
	plyClient := func(o func(t *testing.T) ply.Options) func(*testing.T, *http.Transport, http.CookieJar) (func(*http.Request) (*http.Response, error), func()) {
		return func(t *testing.T, tr *http.Transport, jar http.CookieJar) (func(*http.Request) (*http.Response, error), func()) {
			options := o(t)
			options.Transport, options.Jar = tr, jar
			c := newClient(t, options)
			return c.Do, c.CloseIdleConnections
		}
	}
	httpClient := func(layers func(t *testing.T) []ply.Middleware) func(*testing.T, *http.Transport, http.CookieJar) (func(*http.Request) (*http.Response, error), func()) {
		return func(t *testing.T, tr *http.Transport, jar http.CookieJar) (func(*http.Request) (*http.Response, error), func()) {
			hc := &http.Client{Transport: tr, Jar: jar}
			if layers != nil {
				hc = ply.Wrap(hc, layers(t)...)
			}
			return hc.Do, hc.CloseIdleConnections
		}
	}
	full := func(t *testing.T) ply.Options {
		return ply.Options{
			Timeouts: generous,
			Use:      fullChain(t),
			UseCall:  fullChain(t)[:1],
			Defaults: []ply.RequestOption{ply.DownloadProgress(func(int64, int64) {}), ply.CheckStatus(func(*http.Response) error { return nil })},
		}
	}
	bare := httpClient(nil)
	others := map[string]func(*testing.T, *http.Transport, http.CookieJar) (func(*http.Request) (*http.Response, error), func()){
		"empty chain":          httpClient(func(*testing.T) []ply.Middleware { return nil }),
		"full chain":           httpClient(fullChain),
		"empty client":         plyClient(func(*testing.T) ply.Options { return ply.Options{} }),
		"client with timeouts": plyClient(func(*testing.T) ply.Options { return ply.Options{Timeouts: generous} }),
		"full client":          plyClient(full),
		"HTTPClient": func(t *testing.T, tr *http.Transport, jar http.CookieJar) (func(*http.Request) (*http.Response, error), func()) {
			options := full(t)
			options.Transport, options.Jar = tr, jar
			hc := newClient(t, options).HTTPClient()
			return hc.Do, hc.CloseIdleConnections
		},
	}
	for _, b := range append(habits(), resetMidBody()) {
		t.Run(b.name, func(t *testing.T) {
			want := observe(t, b, bare)
			if len(want) == 0 {
				t.Fatal("nothing was observed")
			}
			for name, client := range others {
				if b.refused && (name == "full client" || name == "HTTPClient") {
					continue
				}
				t.Run(name, func(t *testing.T) {
					if diff := cmp.Diff(want, observe(t, b, client)); diff != "" {
						t.Errorf("(-bare +%s):\n%s", name, diff)
					}
				})
			}
		})
	}
}

func observe(t *testing.T, b habit, client func(*testing.T, *http.Transport, http.CookieJar) (func(*http.Request) (*http.Response, error), func())) []string {
	t.Helper()
	h := &habitat{T: t}
	s := httptest.NewUnstartedServer(b.handler)
	s.Config.ErrorLog = quiet
	s.EnableHTTP2 = b.secure
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.conns++
		}
	}
	if b.secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	defer s.Close()
	h.url, h.server = s.URL, s
	tr := s.Client().Transport.(*http.Transport).Clone()
	tr.ExpectContinueTimeout = time.Hour // so that nothing depends on it
	defer tr.CloseIdleConnections()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	h.do, h.closeIdle = client(t, tr, jar)
	b.observe(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.observed)
}

// TestUpgradePassesEveryLayer checks an upgrade alone, in both directions, through every layer.
func TestUpgradePassesEveryLayer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(upgrade))
	defer s.Close()
	c := newClient(t, ply.Options{
		Timeouts: generous,
		Use:      fullChain(t),
		UseCall:  []ply.Middleware{plain},
		Defaults: []ply.RequestOption{ply.DownloadProgress(func(int64, int64) {}), ply.CheckStatus(ply.Below400)},
	})
	for range 2 {
		resp := get(t, c, s.URL, ply.SetHeader("Connection", "Upgrade"), ply.SetHeader("Upgrade", "echo"))
		conn, ok := resp.Body.(io.ReadWriteCloser)
		if resp.StatusCode != http.StatusSwitchingProtocols || !ok {
			t.Fatalf("got %s and a body of type %T", resp.Status, resp.Body)
		}
		lines := bufio.NewReader(conn)
		for _, want := range []string{"one\n", "two\n"} {
			io.WriteString(conn, want)
			if got, err := lines.ReadString('\n'); got != want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		}
		conn.Close()
	}
}

package ply_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

func TestCookiesOfTheClientAndOfARequest(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(&url.URL{Scheme: "http", Host: "a.test"}, []*http.Cookie{{Name: "known", Value: "1"}})
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Set-Cookie": {"learned=1"}}, "")
	}}
	c := newClient(t, ply.Options{Jar: jar, Transport: transport, Defaults: []ply.RequestOption{ply.Cookies(&http.Cookie{Name: "client", Value: "1"})}})
	get(t, c, "http://a.test/", ply.Cookies(&http.Cookie{Name: "request", Value: "1"}))
	get(t, c, "http://a.test/")
	got := []string{transport.got[0].Header.Get("Cookie"), transport.got[1].Header.Get("Cookie")}
	if diff := cmp.Diff([]string{"request=1; client=1; known=1", "client=1; known=1; learned=1"}, got); diff != "" {
		t.Error(diff)
	}

	without := newClient(t, ply.Options{Transport: transport})
	get(t, without, "http://a.test/")
	get(t, without, "http://a.test/")
	if got := transport.last().Header.Get("Cookie"); got != "" {
		t.Errorf("a client without a jar sent %q", got)
	}
}

func TestJSONEncoderOfTheClient(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport, EncodeJSON: func(v any) ([]byte, error) { return json.MarshalIndent(v, "", " ") }})
	resp, err := c.Post(t.Context(), "http://a.test/", ply.BodyJSON(map[string]int{"a": 1}))
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last().Body; got != "{\n \"a\": 1\n}" {
		t.Errorf("sent %q", got)
	}
}

func TestLayerReplacesRequestAndResponseClasses(t *testing.T) {
	transport := &recorder{}
	signing := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set("X-Signature", "signed "+r.URL.Path)
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Header.Set("X-Checked", "yes")
			}
			return resp, err
		})
	}
	resp := get(t, newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{signing}}), "http://a.test/x")
	if transport.last().Header.Get("X-Signature") != "signed /x" || resp.Header.Get("X-Checked") != "yes" {
		t.Errorf("sent %v, got %v", transport.last().Header, resp.Header)
	}
}

func TestStatusChecks(t *testing.T) {
	origin := 0
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		origin++
		return reply(r, http.StatusNotFound, http.Header{"Cache-Control": {"max-age=60"}}, "no such user")
	}}
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	c := newClient(t, ply.Options{
		Transport: transport, Use: []ply.Middleware{store.Middleware},
		Defaults: []ply.RequestOption{ply.CheckStatus(ply.Below400)},
	})
	const url = "http://a.test/users/7"
	// The check is the request's own or the default, and it makes no difference whether the answer is stored.
	page, err := ply.Text(ply.AnyStatus(c.Get(t.Context(), url, ply.CheckStatus(nil))))
	require.NoError(t, err)
	require.Equal(t, "no such user", page)
	for range 2 {
		resp, err := c.Get(t.Context(), url)
		var se *ply.StatusError
		if resp != nil || !errors.As(err, &se) || se.StatusCode != http.StatusNotFound || string(se.Excerpt) != "no such user" {
			t.Errorf("got %v, %v", resp, err)
		}
	}
	teapot := errors.New("teapot")
	if _, err := c.Get(t.Context(), url, ply.CheckStatus(func(*http.Response) error { return teapot })); !errors.Is(err, teapot) {
		t.Errorf("got %v", err)
	}
	if origin != 1 {
		t.Errorf("%d requests to the origin, want 1: the others are hits", origin)
	}
}

func TestTransportDecompresses(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Accept-Encoding"))
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(gzipped("text"))
			return
		}
		fmt.Fprint(w, "text")
	}))
	defer server.Close()
	c := newClient(t, ply.Options{BaseURL: server.URL})
	tests := []struct {
		name  string
		opts  []ply.RequestOption
		asked string
		want  string
	}{
		{"as it is", nil, "gzip", "text"},
		{"raw", []ply.RequestOption{ply.SetHeader("Accept-Encoding", "gzip")}, "gzip", string(gzipped("text"))},
		{"not asked for", []ply.RequestOption{ply.OmitHeader("Accept-Encoding")}, "", "text"},
	}
	for _, tt := range tests {
		got, err := ply.Bytes(c.Get(t.Context(), "/", tt.opts...))
		require.NoError(t, err)
		if string(got) != tt.want || asked[len(asked)-1] != tt.asked {
			t.Errorf("%s: got %q, asked for %q", tt.name, got, asked[len(asked)-1])
		}
	}
}

func TestTracesAndContextValuesReachTheTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	type key struct{}
	var got []string
	c := newClient(t, ply.Options{Timeouts: ply.Timeouts{Total: 1e12, Connect: 1e12}, Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			got = append(got, fmt.Sprint("value ", r.Context().Value(key{})))
			return next.RoundTrip(r)
		})
	}}})
	ctx := context.WithValue(t.Context(), key{}, 7)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { got = append(got, "connected") },
		WroteRequest:         func(httptrace.WroteRequestInfo) { got = append(got, "sent") },
		GotFirstResponseByte: func() { got = append(got, "answered") },
	})
	require.NoError(t, ply.Discard(c.Get(ctx, server.URL)))
	if diff := cmp.Diff([]string{"value 7", "connected", "sent", "answered"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBodyThatEndsWithItsConnectionIsRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		buf.WriteString("HTTP/1.0 200 OK\r\n\r\nto the end")
		buf.Flush()
	}))
	defer server.Close()
	got, err := ply.Text(newClient(t, ply.Options{}).Get(t.Context(), server.URL))
	if got != "to the end" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUnverifiedResponsesNeverServeAVerifiedRequest(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "hello")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail on purpose
	server.StartTLS()
	defer server.Close()
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	c := newClient(t, ply.Options{BaseURL: server.URL, Use: []ply.Middleware{store.Middleware}})

	outcome := func(opts ...ply.RequestOption) string {
		resp, err := c.Get(t.Context(), "/", opts...)
		if err != nil {
			return "error"
		}
		if err := ply.Discard(resp, nil); err != nil {
			return "error"
		}
		status, _ := cache.StatusOf(resp)
		return status.Outcome()
	}
	got := []string{
		outcome(ply.InsecureSkipVerify()),
		outcome(ply.InsecureSkipVerify()),
		outcome(),
		outcome(ply.PinCertificate([32]byte{})),
	}
	if diff := cmp.Diff([]string{"miss", "hit", "error", "error"}, got); diff != "" {
		t.Errorf("outcomes (-want +got)\n%s", diff)
	}
}

func TestRefreshAndSwitchOfTheCache(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}}, "x")
	}}
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	c := newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{store.Middleware}})
	var got []string
	for _, scope := range []func(context.Context) context.Context{
		func(ctx context.Context) context.Context { return ctx },
		func(ctx context.Context) context.Context { return ctx },
		cache.Disable,
		func(ctx context.Context) context.Context { return cache.Enable(cache.Disable(ctx)) },
		func(ctx context.Context) context.Context { return cache.WithMode(ctx, cache.ModeNoCache) },
		func(ctx context.Context) context.Context { return cache.WithMode(ctx, cache.ModeReload) },
	} {
		resp, err := c.Get(scope(t.Context()), "http://a.test/")
		require.NoError(t, err)
		require.NoError(t, ply.Discard(resp, nil))
		status, _ := cache.StatusOf(resp)
		got = append(got, fmt.Sprintf("%s, %s", status.Outcome(), sentCondition(transport)))
	}
	want := []string{"miss, ", "hit, ", "bypassed, ", "hit, ", `refreshed, "1"`, "refreshed, "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome and If-None-Match (-want +got)\n%s", diff)
	}
}

func TestVerbsSendTheirMethod(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response { return reply(r, 200, nil, "") }}
	c := newClient(t, ply.Options{Transport: transport})
	var got []string
	for _, verb := range []func(context.Context, string, ...ply.RequestOption) (*http.Response, error){c.Get, c.Head, c.Options, c.Post, c.Put, c.Patch, c.Delete} {
		require.NoError(t, ply.Discard(verb(t.Context(), "http://a.test/")))
		got = append(got, transport.last().Method)
	}
	if diff := cmp.Diff([]string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}, got); diff != "" {
		t.Error(diff)
	}
}

// What some clients have an attribute for is a line with the standard library.
func TestContentDispositionOfAResponse(t *testing.T) {
	c := newClient(t, ply.Options{Transport: &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Content-Disposition": {`attachment; filename="report.csv"`}}, "")
	}}})
	resp, err := c.Get(t.Context(), "http://a.test/")
	require.NoError(t, ply.Discard(resp, err))
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	if kind != "attachment" || params["filename"] != "report.csv" || err != nil {
		t.Errorf("%q, %v, %v", kind, params, err)
	}
}

func TestExpiryOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &recorder{respond: func(r *http.Request) *http.Response {
			return reply(r, 200, http.Header{"Cache-Control": {"max-age=60"}}, "x")
		}}
		store, err := cache.New(cache.Options{})
		require.NoError(t, err)
		defer store.Close()
		c := newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{store.Middleware}})
		ctx := cache.WithExpiry(t.Context(), expiry.After(time.Hour))
		for _, wait := range []time.Duration{0, 59 * time.Minute, 2 * time.Minute} {
			time.Sleep(wait)
			require.NoError(t, ply.Discard(c.Get(ctx, "http://a.test/")))
		}
		if len(transport.got) != 2 {
			t.Errorf("%d requests in 61 minutes, want 2: good for an hour, as the caller said", len(transport.got))
		}
		for _, s := range transport.got {
			if len(s.Header) != 0 {
				t.Errorf("sent %v: the choice went to the server", s.Header)
			}
		}
	})
}

// sentCondition is the If-None-Match of the last request, which is then forgotten.
func sentCondition(r *recorder) string {
	if len(r.got) == 0 {
		return ""
	}
	condition := r.last().Header.Get("If-None-Match")
	r.got = nil
	return condition
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

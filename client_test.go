package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// seen is what a server or a transport got.
type seen struct {
	Method, URL, Host string
	Header            http.Header
	Body              string
}

// recorder is a transport that answers 200 and remembers requests.
type recorder struct {
	got     []seen
	respond func(*http.Request) *http.Response
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	s := seen{Method: req.Method, URL: req.URL.String(), Host: req.Host, Header: req.Header.Clone()}
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		s.Body = string(b)
	}
	r.got = append(r.got, s)
	if r.respond != nil {
		if resp := r.respond(req); resp != nil {
			return resp, nil
		}
	}
	return reply(req, http.StatusOK, nil, "ok"), nil
}

func (r *recorder) last() seen { return r.got[len(r.got)-1] }

func reply(req *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

func newClient(t *testing.T, o ply.Options) *ply.Client {
	t.Helper()
	c, err := ply.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func get(t *testing.T, c *ply.Client, url string, opts ...ply.RequestOption) *http.Response {
	t.Helper()
	resp, err := c.Get(t.Context(), url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestBaseURL(t *testing.T) {
	tests := []struct{ base, url, want string }{
		{"http://a.test", "/x", "http://a.test/x"},
		{"http://a.test", "x", "http://a.test/x"},
		{"http://a.test/v1", "/x", "http://a.test/v1/x"},
		{"http://a.test/v1/", "x", "http://a.test/v1/x"},
		{"http://a.test/v1/", "", "http://a.test/v1/"},
		{"http://a.test/v1", "?q=1", "http://a.test/v1?q=1"},
		{"http://a.test/v1", "/a%2Fb", "http://a.test/v1/a%2Fb"},
		{"http://a.test/v1", "a:b", "http://a.test/v1/a:b"},
		{"http://a.test/v1", "http://b.test/x", "http://b.test/x"},
		{"https://a.test:8443/v1", "/x?a=1&a=2", "https://a.test:8443/v1/x?a=1&a=2"},
		{"http://a.test/v1", "/../admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "../../admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "/x/../../admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "/%2e%2E/.%2e/admin", "http://a.test/v1/admin"},
		{"http://a.test/v1", "/x/./y/..", "http://a.test/v1/x/"},
		{"http://a.test/v1", "/..", "http://a.test/v1/"},
		{"http://a.test/v1", "///admin", "http://a.test/v1///admin"},
		{"http://a.test/v1", "/a//b/", "http://a.test/v1/a//b/"},
		{"http://a.test/v1", `\..\x`, "http://a.test/v1/%5C..%5Cx"},
		{"http://a.test/v1", "?", "http://a.test/v1?"},
		{"http://a.test/v1", "", "http://a.test/v1"},
		{"http://a.test/v1/", "", "http://a.test/v1/"},
		{"http://a.test/v1/", "?q=1", "http://a.test/v1/?q=1"},
		{"http://a.test/v1%2F", "?q", "http://a.test/v1%2F?q"},
		{"http://a.test", "", "http://a.test/"},
		{"http://a.test", "?q", "http://a.test/?q"},
		{"http://a.test/x/../v1", "", "http://a.test/v1"},
		{"http://a.test/v1", "/", "http://a.test/v1/"},
		{"http://a.test/v1", ".", "http://a.test/v1/"},
		{"http://a.test/v1%2F", "x", "http://a.test/v1%2F/x"},
		{"http://a.test//v1", "x", "http://a.test//v1/x"},
		{"http://a.test/v1/../v2", "x", "http://a.test/v2/x"},
		{"http://a.test:/v1", "x", "http://a.test/v1/x"},
	}
	for _, tt := range tests {
		t.Run(tt.base+" "+tt.url, func(t *testing.T) {
			transport := &recorder{}
			c := newClient(t, ply.Options{BaseURL: tt.base, Transport: transport})
			if strings.Contains(tt.url, "a:b") {
				// As a whole URL "a:b" has a scheme; a path with a colon begins with a slash.
				tt.url = "/" + tt.url
			}
			get(t, c, tt.url)
			if got := transport.last().URL; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestARelativeRequestMadeElsewhereIsCompleted(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport})
	req, err := http.NewRequest(http.MethodGet, "/x", nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last(); got.URL != "http://a.test/v1/x" || got.Host != "a.test" {
		t.Errorf("got %+v", got)
	}
	if req.URL.String() != "/x" || req.Host != "" {
		t.Errorf("the caller's request became %s %s", req.URL, req.Host)
	}
}

func TestBadOptionsAreErrors(t *testing.T) {
	same := func(next ply.Handler) ply.Handler { return &stateful{next, "state"} }
	cacheLike := func(next ply.Handler) ply.Handler { return &pretender{next, "cache"} }
	retryLike := func(next ply.Handler) ply.Handler { return &pretender{next, "retry"} }
	tests := []struct {
		name    string
		options ply.Options
		option  string
		reason  string
	}{
		{"base not absolute", ply.Options{BaseURL: "/v1"}, "BaseURL", "absolute"},
		{"base of another scheme", ply.Options{BaseURL: "ftp://a.test"}, "BaseURL", "http://"},
		{"base unparsable", ply.Options{BaseURL: "http://a.test/%zz"}, "BaseURL", "parsed"},
		{"base with a query", ply.Options{BaseURL: "http://a.test/?key=hunter2"}, "BaseURL", "query"},
		{"base with credentials", ply.Options{BaseURL: "http://u:hunter2@a.test/"}, "BaseURL", "BasicAuth"},
		{"body as default", ply.Options{Defaults: []ply.RequestOption{ply.BodyString("x")}}, "Defaults", "body"},
		{"upload progress as default", ply.Options{Defaults: []ply.RequestOption{ply.UploadProgress(func(int64, int64) {})}}, "Defaults", "body"},
		{"base with a slash in its password", ply.Options{BaseURL: "http://u:hunter2/3@a.test/"}, "BaseURL", "parsed"},
		{"Host in Header", ply.Options{Header: http.Header{"host": {"b.test"}}}, "Defaults", "give it to the requests"},
		{"Host as default", ply.Options{Defaults: []ply.RequestOption{ply.SetHeader("Host", "b.test")}}, "Defaults", "give it to the requests"},
		{"two kinds of credentials", ply.Options{Defaults: []ply.RequestOption{ply.BasicAuth("u", "hunter2"), ply.Bearer("hunter2")}}, "Bearer", "BasicAuth"},
		{"TLS setting on a transport that cannot be copied", ply.Options{Transport: &recorder{}, Defaults: []ply.RequestOption{ply.InsecureSkipVerify()}}, "InsecureSkipVerify", "*http.Transport"},
		{"layer makes nothing", ply.Options{Use: []ply.Middleware{func(ply.Handler) ply.Handler { return nil }}}, "Use", "nothing"},
		{"condition missing", ply.Options{Use: []ply.Middleware{ply.When(nil, plain)}}, "Use", "no function to match"},
		{"same state twice", ply.Options{Use: []ply.Middleware{same, same}}, "Use", "twice"},
		{"same state in both lists", ply.Options{UseCall: []ply.Middleware{same}, Use: []ply.Middleware{same}}, "Use", "twice"},
		{"cache inside retry", ply.Options{Use: []ply.Middleware{retryLike, cacheLike}}, "Use", "list cache before retry"},
		{"cache inside retry, behind a name", ply.Options{Use: []ply.Middleware{retryLike, ply.Named("x", ply.Chain(plain, cacheLike))}}, "Use", "list cache before retry"},
		{"retry twice", ply.Options{Use: []ply.Middleware{retryLike, plain, retryLike}}, "Use", "multiply"},
		{"credentials for everybody", ply.Options{CrossOrigin: []string{"X-Team", "authorization"}}, "CrossOrigin", "Authorization, which never goes"},
		{"retry around redirects", ply.Options{UseCall: []ply.Middleware{retry.New(retry.Options{})}}, "UseCall", "move it to Use"},
		{"options of retry", ply.Options{Use: []ply.Middleware{retry.New(retry.Options{MaxAttempts: -1})}}, "Use", "MaxAttempts"},
		{"cache around redirects", ply.Options{UseCall: []ply.Middleware{cacheLike}}, "UseCall", "move it to Use"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ply.New(tt.options)
			var oe *ply.OptionError
			if !errors.As(err, &oe) {
				t.Fatalf("got %v, want an *OptionError", err)
			}
			if oe.Option != tt.option || !strings.Contains(err.Error(), tt.reason) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q", err)
			}
		})
	}
}

func TestStacksThatMeanSomethingAreAccepted(t *testing.T) {
	cacheLike := func(next ply.Handler) ply.Handler { return &pretender{next, "cache"} }
	retryLike := func(next ply.Handler) ply.Handler { return &pretender{next, "retry"} }
	toA := func(r *http.Request) bool { return r.URL.Host == "a.test" }
	toB := func(r *http.Request) bool { return r.URL.Host == "b.test" }
	for name, use := range map[string][]ply.Middleware{
		"canonical":                {plain, cacheLike, retryLike, plain},
		"one retry for each host":  {cacheLike, ply.When(toA, retryLike), ply.When(toB, retryLike)},
		"two caches of their own":  {cacheLike, cacheLike},
		"nil entries":              {nil, cacheLike, nil},
		"states of no kind":        {stateless(nil), stateless(nil), stateless([]int{1}), stateless([]int{1})},
		"retry inside a condition": {ply.When(toA, ply.Chain(cacheLike, retryLike))},
	} {
		if _, err := ply.New(ply.Options{Use: use}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pretender is a layer that goes by the name of another.
type pretender struct {
	next http.RoundTripper
	name string
}

func (p *pretender) RoundTrip(r *http.Request) (*http.Response, error) { return p.next.RoundTrip(r) }
func (p *pretender) LayerName() string                                 { return p.name }
func (p *pretender) Unwrap() http.RoundTripper                         { return p.next }

type stateful struct {
	next http.RoundTripper
	id   string
}

func (s *stateful) RoundTrip(r *http.Request) (*http.Response, error) { return s.next.RoundTrip(r) }
func (s *stateful) LayerName() string                                 { return "stateful" }
func (s *stateful) Unwrap() http.RoundTripper                         { return s.next }
func (s *stateful) LayerID() any                                      { return s.id }

// stateless is a layer whose LayerID says nothing, or nothing that can be compared.
func stateless(id any) ply.Middleware {
	return func(next ply.Handler) ply.Handler { return &identified{next, id} }
}

type identified struct {
	ply.Handler
	id any
}

func (i *identified) LayerID() any { return i.id }

func TestLayersOfAClient(t *testing.T) {
	c := newClient(t, ply.Options{UseCall: []ply.Middleware{ply.Named("call", plain)}, Use: []ply.Middleware{acme}})
	want := []string{"call", "redirects and cookies", "*ply_test.acmeTransport", "*http.Transport"}
	if diff := cmp.Diff(want, names(c)); diff != "" {
		t.Error(diff)
	}
	want = []string{"ply_test.plain", "call", "*ply_test.acmeTransport", "*http.Transport"} // an *http.Client follows redirects itself
	if diff := cmp.Diff(want, names(ply.Chain(plain)(c.HTTPClient().Transport))); diff != "" {
		t.Errorf("by way of HTTPClient: %s", diff)
	}
}

func TestDefaultsGiveWayToTheRequest(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{
		Header:    http.Header{"X-A": {"client"}, "x-b": {"client"}, "X-C": {"client"}},
		Defaults:  []ply.RequestOption{ply.SetHeader("X-A", "default"), ply.Query("lang", "en"), ply.Query("v", "2"), ply.BasicAuth("u", "p"), ply.Cookies(&http.Cookie{Name: "a", Value: "1"}, &http.Cookie{Name: "b", Value: "1"})},
		Transport: transport,
	})
	get(t, c, "http://a.test/?lang=fr",
		ply.SetHeader("X-B", "one", "two"), ply.OmitHeader("x-c", "User-Agent"), ply.Bearer("t"), ply.Query("q", "a b", "c&d"), ply.RawQuery("z=%20"),
		ply.QueryValues(url.Values{"y": {"2"}, "x": {"1"}}), ply.Cookies(&http.Cookie{Name: "b", Value: "2"}))
	got := transport.last()
	want := http.Header{
		"X-A": {"default"}, "X-B": {"one", "two"}, "X-C": nil, "User-Agent": nil,
		"Authorization": {"Bearer t"}, "Cookie": {"b=2; a=1"},
	}
	if diff := cmp.Diff(want, got.Header); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
	if want := "http://a.test/?lang=fr&q=a+b&q=c%26d&z=%20&x=1&y=2&v=2"; got.URL != want {
		t.Errorf("got %s, want %s", got.URL, want)
	}
}

func TestDefaultCredentialsAreForTheBaseURL(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{
		BaseURL:   "https://api.test/v1",
		Header:    http.Header{"X-Api-Key": {"k"}, "Accept-Language": {"en"}},
		Defaults:  []ply.RequestOption{ply.BasicAuth("u", "p"), ply.Cookies(&http.Cookie{Name: "a", Value: "1"}), ply.Query("lang", "en"), ply.RawQuery("api%5Fkey=k")},
		Transport: transport,
	})
	for _, to := range []struct {
		url  string
		want bool
	}{
		{"/x", true},
		{"https://API.test:443/other", true},
		{"http://api.test/", false},
		{"https://api.test:8443/", false},
		{"https://www.api.test/", false},
		{"https://evil.test/", false},
	} {
		get(t, c, to.url)
		h := transport.last().Header
		if _, query, _ := strings.Cut(transport.last().URL, "?"); query != map[bool]string{true: "lang=en&api%5Fkey=k"}[to.want] {
			t.Errorf("%s: the query is %s", to.url, query)
		}
		for _, name := range []string{"X-Api-Key", "Authorization", "Cookie"} {
			if _, got := h[name]; got != to.want {
				t.Errorf("%s: %s sent: %v, want %v", to.url, name, got, to.want)
			}
		}
		if h.Get("Accept-Language") != "en" {
			t.Errorf("%s: a harmless default was left out", to.url)
		}
	}
}

func TestConflictingOptionsAreErrorsBeforeAnythingIsSent(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport})
	tests := []struct {
		name string
		url  string
		opts []ply.RequestOption
	}{
		{"JSON and form", "http://a.test/", []ply.RequestOption{ply.BodyJSON(1), ply.BodyForm(url.Values{"a": {"1"}})}},
		{"credentials and Authorization", "http://a.test/", []ply.RequestOption{ply.BasicAuth("u", "hunter2"), ply.SetHeader("Authorization", "hunter2")}},
		{"Authorization and credentials", "http://a.test/", []ply.RequestOption{ply.SetHeader("authorization", "hunter2"), ply.Bearer("hunter2")}},
		{"credentials and credentials in the URL", "http://u:hunter2@a.test/", []ply.RequestOption{ply.BasicAuth("u", "hunter2")}},
		{"two TLS settings", "http://a.test/", []ply.RequestOption{ply.InsecureSkipVerify(), ply.PinCertificate([32]byte{})}},
		{"nil TLS setting", "http://a.test/", []ply.RequestOption{ply.TLSConfig(nil)}},
		{"no fingerprint", "http://a.test/", []ply.RequestOption{ply.PinCertificate()}},
		{"no redirects in a roundabout way", "http://a.test/", []ply.RequestOption{ply.MaxRedirects(0)}},
		{"proxy without a host", "http://a.test/", []ply.RequestOption{ply.ProxyURL("http://")}},
		{"proxy of another kind", "http://a.test/", []ply.RequestOption{ply.ProxyURL("gopher://p:hunter2@proxy.test")}},
		{"user name with a colon", "http://a.test/", []ply.RequestOption{ply.BasicAuth("u:hunter2", "")}},
		{"relative URL", "/x?token=hunter2", nil},
		{"URL without a scheme", "//b.test/x?token=hunter2", nil},
		{"path value without a place", "http://a.test/{ID}", []ply.RequestOption{ply.PathValue("id", "hunter2")}},
		{"path value in the host", "http://{id}/", []ply.RequestOption{ply.PathValue("id", "hunter2")}},
		{"path value in the query", "http://a.test/?q={id}", []ply.RequestOption{ply.PathValue("id", "hunter2")}},
		{"empty path value", "http://a.test/{id}", []ply.RequestOption{ply.PathValue("id", "")}},
		{"path value that climbs", "http://a.test/{id}", []ply.RequestOption{ply.PathValue("id", "..")}},
		{"edit by nothing", "http://a.test/", []ply.RequestOption{ply.Edit(nil)}},
		{"URL that cannot be parsed", "http://a.test/%zz?token=hunter2", nil},
		{"URL with a slash in its password", "http://u:hunter2/3@a.test/", nil},
		{"proxy with a slash in its password", "http://a.test/", []ply.RequestOption{ply.ProxyURL("http://u:hunter2/3@a.test/")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := &closeCounter{Reader: strings.NewReader("x")}
			_, err := c.Post(t.Context(), tt.url, append([]ply.RequestOption{ply.Combine(), {}}, tt.opts...)...)
			var oe *ply.OptionError
			if !errors.As(err, &oe) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want an *OptionError without the secret", err)
			}
			if tt.name != "JSON and form" {
				c.Post(t.Context(), tt.url, append([]ply.RequestOption{ply.BodyReader(body)}, tt.opts...)...)
				if body.closed != 1 {
					t.Errorf("the body was closed %d times", body.closed)
				}
			}
		})
	}
	if len(transport.got) != 0 {
		t.Errorf("something was sent: %+v", transport.got)
	}
}

func TestHostOfARequest(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport})
	for _, tt := range []struct {
		url  string
		opts []ply.RequestOption
		want string
	}{
		{"/x", nil, "a.test"},
		{"/x", []ply.RequestOption{ply.SetHeader("host", "b.test")}, "b.test"},
		{"http://a.test:/x", nil, "a.test"},
		{"http://a.test:81/x", []ply.RequestOption{ply.OmitHeader("Host")}, "a.test:81"},
	} {
		get(t, c, tt.url, tt.opts...)
		if got := transport.last(); got.Host != tt.want || len(got.Header) != 0 {
			t.Errorf("%s: got host %q and header %v", tt.url, got.Host, got.Header)
		}
	}
}

func TestARequestWithoutAContextIsAnError(t *testing.T) {
	c := newClient(t, ply.Options{Transport: &recorder{}})
	body := &closeCounter{Reader: strings.NewReader("x")}
	var none context.Context
	_, err := c.Post(none, "http://a.test/", ply.BodyReader(body))
	var oe *ply.OptionError
	if !errors.As(err, &oe) || body.closed != 1 {
		t.Errorf("got %v; the body was closed %d times", err, body.closed)
	}
}

func TestCookiesAreThoseThatWereGiven(t *testing.T) {
	transport := &recorder{}
	cookie := &http.Cookie{Name: "a", Value: "1"}
	c := newClient(t, ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.Cookies(nil, cookie)}})
	cookie.Value = "changed"
	get(t, c, "http://a.test/", ply.Cookies(nil))
	if got := transport.last().Header.Get("Cookie"); got != "a=1" {
		t.Errorf("got %q", got)
	}
}

func TestClosedClient(t *testing.T) {
	transport := &idleCounter{Handler: &recorder{}}
	c, err := ply.New(ply.Options{Transport: transport})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close())
	body := &closeCounter{Reader: strings.NewReader("x")}
	_, err = c.Post(t.Context(), "http://a.test/", ply.BodyReader(body))
	if !errors.Is(err, ply.ErrClientClosed) || body.closed != 1 {
		t.Errorf("got %v, body closed %d times", err, body.closed)
	}
	if transport.closed != 0 {
		t.Error("Close touched a transport that is not its own")
	}
}

func TestCloseClosesIdleConnectionsOfItsOwnTransport(t *testing.T) {
	var closed = make(chan struct{}, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	server.Start()
	defer server.Close()
	c, err := ply.New(ply.Options{})
	require.NoError(t, err)
	require.NoError(t, ply.Discard(c.Get(t.Context(), server.URL)))
	derived, err := c.With(func(*ply.Options) {})
	require.NoError(t, err)
	require.NoError(t, derived.Close())
	require.NoError(t, ply.Discard(c.Get(t.Context(), server.URL)))
	if len(closed) != 0 {
		t.Error("closing a derived client closed connections")
	}
	require.NoError(t, c.Close())
	<-closed
}

func TestWithSharesConnectionsAndState(t *testing.T) {
	conns := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
		fmt.Fprint(w, r.Header.Get("X-Role"))
	}))
	defer server.Close()
	var count int
	counting := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { count++; return next.RoundTrip(r) })
	}
	c := newClient(t, ply.Options{BaseURL: server.URL, Use: []ply.Middleware{counting}})
	admin, err := c.With(func(o *ply.Options) { o.Header.Set("X-Role", "admin") })
	require.NoError(t, err)

	role, err := ply.Text(admin.Get(t.Context(), "/"))
	require.NoError(t, err)
	none, err := ply.Text(c.Get(t.Context(), "/"))
	require.NoError(t, err)
	if role != "admin" || none != "" {
		t.Errorf("roles %q and %q", role, none)
	}
	if len(conns) != 1 || count != 2 {
		t.Errorf("%d connections and %d requests seen, want 1 and 2", len(conns), count)
	}

	other, err := c.With(func(o *ply.Options) { o.Transport = &recorder{} })
	require.NoError(t, err)
	require.NoError(t, ply.Discard(other.Get(t.Context(), "/")))
	if len(conns) != 1 {
		t.Error("another transport was not used")
	}
	if _, err := c.With(func(o *ply.Options) { o.BaseURL = "nowhere" }); err == nil {
		t.Error("With does not check what it is given")
	}
}

func TestWithAnotherTrustInTheEnvironmentHasItsOwnConnections(t *testing.T) {
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	c := newClient(t, ply.Options{})
	proxied := func(c *ply.Client) bool {
		layers := ply.Layers(c)
		return layers[len(layers)-1].Handler.(*http.Transport).Proxy != nil
	}
	trusting, err := c.With(func(o *ply.Options) { o.TrustEnv = true })
	require.NoError(t, err)
	defer trusting.Close()
	again, err := trusting.With(func(o *ply.Options) { o.TrustEnv = false })
	require.NoError(t, err)
	defer again.Close()
	if proxied(c) || !proxied(trusting) || proxied(again) {
		t.Errorf("asks the environment for proxies: %v, %v, %v", proxied(c), proxied(trusting), proxied(again))
	}
}

// uncomparable is a transport whose values cannot be compared, which its type does not show.
type uncomparable struct{ state any }

func (uncomparable) RoundTrip(r *http.Request) (*http.Response, error) {
	return reply(r, http.StatusOK, nil, ""), nil
}

func TestWithATransportThatCannotBeCompared(t *testing.T) {
	c := newClient(t, ply.Options{Transport: uncomparable{[]int{1}}})
	derived, err := c.With(func(*ply.Options) {})
	require.NoError(t, err)
	get(t, derived, "http://a.test/")
}

func TestClientAsRoundTripper(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusFound, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	var calls int
	c := newClient(t, ply.Options{
		Header: http.Header{"X-A": {"1"}}, Transport: transport,
		UseCall: []ply.Middleware{func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { calls++; return next.RoundTrip(r) })
		}},
	})
	resp, err := exchange(t, c, "http://a.test/old")
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound || len(transport.got) != 1 {
		t.Errorf("status %d after %d requests: RoundTrip followed a redirect", resp.StatusCode, len(transport.got))
	}

	hc := &http.Client{Transport: c}
	resp, err = hc.Get("http://a.test/old")
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != 200 || len(ply.History(resp)) != 1 || transport.last().Header.Get("X-A") != "1" {
		t.Errorf("status %d, history %v, got %+v", resp.StatusCode, ply.History(resp), transport.last())
	}
	if calls != 3 {
		t.Errorf("call layers ran %d times, want once for each of 3 exchanges", calls)
	}
}

func TestRoundTripDoesNotJudgeTheStatus(t *testing.T) {
	c := newClient(t, ply.Options{
		Transport: redirects(map[string]string{"http://a.test/old": "/new"}),
		Defaults: []ply.RequestOption{ply.CheckStatus(func(resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return errors.New("not OK")
			}
			return nil
		})},
	})
	if err := ply.Discard((&http.Client{Transport: c}).Get("http://a.test/old")); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestRoundTripAddsNoCredentialsToARedirectFromNobodyKnowsWhere(t *testing.T) {
	var got []http.Header
	c := newClient(t, ply.Options{
		Defaults: []ply.RequestOption{ply.Bearer("t")},
		Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.Header)
			if r.URL.Host == "a.test" {
				return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://b.test/"}}, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}),
	})
	require.NoError(t, ply.Discard((&http.Client{Transport: c}).Get("http://a.test/")))
	if got[0].Get("Authorization") == "" || got[1].Get("Authorization") != "" {
		t.Errorf("sent %v", got)
	}
}

func TestRoundTripAddsNoCredentialsAfterARedirectElsewhere(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusFound, http.Header{"Location": {"http://b.test/new"}}, "")
		}
		return nil
	}}
	c := newClient(t, ply.Options{Header: http.Header{"X-Api-Key": {"k"}}, Defaults: []ply.RequestOption{ply.Bearer("t"), ply.Query("token", "t")}, Transport: transport})
	resp, err := (&http.Client{Transport: c}).Get("http://a.test/old")
	require.NoError(t, err)
	resp.Body.Close()
	if h := transport.got[0].Header; h.Get("Authorization") == "" || h.Get("X-Api-Key") == "" {
		t.Errorf("the first request went without credentials: %v", h)
	}
	if got := transport.got[1]; got.Header.Get("Authorization") != "" || got.Header.Get("X-Api-Key") != "" || got.URL != "http://b.test/new" {
		t.Errorf("credentials went to another origin: %+v", got)
	}
}

func TestErrorsHideSecretsOfURLsThatLayersQuote(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "http://u:hunter2@login.test/?code=hunter2", Err: io.ErrUnexpectedEOF}
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("auth: %w", cause)
	})})
	_, err := c.Get(t.Context(), "http://a.test/")
	if !errors.Is(err, cause) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "auth: Get") {
		t.Errorf("got %v", err)
	}
}

func TestErrorsHideSecretsOfTheURL(t *testing.T) {
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })})
	_, err := c.Get(t.Context(), "http://user:hunter2@a.test/x?token=hunter2&page=hunter2#hunter2")
	var ue *url.Error
	if !errors.As(err, &ue) || !errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a.test/x?token=") {
		t.Errorf("got %v", err)
	}
}

func TestTheRequestIsLeftAlone(t *testing.T) {
	jar, _ := cookiejar.New(nil)
	c := newClient(t, ply.Options{
		BaseURL: "http://a.test/v1", Jar: jar, Header: http.Header{"X-A": {"1"}}, Timeouts: ply.Timeouts{Total: 1e12},
		Defaults: []ply.RequestOption{ply.Query("v", "2"), ply.Bearer("t")}, Transport: &recorder{},
	})
	req, _ := http.NewRequest(http.MethodGet, "/x", nil)
	before := fmt.Sprintf("%+v %s", req, req.URL)
	resp, err := c.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if after := fmt.Sprintf("%+v %s", req, req.URL); before != after {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func TestCookiesOfTheJarStayOutOfTheCallersHeader(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Jar: jarWith(t, "http://a.test/", "s=1"), Transport: transport})
	req, err := http.NewRequest(http.MethodGet, "http://a.test/", nil)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, ply.Discard(c.Do(req)))
	}
	if got := transport.last().Header.Get("Cookie"); got != "s=1" {
		t.Errorf("the second time the request is done it sends %q", got)
	}
	if len(req.Header) != 0 {
		t.Errorf("the caller's request has now %v", req.Header)
	}
	require.NoError(t, ply.Discard(c.Do(&http.Request{URL: req.URL})))
	if got := transport.last().Header.Get("Cookie"); got != "s=1" {
		t.Errorf("a request without a header map sends %q", got)
	}
}

func jarWith(t *testing.T, origin, cookie string) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	u, err := url.Parse(origin)
	require.NoError(t, err)
	name, value, _ := strings.Cut(cookie, "=")
	jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value}})
	return jar
}

func TestDefaultsGiveWayToAFieldInAnyCase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "netrc")
	require.NoError(t, os.WriteFile(file, []byte("machine a.test login ada password lovelace\n"), 0o600))
	t.Setenv("NETRC", file)
	transport := &recorder{}
	for _, c := range []*ply.Client{
		newClient(t, ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.Bearer("default")}, Header: http.Header{"X-A": {"default"}}}),
		newClient(t, ply.Options{Transport: transport, TrustEnv: true}),
	} {
		req, err := http.NewRequest(http.MethodGet, "http://a.test/", nil)
		require.NoError(t, err)
		req.Header = http.Header{"AUTHORIZATION": {"own"}, "x-a": {"own"}}
		require.NoError(t, ply.Discard(c.Do(req)))
		if diff := cmp.Diff(req.Header, transport.last().Header); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOfTwoSpellingsOfADefaultTheCanonicalOneCounts(t *testing.T) {
	transport := &recorder{}
	for range 20 {
		c := newClient(t, ply.Options{Transport: transport, Header: http.Header{"x-a": {"no"}, "X-A": {"yes"}, "x-A": {"no"}}})
		get(t, c, "http://a.test/")
		if diff := cmp.Diff(http.Header{"X-A": {"yes"}}, transport.last().Header); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestAPlainRequestCostsNothing(t *testing.T) {
	resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{}}
	transport := ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return resp, nil })
	c := newClient(t, ply.Options{Transport: transport})
	hc := &http.Client{Transport: transport}
	req, _ := http.NewRequest(http.MethodGet, "http://a.test/", nil)
	ours := testing.AllocsPerRun(100, func() { c.Do(req) })
	theirs := testing.AllocsPerRun(100, func() { hc.Do(req) })
	if ours > theirs {
		t.Errorf("%v allocations, %v without ply", ours, theirs)
	}
}

func TestOptionsOfARequestAreNotThoseOfAnotherInItsContext(t *testing.T) {
	var bytes int64
	var c *ply.Client
	transport := &recorder{}
	c = newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/token" {
				return next.RoundTrip(r)
			}
			side, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://a.test/token", nil)
			if err != nil {
				return nil, err
			}
			if err := ply.Discard(c.Do(side)); err != nil {
				return nil, err
			}
			return next.RoundTrip(r)
		})
	}}})
	_, err := ply.Bytes(c.Get(t.Context(), "http://a.test/", ply.DownloadProgress(func(n, _ int64) { bytes += n })))
	require.NoError(t, err)
	if len(transport.got) != 2 || bytes != 2*int64(len("ok")) {
		t.Errorf("%d requests; progress adds up to %d", len(transport.got), bytes)
	}
}

func TestABodyIsNotReleasedByAnotherRequestInItsContext(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusTemporaryRedirect, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	var c *ply.Client
	c = newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/old" {
				if err := ply.Discard(c.Post(r.Context(), "http://a.test/token", ply.BodyString("x"))); err != nil {
					return nil, err
				}
			}
			return next.RoundTrip(r)
		})
	}}})
	file := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	for name, do := range map[string]func(*http.Request) (*http.Response, error){"Do": c.Do, "RoundTrip": (&http.Client{Transport: c}).Do} {
		f, err := os.Open(file)
		require.NoError(t, err)
		defer f.Close()
		req, err := c.NewRequest(t.Context(), http.MethodPut, "http://a.test/old", ply.BodyReader(f))
		require.NoError(t, err)
		if err := ply.Discard(do(req)); err != nil || transport.last().Body != "hello" {
			t.Errorf("%s: got %v, sent %+v", name, err, transport.last())
		}
	}
}

func TestTrustEnvTakesCredentialsFromNetrc(t *testing.T) {
	file := filepath.Join(t.TempDir(), "netrc")
	require.NoError(t, os.WriteFile(file, []byte("machine a.test login ada password lovelace\n"), 0o600))
	t.Setenv("NETRC", file)
	transport := &recorder{}
	trusting := newClient(t, ply.Options{TrustEnv: true, Transport: transport})
	get(t, trusting, "http://a.test/")
	if user, password, _ := basicAuth(transport.last()); user != "ada" || password != "lovelace" {
		t.Errorf("got %q %q", user, password)
	}
	get(t, trusting, "http://a.test/", ply.BasicAuth("own", "one"))
	if user, _, _ := basicAuth(transport.last()); user != "own" {
		t.Errorf("got %q, want the request's own", user)
	}
	get(t, trusting, "http://b.test/")
	if h := transport.last().Header.Get("Authorization"); h != "" {
		t.Errorf("another host got %q", h)
	}
	get(t, newClient(t, ply.Options{Transport: transport}), "http://a.test/")
	if h := transport.last().Header.Get("Authorization"); h != "" {
		t.Errorf("without TrustEnv: %q", h)
	}
}

func TestNetrcIsForItsHostsAndGivesWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "netrc")
	require.NoError(t, os.WriteFile(file, []byte("machine a.test login of-a password p\nmachine b.test login of-b password p\n"), 0o600))
	t.Setenv("NETRC", file)
	transport := &recorder{}
	for name, tt := range map[string]struct {
		options ply.Options
		a, b    string
	}{
		"BaseURL":                    {ply.Options{}, "of-a", "of-b"},
		"default credentials":        {ply.Options{Defaults: []ply.RequestOption{ply.BasicAuth("own", "p")}}, "own", "of-b"},
		"Authorization in Header":    {ply.Options{Header: http.Header{"Authorization": {"Basic b3duOnA="}}}, "own", "of-b"},
		"Authorization in a default": {ply.Options{Defaults: []ply.RequestOption{ply.SetHeader("Authorization", "Basic b3duOnA=")}}, "own", "of-b"},
		"no Authorization":           {ply.Options{Defaults: []ply.RequestOption{ply.OmitHeader("Authorization")}}, "", "of-b"},
	} {
		tt.options.BaseURL, tt.options.TrustEnv, tt.options.Transport = "http://a.test", true, transport
		c := newClient(t, tt.options)
		get(t, c, "/")
		if user, _, _ := basicAuth(transport.last()); user != tt.a {
			t.Errorf("%s: a.test got %q, want %q", name, user, tt.a)
		}
		get(t, c, "http://b.test/")
		if user, _, _ := basicAuth(transport.last()); user != tt.b {
			t.Errorf("%s: b.test got %q, want %q", name, user, tt.b)
		}
	}
}

func basicAuth(s seen) (user, password string, ok bool) {
	return (&http.Request{Header: s.Header}).BasicAuth()
}

func TestContextEndsACall(t *testing.T) {
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Get(ctx, "http://a.test/"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLayersGetAWholeRequest(t *testing.T) {
	whole := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			if r.URL == nil || r.Header == nil {
				t.Errorf("a layer sees URL %v and header %v", r.URL, r.Header)
			}
			return next.RoundTrip(r)
		})
	}
	c := newClient(t, ply.Options{Transport: &recorder{}, UseCall: []ply.Middleware{whole}, Use: []ply.Middleware{whole}})
	for name, do := range map[string]func(*http.Request) (*http.Response, error){"Do": c.Do, "RoundTrip": c.RoundTrip} {
		req := &http.Request{URL: &url.URL{Scheme: "http", Host: "a.test"}}
		if err := ply.Discard(do(req)); err != nil || req.Header != nil {
			t.Errorf("%s: got %v; the caller's header is now %v", name, err, req.Header)
		}
		body := &closeCounter{Reader: strings.NewReader("x")}
		var oe *ply.OptionError
		if err := ply.Discard(do(&http.Request{Body: body})); !errors.As(err, &oe) || body.closed != 1 {
			t.Errorf("%s: without URL got %v, the body closed %d times", name, err, body.closed)
		}
	}
}

func TestCallLayersThatBreakTheContract(t *testing.T) {
	broken := errors.New("broken")
	body := &closeCounter{Reader: strings.NewReader("x")}
	for name, layer := range map[string]ply.HandlerFunc{
		"neither response nor error": func(*http.Request) (*http.Response, error) { return nil, nil },
		"both":                       func(*http.Request) (*http.Response, error) { return &http.Response{Body: body}, broken },
	} {
		for _, timeouts := range []ply.Timeouts{{}, {Total: 1e12}} {
			c := newClient(t, ply.Options{Timeouts: timeouts, UseCall: []ply.Middleware{func(ply.Handler) ply.Handler { return layer }}})
			if resp, err := c.Get(t.Context(), "http://a.test/"); resp != nil || err == nil {
				t.Errorf("%s: got %v, %v", name, resp, err)
			}
		}
	}
	if body.closed != 2 {
		t.Errorf("the dropped response was closed %d times, want once for each of 2 calls", body.closed)
	}
	c := newClient(t, ply.Options{UseCall: []ply.Middleware{func(ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 200}, nil })
	}}})
	if resp := get(t, c, "http://a.test/"); resp.Body == nil {
		t.Error("a response without a body got through")
	}
}

func TestAFailedStatusCheckClosesTheBodyOnce(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("no")}
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: body, Request: r}, nil
	})})
	if _, err := c.Get(t.Context(), "http://a.test/", ply.CheckStatus(ply.Below400)); !ply.StatusIs(err, 500) || body.closed != 1 {
		t.Errorf("got %v; closed %d times", err, body.closed)
	}
}

func TestABodyGivenAfterAFailingOptionIsClosed(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	c := newClient(t, ply.Options{Transport: &recorder{}})
	if _, err := c.Post(t.Context(), "http://a.test/", ply.MaxRedirects(-1), ply.Combine(ply.BodyReader(body))); err == nil || body.closed != 1 {
		t.Errorf("got %v; closed %d times", err, body.closed)
	}
}

func TestADefaultExpectationIsForRequestsWithABody(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.ExpectContinue()}})
	get(t, c, "http://a.test/")
	resp, err := c.Post(t.Context(), "http://a.test/", ply.BodyString("x"))
	require.NoError(t, err)
	resp.Body.Close()
	got := []string{transport.got[0].Header.Get("Expect"), transport.got[1].Header.Get("Expect")}
	if diff := cmp.Diff([]string{"", "100-continue"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFileIsSentAgainByWhoeverIsAroundARoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusTemporaryRedirect, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	c := newClient(t, ply.Options{Transport: transport})
	req, err := c.NewRequest(t.Context(), http.MethodPut, "http://a.test/old", ply.BodyReader(file))
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: c}).Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last(); got.URL != "http://a.test/new" || got.Body != "content" {
		t.Errorf("got %+v", got)
	}
}

func TestPathValuesAreSegments(t *testing.T) {
	tests := []struct {
		url, want string
		opts      []ply.RequestOption
	}{
		{"http://a.test/users/{id}", "http://a.test/users/7", []ply.RequestOption{ply.PathValue("id", "7")}},
		{"/users/{id}/files/{name}?x={id}", "http://a.test/v1/users/7/files/a%2Fb%3Fc%23d%20%25?x={id}", []ply.RequestOption{ply.PathValue("name", "a/b?c#d %"), ply.PathValue("id", "7")}},
		{"/{a}/{b}", "http://a.test/v1/%7Bb%7D/%7Ba%7D", []ply.RequestOption{ply.PathValue("a", "{b}"), ply.PathValue("b", "{a}")}},
		{"/{a}/{a}", "http://a.test/v1/x/x", []ply.RequestOption{ply.PathValue("a", "x")}},
		{"{a}", "http://a.test/v1/evil.test", []ply.RequestOption{ply.PathValue("a", "evil.test")}},
		{"/{a}", "http://a.test/v1/%2Fevil.test", []ply.RequestOption{ply.PathValue("a", "/evil.test")}},
		{"/%7Bliteral%7D", "http://a.test/v1/%7Bliteral%7D", nil},
		{"/{\"a\": 1}", "http://a.test/v1/%7B%22a%22:%201%7D", nil},
		{"?q={id}", "http://a.test/v1?q={id}", nil},
		{"{id}/items", "http://a.test/v1/user:42/items", []ply.RequestOption{ply.PathValue("id", "user:42")}},
		{"{id}", "http://a.test/v1/https:%2F%2Fevil.test", []ply.RequestOption{ply.PathValue("id", "https://evil.test")}},
		{"{id}:cancel", "http://a.test/v1/job:cancel", []ply.RequestOption{ply.PathValue("id", "job")}},
		{"{a}//{b}", "http://a.test/v1/http://evil.test", []ply.RequestOption{ply.PathValue("a", "http:"), ply.PathValue("b", "evil.test")}},
		{"{a}:/{b}", "http://a.test/v1/http:/evil.test", []ply.RequestOption{ply.PathValue("a", "http"), ply.PathValue("b", "evil.test")}},
		{"{a}://{b}", "http://a.test/v1/http://evil.test", []ply.RequestOption{ply.PathValue("a", "http"), ply.PathValue("b", "evil.test")}},
		{"{a}", "http://a.test/v1/%2F%2Fevil.test%2Fx", []ply.RequestOption{ply.PathValue("a", "//evil.test/x")}},
		{"{a}", "http://a.test/v1/%5C%5Cevil.test", []ply.RequestOption{ply.PathValue("a", `\\evil.test`)}},
		{"/{a}", "http://a.test/v1/%252e%252e", []ply.RequestOption{ply.PathValue("a", "%2e%2e")}},
		{"/{a}{b}", "http://a.test/v1/...x", []ply.RequestOption{ply.PathValue("a", "..."), ply.PathValue("b", "x")}},
		{"/x/http://{a}", "http://a.test/v1/x/http://y", []ply.RequestOption{ply.PathValue("a", "y")}},
		{"/{a}", "http://a.test/v1/%0A%20%3B%2C", []ply.RequestOption{ply.PathValue("a", "\n ;,")}},
	}
	for _, tt := range tests {
		transport := &recorder{}
		get(t, newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport}), tt.url, tt.opts...)
		if got := transport.last().URL; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestPathValuesThatCannotBeASegment(t *testing.T) {
	tests := []struct {
		url  string
		want string // part of the error
		opts []ply.RequestOption
	}{
		{"/{a}", "{a}", []ply.RequestOption{ply.PathValue("a", "")}},
		{"/{a}", "{a}", []ply.RequestOption{ply.PathValue("a", ".")}},
		{"/{a}/x", "{a}", []ply.RequestOption{ply.PathValue("a", "..")}},
		{"/{a}{b}", "{a}", []ply.RequestOption{ply.PathValue("a", "."), ply.PathValue("b", ".")}},
		{"/{a}", "no {b}", []ply.RequestOption{ply.PathValue("a", "x"), ply.PathValue("b", "y")}},
		{"http://{host}/", "no {host}", []ply.RequestOption{ply.PathValue("host", "evil.test")}},
		{"//{host}/", "no {host}", []ply.RequestOption{ply.PathValue("host", "evil.test")}},
		{"{scheme}://{host}/{id}", "none is given for {id}", []ply.RequestOption{ply.PathValue("scheme", "http"), ply.PathValue("host", "evil.test")}},
		{"/users/{id}", "none is given for {id}", nil},
		{"/users/{id}/{other}", "none is given for {other}", []ply.RequestOption{ply.PathValue("id", "{other}")}},
		{"/{us{id}er}", "none is given for {id}", nil},
	}
	for _, tt := range tests {
		for _, o := range []ply.Options{{}, {BaseURL: "http://a.test/v1"}} {
			var oe *ply.OptionError
			req, err := newClient(t, o).NewRequest(t.Context(), http.MethodGet, tt.url, tt.opts...)
			if !errors.As(err, &oe) || oe.Option != "PathValue" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, %v; want an error with %q", tt.url, req, err, tt.want)
			}
		}
	}
	var oe *ply.OptionError
	if _, err := ply.New(ply.Options{BaseURL: "http://a.test/{tenant}"}); !errors.As(err, &oe) || oe.Option != "BaseURL" {
		t.Errorf("a placeholder in BaseURL: %v", err)
	}
}

func TestAQueryHasOneKeyHoweverItIsWritten(t *testing.T) {
	store, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer store.Close()
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Cache-Control": {"max-age=60"}}, "x")
	}}
	c := newClient(t, ply.Options{Transport: transport, Use: []ply.Middleware{store.Middleware}})
	spellings := []string{"http://a.test/?q=hello world", "http://a.test/?q=hello%20world"}
	for _, deleted := range spellings {
		before := len(transport.got)
		for _, u := range spellings {
			require.NoError(t, ply.Discard(c.Get(t.Context(), u)))
		}
		if n := len(transport.got) - before; n != 1 {
			t.Errorf("the origin was asked %d times for one resource", n)
		}
		require.NoError(t, store.DeleteURL(t.Context(), deleted))
		if n := store.Stats().Entries; n != 0 {
			t.Errorf("DeleteURL of %s leaves %d entries", deleted, n)
		}
	}
}

// The query percent-encode set of the URL Standard.
func TestQueriesAreWrittenAsTheyMustBe(t *testing.T) {
	for given, want := range map[string]string{
		"a=hello world":        "a=hello%20world",
		"a=ü&b=世":              "a=%C3%BC&b=%E4%B8%96",
		`a="<x>"`:              "a=%22%3Cx%3E%22",
		"a=%20%c3%BC+%zz%":     "a=%20%c3%BC+%zz%",
		"a='{[x]}'|\\^`&;/?:@": "a='{[x]}'|\\^`&;/?:@",
		"a\t\r\n\x00\x7f=\xff": "a%09%0D%0A%00%7F=%FF",
	} {
		transport := &recorder{}
		c := newClient(t, ply.Options{BaseURL: "http://a.test/x", Transport: transport})
		get(t, c, "", ply.RawQuery(given))
		if !strings.ContainsAny(given, "\t\r\n\x00\x7f") {
			get(t, c, "http://a.test/x?"+given)
		}
		u := &url.URL{Scheme: "http", Host: "a.test", Path: "/x", RawQuery: given}
		for _, do := range []func(*http.Request) (*http.Response, error){c.Do, c.RoundTrip, c.HTTPClient().Do} {
			require.NoError(t, ply.Discard(do(&http.Request{Method: http.MethodGet, URL: u})))
		}
		require.Equal(t, given, u.RawQuery, "the caller's URL is another one now")
		for _, got := range transport.got {
			if got.URL != "http://a.test/x?"+want {
				t.Errorf("%q: got %s, want %s", given, got.URL, want)
			}
		}
	}
}

func TestURLsThatNameAHostWithoutASchemeAreRefused(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: transport})
	for _, u := range []string{"//evil.test/x", "//evil.test"} {
		var oe *ply.OptionError
		if _, err := c.Get(t.Context(), u); !errors.As(err, &oe) || len(transport.got) != 0 {
			t.Errorf("%s: got %v, sent %v", u, err, transport.got)
		}
	}
}

func TestEditRunsLastAndMayRefuse(t *testing.T) {
	transport := &recorder{}
	c := newClient(t, ply.Options{Transport: transport})
	resp, err := c.Post(t.Context(), "http://a.test/", ply.Edit(func(r *http.Request) error {
		r.Header.Set("X-Length", fmt.Sprint(r.ContentLength))
		return nil
	}), ply.BodyString("four"))
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last().Header.Get("X-Length"); got != "4" {
		t.Errorf("the edit saw a length of %q", got)
	}
	refused := errors.New("refused")
	body := &closeCounter{Reader: strings.NewReader("x")}
	_, err = c.Post(t.Context(), "http://a.test/", ply.BodyReader(body), ply.Edit(func(*http.Request) error { return refused }))
	if !errors.Is(err, refused) || body.closed != 1 || len(transport.got) != 1 {
		t.Errorf("got %v; body closed %d times; %d requests sent", err, body.closed, len(transport.got))
	}
	for _, o := range []ply.RequestOption{ply.Edit(func(*http.Request) error { return nil }), ply.PathValue("a", "b")} {
		if _, err := ply.New(ply.Options{Defaults: []ply.RequestOption{o}}); err == nil {
			t.Error("accepted as a default")
		}
	}
}

func TestATransportThatForgetsTheRequestOfItsResponse(t *testing.T) {
	c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		resp := reply(r, 404, nil, "")
		if r.URL.Path == "/old" {
			resp = reply(r, 302, http.Header{"Location": {"/new"}}, "")
		}
		resp.Request = nil
		return resp, nil
	})})
	_, err := ply.ErrorForStatus(c.Get(t.Context(), "http://a.test/old"))
	if err == nil || err.Error() != "GET http://a.test/new: 404 Not Found" {
		t.Errorf("got %v", err)
	}
}

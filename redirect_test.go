package ply_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// redirects answers a request for a URL of the map with a redirect to its value.
func redirects(to map[string]string) *recorder {
	return &recorder{respond: func(r *http.Request) *http.Response {
		location, ok := to[r.URL.String()]
		if !ok {
			return nil
		}
		return reply(r, http.StatusTemporaryRedirect, http.Header{"Location": {location}}, "moved")
	}}
}

// countdown redirects /n to /n-1, down to /0.
func countdown() *recorder {
	return &recorder{respond: func(r *http.Request) *http.Response {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		if n == 0 {
			return nil
		}
		return reply(r, http.StatusFound, http.Header{"Location": {fmt.Sprintf("/%d", n-1)}}, "")
	}}
}

func TestRedirectLimit(t *testing.T) {
	tests := []struct {
		name     string
		options  []ply.RequestOption
		n        int
		followed int
		limit    int // of the error; 0: none
		status   int
	}{
		{"10 by default", nil, 10, 10, 0, 200},
		{"11 are too many", nil, 11, 10, 10, 0},
		{"own limit kept", []ply.RequestOption{ply.MaxRedirects(2)}, 2, 2, 0, 200},
		{"own limit passed", []ply.RequestOption{ply.MaxRedirects(1)}, 2, 1, 1, 0},
		{"none", []ply.RequestOption{ply.NoRedirects()}, 1, 0, 0, 302},
	}
	for _, tt := range tests {
		for _, level := range []string{"request", "default"} {
			t.Run(tt.name+", as "+level, func(t *testing.T) {
				transport := countdown()
				o, opts := ply.Options{Transport: transport}, tt.options
				if level == "default" {
					o.Defaults, opts = tt.options, nil
				}
				c := newClient(t, o)
				resp, err := c.Get(t.Context(), fmt.Sprintf("http://a.test/%d?token=hunter2", tt.n), opts...)
				if got := len(transport.got) - 1; got != tt.followed {
					t.Errorf("followed %d redirects, want %d", got, tt.followed)
				}
				if tt.limit == 0 {
					require.NoError(t, err)
					resp.Body.Close()
					if resp.StatusCode != tt.status || len(ply.History(resp)) != tt.followed {
						t.Errorf("status %d, history of %d", resp.StatusCode, len(ply.History(resp)))
					}
					return
				}
				var re *ply.RedirectError
				if resp != nil || !errors.As(err, &re) {
					t.Fatalf("got %v, %v", resp, err)
				}
				if re.Limit != tt.limit || re.Response == nil || len(ply.History(re.Response)) != tt.limit {
					t.Errorf("got %+v with a history of %d", re, len(ply.History(re.Response)))
				}
				if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), fmt.Sprintf("stopped after %d redirect", tt.limit)) {
					t.Errorf("got %q", err)
				}
			})
		}
	}
}

func TestErrorsHideALocationThatCannotBeParsed(t *testing.T) {
	for _, location := range []string{"http://u:hunter2@b.test:port/?token=hunter2", "http://b.test:hunter2/", "/%zz?hunter2"} {
		_, err := newClient(t, ply.Options{Transport: redirects(map[string]string{"http://a.test/": location})}).Get(t.Context(), "http://a.test/")
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "Location") {
			t.Errorf("%s: got %v", location, err)
		}
	}
}

func TestUnfollowedRedirectLeavesNoBodyOpen(t *testing.T) {
	var open int
	part := ply.PartFunc("f", "f", -1, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil })
	transport := redirects(map[string]string{"http://a.test/": "/2"})
	c := newClient(t, ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.NoRedirects()}})
	for _, do := range []func(*http.Request) (*http.Response, error){c.Do, c.HTTPClient().Do} {
		req, err := c.NewRequest(t.Context(), http.MethodPut, "http://a.test/", ply.BodyMultipart(part))
		require.NoError(t, err)
		get := req.GetBody
		req.GetBody = func() (io.ReadCloser, error) {
			rc, err := get()
			open++
			return &onClose{rc, func() { open-- }}, err
		}
		require.NoError(t, ply.Discard(do(req)))
		if open != 0 {
			t.Errorf("%d bodies are open", open)
		}
	}
}

type onClose struct {
	io.ReadCloser
	closed func()
}

func (o *onClose) Close() error { o.closed(); return o.ReadCloser.Close() }

func TestHistoryIsKept(t *testing.T) {
	transport := countdown()
	resp := get(t, newClient(t, ply.Options{Transport: transport}), "http://a.test/2")
	var got []string
	for _, r := range ply.History(resp) {
		got = append(got, r.Request.URL.Path+" "+r.Status)
	}
	if diff := cmp.Diff([]string{"/2 302 Found", "/1 302 Found"}, got); diff != "" {
		t.Error(diff)
	}
	if resp.Request.Response == nil || resp.Request.Response.Request.URL.Path != "/1" {
		t.Error("resp.Request.Response is not the redirect before it")
	}
}

func TestCookiesOfAHopReachTheJarAndTheNextHop(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/login" {
			return reply(r, http.StatusSeeOther, http.Header{"Location": {"/home"}, "Set-Cookie": {"session=1; Path=/"}}, "")
		}
		return nil
	}}
	var inside []string
	c := newClient(t, ply.Options{Transport: transport, Jar: jar, Use: []ply.Middleware{func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			inside = append(inside, r.Method+" "+r.URL.Path+" "+r.Header.Get("Cookie"))
			return next.RoundTrip(r)
		})
	}}})
	resp, err := c.Post(t.Context(), "http://a.test/login", ply.BodyString("x"))
	require.NoError(t, err)
	resp.Body.Close()
	if diff := cmp.Diff([]string{"POST /login ", "GET /home session=1"}, inside); diff != "" {
		t.Errorf("exchange layers saw (-want +got)\n%s", diff)
	}
	if got := jar.Cookies(&url.URL{Scheme: "http", Host: "a.test", Path: "/"}); len(got) != 1 {
		t.Errorf("the jar has %v", got)
	}
}

// aiohttp calls this requote_redirect_url: a Location is escaped before it is requested.
func TestLocationIsEscaped(t *testing.T) {
	for location, want := range map[string]string{
		"/a b?q=ü":      "http://a.test/a%20b?q=%C3%BC",
		"?q=a b+c%20d":  "http://a.test/?q=a%20b+c%20d",
		`/?q="<x>"`:     "http://a.test/?q=%22%3Cx%3E%22",
		"/ü":            "http://a.test/%C3%BC",
		"/a%20b%2Fc":    "http://a.test/a%20b%2Fc",
		"http://B.test": "http://B.test",
	} {
		transport := redirects(map[string]string{"http://a.test/": location})
		get(t, newClient(t, ply.Options{Transport: transport}), "http://a.test/")
		if got := transport.last().URL; got != want {
			t.Errorf("%s: got %s, want %s", location, got, want)
		}
	}
}

// A redirect that drops the content drops the fields that describe it, too (RFC 9110 §15.4).
func TestContentFieldsOverRedirects(t *testing.T) {
	content := http.Header{
		"Content-Type": {"a/b"}, "Content-Encoding": {"x"}, "Content-Language": {"de"}, "Content-Location": {"/x"}, "Content-Digest": {"sha-256=:x:"},
		"Content-Md5": {"x"}, "content-disposition": {"x"}, "Digest": {"x"}, "Repr-Digest": {"x"}, "Last-Modified": {"x"}, "Etag": {`"x"`}, "Expect": {"100-continue"},
	}
	tests := []struct {
		method, body string
		status       int
		keeps        bool
	}{
		{"POST", "x", 301, false},
		{"POST", "x", 302, false},
		{"POST", "x", 303, false},
		{"PUT", "x", 303, false},
		{"DELETE", "", 303, false},
		{"GET", "x", 302, false},
		{"POST", "x", 307, true},
		{"PUT", "x", 308, true},
	}
	for _, tt := range tests {
		transport := &recorder{respond: func(r *http.Request) *http.Response {
			switch r.URL.Path {
			case "/old":
				return reply(r, tt.status, http.Header{"Location": {"/then"}}, "")
			case "/then": // net/http copies the fields of the first request for each hop
				return reply(r, 307, http.Header{"Location": {"/new"}}, "")
			}
			return nil
		}}
		c := newClient(t, ply.Options{Transport: transport})
		req, err := http.NewRequest(tt.method, "http://a.test/old", strings.NewReader(tt.body))
		require.NoError(t, err)
		req.Header = content.Clone()
		req.Header.Set("Accept", "a/b")
		require.NoError(t, ply.Discard(c.Do(req)))
		for _, hop := range transport.got[1:] {
			for name := range content {
				if _, kept := hop.Header[name]; kept != tt.keeps {
					t.Errorf("%s, %d: %s is kept on %s: %v", tt.method, tt.status, name, hop.URL, kept)
				}
			}
			if hop.Header.Get("Accept") != "a/b" {
				t.Error("Accept is lost")
			}
		}
	}
}

func TestMethodAndBodyOverRedirects(t *testing.T) {
	for status, want := range map[int]string{301: "GET ", 302: "GET ", 303: "GET ", 307: "PUT x", 308: "PUT x"} {
		transport := &recorder{respond: func(r *http.Request) *http.Response {
			if r.URL.Path == "/old" {
				return reply(r, status, http.Header{"Location": {"/new"}}, "")
			}
			return nil
		}}
		c := newClient(t, ply.Options{Transport: transport})
		resp, err := c.Put(t.Context(), "http://a.test/old", ply.BodyString("x"))
		require.NoError(t, err)
		resp.Body.Close()
		if got := transport.last().Method + " " + transport.last().Body; got != want {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
	}
}

package ply_test

import (
	"bytes"
	"errors"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

// cookiesAs returns the ways to send a cookie: an option, a default, and a jar.
func cookiesAs(t *testing.T, c *http.Cookie) map[string]func(transport ply.Handler) (*http.Response, error) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	jar.SetCookies(&url.URL{Scheme: "http", Host: "a.test"}, []*http.Cookie{c})
	do := func(o ply.Options, opts ...ply.RequestOption) (*http.Response, error) {
		client, err := ply.New(o)
		if err != nil {
			return nil, err
		}
		return client.Get(t.Context(), "http://a.test/", opts...)
	}
	return map[string]func(ply.Handler) (*http.Response, error){
		"request": func(transport ply.Handler) (*http.Response, error) {
			return do(ply.Options{Transport: transport}, ply.Cookies(c))
		},
		"default": func(transport ply.Handler) (*http.Response, error) {
			return do(ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.Cookies(c)}})
		},
		"jar": func(transport ply.Handler) (*http.Response, error) {
			return do(ply.Options{Transport: transport, Jar: jar})
		},
	}
}

func TestCookieValueIsSentUnchangedOrRefused(t *testing.T) {
	var global bytes.Buffer
	log.SetOutput(&global)
	defer log.SetOutput(os.Stderr)
	for value, want := range map[string]string{
		"":              "n=",
		"abc":           "n=abc",
		`{"a":1}`:       `n={"a":1}`,
		`{"a":1,"b":2}`: `n={"a":1,"b":2}`,
		"a b, c":        "n=a b, c",
		`a\b`:           `n=a\b`,
		"Grüße":         "n=Grüße",
		"a=b&c==":       "n=a=b&c==",
		"a;b":           "",
		"a\nb":          "",
		"a\r\nX: y":     "",
		"a\x00b":        "",
		"a\tb":          "",
		"a\x7fb":        "",
		" a":            "",
		"a ":            "",
	} {
		for as, send := range cookiesAs(t, &http.Cookie{Name: "n", Value: value}) {
			transport := &recorder{}
			err := ply.Discard(send(transport))
			var oe *ply.OptionError
			if want == "" {
				if !errors.As(err, &oe) || len(transport.got) != 0 || len(value) > 2 && strings.Contains(err.Error(), value) {
					t.Errorf("%q as %s: %v, sent %v; want an error that does not quote it", value, as, err, transport.got)
				}
				continue
			}
			if err != nil || transport.last().Header.Get("Cookie") != want {
				t.Errorf("%q as %s: %v, sent %v", value, as, err, transport.got)
			}
		}
	}
	for as, send := range cookiesAs(t, &http.Cookie{Name: "n", Value: " a", Quoted: true}) {
		transport := &recorder{}
		if err := ply.Discard(send(transport)); err != nil || transport.last().Header.Get("Cookie") != `n=" a"` {
			t.Errorf("quoted, as %s: %v, sent %v", as, err, transport.got)
		}
	}
	for _, name := range []string{"", "a b", "a;b", "a=b", "ü", "a\n"} {
		var oe *ply.OptionError
		_, err := newClient(t, ply.Options{}).NewRequest(t.Context(), http.MethodGet, "http://a.test/", ply.Cookies(&http.Cookie{Name: name, Value: "v"}))
		if !errors.As(err, &oe) || oe.Option != "Cookie" {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	if global.Len() > 0 {
		t.Errorf("the global log has %s", &global)
	}
}

func TestOneCookieOfEachNameIsSent(t *testing.T) {
	named := func(value string) ply.RequestOption { return ply.Cookies(&http.Cookie{Name: "s", Value: value}) }
	tests := []struct {
		name     string
		defaults []ply.RequestOption
		jar      map[string]string // by path
		redirect http.Header       // of the answer to /, which leads to /app
		opts     []ply.RequestOption
		want     []string
	}{
		{"jar before default", []ply.RequestOption{named("default")}, map[string]string{"/": "jar"}, nil, nil, []string{"s=jar", "s=jar"}},
		{"request before jar", nil, map[string]string{"/": "jar"}, nil, []ply.RequestOption{named("request")}, []string{"s=request", "s=request"}},
		{"request before default", []ply.RequestOption{named("default")}, nil, nil, []ply.RequestOption{named("request")}, []string{"s=request", "s=request"}},
		{"all three", []ply.RequestOption{named("default")}, map[string]string{"/": "jar"}, nil, []ply.RequestOption{named("request")}, []string{"s=request", "s=request"}},
		{"the jar's for another path", []ply.RequestOption{named("default")}, map[string]string{"/app": "jar"}, nil, nil, []string{"s=default", "s=jar"}},
		{"set on the way, default", []ply.RequestOption{named("default")}, nil, http.Header{"Set-Cookie": {"s=new"}}, nil, []string{"s=default", "s=new"}},
		{"set on the way, request", nil, nil, http.Header{"Set-Cookie": {"s=new"}}, []ply.RequestOption{named("request")}, []string{"s=request", "s=new"}},
		{"deleted on the way", nil, nil, http.Header{"Set-Cookie": {"s=; Max-Age=-1"}}, []ply.RequestOption{named("request")}, []string{"s=request", ""}},
		{"a field given by hand", nil, map[string]string{"/": "jar"}, nil, []ply.RequestOption{ply.SetHeader("Cookie", `a={"x":1}; s=request`)}, []string{`a={"x":1}; s=request`, `a={"x":1}; s=request`}},
		{"two of the jar", []ply.RequestOption{named("default")}, map[string]string{"/": "jar", "/app": "app"}, nil, nil, []string{"s=jar", "s=app; s=jar"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			jar, err := cookiejar.New(nil)
			require.NoError(t, err)
			for path, value := range tt.jar {
				jar.SetCookies(&url.URL{Scheme: "http", Host: "a.test", Path: path}, []*http.Cookie{{Name: "s", Value: value, Path: path}})
			}
			transport := &recorder{respond: func(r *http.Request) *http.Response {
				if r.URL.Path == "/app" {
					return nil
				}
				header := tt.redirect.Clone()
				if header == nil {
					header = http.Header{}
				}
				header.Set("Location", "/app")
				return reply(r, http.StatusFound, header, "")
			}}
			c := newClient(t, ply.Options{Jar: jar, Transport: transport, Defaults: tt.defaults})
			get(t, c, "http://a.test/", tt.opts...)
			var got []string
			for _, s := range transport.got {
				got = append(got, strings.Join(s.Header["Cookie"], "|"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The jar uses the host that a request names (RFC 6265 §5.4), as in net/http.
// White space around the value of a Set-Cookie does not belong to it (RFC 6265 §5.2), and does not keep later requests from being sent.
func TestWhiteSpaceAroundAValueIsNotStored(t *testing.T) {
	for set, want := range map[string]string{"a= x": "a=x", "a=  x y ; Path=/": "a=x y", `a=" x"`: `a=" x"`} {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		origin := plytest.NewOrigin(plytest.Status(200, "Set-Cookie", set), plytest.Status(200))
		c := newClient(t, ply.Options{Jar: jar, Transport: origin})
		for range 2 {
			require.NoError(t, ply.Discard(c.Get(t.Context(), "http://a.test/")))
		}
		if got := origin.Exchanges()[1].Header.Get("Cookie"); got != want {
			t.Errorf("Set-Cookie: %s\nis sent as %q, want %q", set, got, want)
		}
	}
}

func TestJarUsesTheRequestsHost(t *testing.T) {
	jar := jarWith(t, "http://named.test/", "s=1")
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		return reply(r, 200, http.Header{"Set-Cookie": {"t=2"}}, "")
	}}
	c := newClient(t, ply.Options{Jar: jar, Transport: transport})
	get(t, c, "http://10.0.0.1/", ply.SetHeader("Host", "named.test"))
	if got := transport.last().Header.Get("Cookie"); got != "s=1" {
		t.Errorf("sent %q", got)
	}
	if got := jar.Cookies(&url.URL{Scheme: "http", Host: "named.test"}); len(got) != 2 {
		t.Errorf("the jar has %v", got)
	}
}

func TestCookiesAreSentAsGiven(t *testing.T) {
	transport := &recorder{}
	cookie := &http.Cookie{Name: "a", Value: "1"}
	c := newClient(t, ply.Options{Transport: transport, Defaults: []ply.RequestOption{ply.Cookies(nil, cookie)}})
	cookie.Value = "changed"
	get(t, c, "http://a.test/", ply.Cookies(nil))
	if got := transport.last().Header.Get("Cookie"); got != "a=1" {
		t.Errorf("got %q", got)
	}
}

func TestJarCookiesDoNotChangeTheCallersHeader(t *testing.T) {
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

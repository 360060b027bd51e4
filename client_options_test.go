package ply_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestInvalidOptionsAreErrors(t *testing.T) {
	same := func(next ply.Handler) ply.Handler { return &stateful{next, "state"} }
	cacheLike, retryLike := like("cache"), like("retry")
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
		{"auth below a cache", ply.Options{Use: []ply.Middleware{cacheLike, like("auth")}}, "Use", "list auth before cache"},
		{"auth inside retry", ply.Options{Use: []ply.Middleware{retryLike, like("auth")}}, "Use", "list auth before retry"},
		{"sign outside a cache", ply.Options{Use: []ply.Middleware{like("sign"), cacheLike}}, "Use", "list sign after cache"},
		{"sign outside retry", ply.Options{Use: []ply.Middleware{like("sign"), retryLike}}, "Use", "list sign after retry"},
		{"auth around redirects", ply.Options{UseCall: []ply.Middleware{like("auth")}}, "UseCall", "move it to Use"},
		{"sign around redirects", ply.Options{UseCall: []ply.Middleware{like("sign")}}, "UseCall", "move it to Use"},
		{"options of auth", ply.Options{Use: []ply.Middleware{auth.New(auth.Options{})}}, "Use", "Source"},
		{"options of sign", ply.Options{Use: []ply.Middleware{auth.Sign(auth.SignOptions{})}}, "Use", "Signer"},
		{"retry twice", ply.Options{Use: []ply.Middleware{retryLike, plain, retryLike}}, "Use", "multiply"},
		{"credentials across origins", ply.Options{CrossOrigin: []string{"X-Team", "authorization"}}, "CrossOrigin", "Authorization, which never goes"},
		{"retry around redirects", ply.Options{UseCall: []ply.Middleware{retry.New(retry.Options{})}}, "UseCall", "move it to Use"},
		{"options of retry", ply.Options{Use: []ply.Middleware{retry.New(retry.Options{MaxAttempts: -1})}}, "Use", "MaxAttempts"},
		{"hedge twice", ply.Options{Use: []ply.Middleware{like("hedge"), like("hedge")}}, "Use", "multiply"},
		{"hedge around redirects", ply.Options{UseCall: []ply.Middleware{like("hedge")}}, "UseCall", "each hop"},
		{"breaker around redirects", ply.Options{UseCall: []ply.Middleware{like("breaker")}}, "UseCall", "each hop"},
		{"limit around redirects", ply.Options{UseCall: []ply.Middleware{like("limit")}}, "UseCall", "each hop"},
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

func TestRequestOptionsOverrideDefaults(t *testing.T) {
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

func TestDefaultCredentialsGoToTheBaseURLOnly(t *testing.T) {
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

func TestWithoutABaseURLDefaultsGoToTheOriginOfEachRequestAndNotAlongWithItsRedirects(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Status(http.StatusNoContent))
	away := plytest.Reply{Status: http.StatusFound, Header: http.Header{"Location": {"https://evil.test/"}}}
	origin.Paths = map[string][]plytest.Reply{"/away": {away}}
	c := newClient(t, ply.Options{
		Header:    http.Header{"X-Api-Key": {"k"}, "Accept-Language": {"en"}},
		Defaults:  []ply.RequestOption{ply.Bearer("token"), ply.Query("lang", "en")},
		Transport: origin,
	})
	for _, url := range []string{"https://a.test/", "https://b.test/away"} {
		get(t, c, url)
	}
	var got []string
	for _, e := range origin.Exchanges() {
		got = append(got, strings.Join([]string{e.URL.String(), e.Header.Get("X-Api-Key"), e.Header.Get("Authorization"), e.Header.Get("Accept-Language")}, " "))
	}
	want := []string{
		"https://a.test/?lang=en k Bearer token en",
		"https://b.test/away?lang=en k Bearer token en",
		"https://evil.test/   en",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFieldInAnyCaseOverridesADefault(t *testing.T) {
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

func TestCanonicalSpellingOfADefaultWins(t *testing.T) {
	transport := &recorder{}
	for range 20 {
		c := newClient(t, ply.Options{Transport: transport, Header: http.Header{"x-a": {"no"}, "X-A": {"yes"}, "x-A": {"no"}}})
		get(t, c, "http://a.test/")
		if diff := cmp.Diff(http.Header{"X-A": {"yes"}}, transport.last().Header); diff != "" {
			t.Fatal(diff)
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

func TestNetrcCredentialsGoToTheirHostsOnly(t *testing.T) {
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

func TestDefaultExpectIsForRequestsWithABody(t *testing.T) {
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

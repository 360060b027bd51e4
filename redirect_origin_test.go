package ply_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// Only fields that are known to be harmless go to another origin, in every way that a request gets there; unknown fields stay.
func TestOnlyHarmlessFieldsCrossOrigins(t *testing.T) {
	secrets := []string{
		"Fastly-Key", "X-Rapidapi-Key", "X-Shopify-Access-Token", "X-Vault-Token", "Dd-Api-Key", "Dd-Application-Key", "X-Auth-Email", "X-Acme-Login", "X-Team",
		"X-Forwarded-User", "X-Amz-Security-Token", "Circle-Token", "X-Goog-User-Project", "Tracestate", "Baggage", "Origin", "From", "X-Custom",
	}
	harmless := []string{"Accept", "Accept-Language", "Cache-Control", "If-None-Match", "Range", "User-Agent", "Content-Type", "Idempotency-Key", "Traceparent", "X-Correlation-Id"}
	all := make(http.Header)
	for _, name := range append(secrets, harmless...) {
		all[name] = []string{"v"}
	}
	ways := map[string]func(t *testing.T, to string) seen{
		"a redirect": func(t *testing.T, to string) seen {
			transport := redirects(map[string]string{"https://a.test/": to})
			get(t, newClient(t, ply.Options{Transport: transport, Header: all}), "https://a.test/")
			return transport.last()
		},
		"there and back": func(t *testing.T, to string) seen {
			transport := redirects(map[string]string{"https://a.test/": to, to: "https://a.test/3"})
			get(t, newClient(t, ply.Options{Transport: transport, Header: all}), "https://a.test/")
			return transport.last()
		},
		"a default": func(t *testing.T, to string) seen {
			transport := &recorder{}
			get(t, newClient(t, ply.Options{Transport: transport, BaseURL: "https://a.test", Header: all}), to)
			return transport.last()
		},
		"an http.Client": func(t *testing.T, to string) seen {
			transport := redirects(map[string]string{"https://a.test/": to})
			resp, err := newClient(t, ply.Options{Transport: transport, Header: all}).HTTPClient().Get("https://a.test/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return transport.last()
		},
	}
	for name, way := range ways {
		for _, to := range []string{"https://b.test/2", "https://x.a.test/2", "https://a.test:8443/2", "http://a.test/2"} {
			got := way(t, to)
			for _, field := range secrets {
				if _, sent := got.Header[field]; sent {
					t.Errorf("%s to %s takes %s along", name, to, field)
				}
			}
			for _, field := range harmless {
				if got.Header.Get(field) != "v" {
					t.Errorf("%s to %s loses %s", name, to, field)
				}
			}
		}
	}
}

// TestOriginIsSchemeHostAndPort holds redirects to RFC 6454 §5: the default port of a scheme may be given or not.
func TestOriginIsSchemeHostAndPort(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		same     bool
	}{
		{"http://a.test/", "http://a.test:80/2", true},
		{"http://a.test:80/", "http://a.test/2", true},
		{"https://a.test/", "https://a.test:443/2", true},
		{"https://a.test:443/", "https://a.test/2", true},
		{"http://a.test:8080/", "http://a.test:8080/2", true},
		{"http://a.test/", "http://a.test:8080/2", false},
		{"http://a.test/", "http://a.test:443/2", false},
		{"https://a.test/", "https://a.test:80/2", false},
		{"http://a.test/", "https://a.test/2", false},
		{"http://a.test:443/", "https://a.test:443/2", false},
		{"http://a.test/", "http://b.a.test/2", false},
		{"http://a.test/", "http://a.test./2", false},
		{"http://[::1]/", "http://[::1%25eth0]/2", false},
		// Names in Unicode are what net/http connects to: RFC 5891 §4.4, UTS #46.
		{"https://bücher.test/", "https://BÜCHER.test/2", true},
		{"https://bücher.test/", "https://xn--bcher-kva.test:443/2", true},
		{"https://βόλος.test/", "https://βόλοσ.test/2", false},
		{"https://βόλος.test/", "https://xn--nxasmq6b.test/2", false},
		{"https://straße.test/", "https://straẞe.test/2", false},
	} {
		from, err := url.Parse(tt.from)
		if err != nil {
			t.Fatal(err)
		}
		transport := redirects(map[string]string{from.String(): tt.to})
		get(t, newClient(t, ply.Options{Transport: transport}), tt.from, ply.Bearer("token"), ply.SetHeader("X-Api-Key", "key"))
		sent := transport.last().Header
		if len(transport.got) != 2 || (sent.Get("Authorization") != "") != tt.same || (sent.Get("X-Api-Key") != "") != tt.same {
			t.Errorf("from %s to %s: %d requests, the last with %v", tt.from, tt.to, len(transport.got), transport.last().Header)
		}
	}
}

// A 307 keeps the body and the fields that describe it.
func TestBodyAndContentFieldsCrossOrigins(t *testing.T) {
	transport := redirects(map[string]string{"https://a.test/": "https://b.test/"})
	c := newClient(t, ply.Options{Transport: transport})
	if err := ply.Discard(c.Post(t.Context(), "https://a.test/", ply.BodyJSON("x"), ply.SetHeader("Content-Digest", "sha-256=:x:"), ply.SetHeader("X-Signing", "s"))); err != nil {
		t.Fatal(err)
	}
	got := transport.last()
	if got.URL != "https://b.test/" || got.Body != `"x"` || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/json") || got.Header.Get("Content-Digest") == "" {
		t.Errorf("%+v", got)
	}
	if _, sent := got.Header["X-Signing"]; sent {
		t.Error("X-Signing went along")
	}
}

func TestDefaultParametersStayAtTheirOrigin(t *testing.T) {
	transport := &recorder{}
	o := ply.Options{Transport: transport, BaseURL: "https://a.test", Defaults: []ply.RequestOption{ply.Query("key", "k"), ply.Query("lang", "en"), ply.RawQuery("app=1&Lang=x")}}
	for target, want := range map[string]string{
		"/":               "https://a.test/?key=k&lang=en&app=1&Lang=x",
		"https://b.test/": "https://b.test/?lang=en",
	} {
		o.CrossOrigin = []string{"lang"}
		get(t, newClient(t, o), target)
		if got := transport.last().URL; got != want {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
	o.CrossOrigin = nil
	if get(t, newClient(t, o), "https://b.test/?x=1"); transport.last().URL != "https://b.test/?x=1" {
		t.Errorf("got %s", transport.last().URL)
	}
}

func TestCrossOriginLetsNamesOut(t *testing.T) {
	transport := redirects(map[string]string{"https://a.test/": "https://b.test/2"})
	c := newClient(t, ply.Options{Transport: transport, CrossOrigin: []string{"x-team", "X-Api-Key"}})
	get(t, c, "https://a.test/", ply.SetHeader("X-Team", "t"), ply.SetHeader("X-Api-Key", "k"), ply.SetHeader("X-Other", "o"))
	got := transport.last().Header
	if got.Get("X-Team") != "t" || got.Get("X-Api-Key") != "k" || got.Get("X-Other") != "" {
		t.Error(got)
	}
}

func TestCredentialsNeverCrossAnOrigin(t *testing.T) {
	const first = "https://a.test/1"
	tests := []struct {
		name string
		path map[string]string
		last string
		keep bool
	}{
		{"same origin", map[string]string{first: "/2"}, "https://a.test/2", true},
		{"default port spelled out", map[string]string{first: "https://a.test:443/2"}, "https://a.test:443/2", true},
		{"another host", map[string]string{first: "https://b.test/2"}, "https://b.test/2", false},
		{"subdomain", map[string]string{first: "https://x.a.test/2"}, "https://x.a.test/2", false},
		{"another port", map[string]string{first: "https://a.test:8443/2"}, "https://a.test:8443/2", false},
		{"scheme downgrade", map[string]string{first: "http://a.test/2"}, "http://a.test/2", false},
		{"IPv6 zone", map[string]string{first: "https://[fe80::1%25a.test]/2"}, "https://[fe80::1%25a.test]/2", false},
		{"there and on", map[string]string{first: "https://b.test/2", "https://b.test/2": "/3"}, "https://b.test/3", false},
		{"there and back", map[string]string{first: "https://b.test/2", "https://b.test/2": "https://a.test/3"}, "https://a.test/3", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			transport := redirects(tt.path)
			c := newClient(t, ply.Options{Transport: transport, BaseURL: "https://a.test", Header: http.Header{"X-Api-Key": {"k"}}})
			get(t, c, first, ply.Bearer("t"), ply.SetHeader("X-Auth-Token", "t"), ply.Cookies(&http.Cookie{Name: "s", Value: "1"}), ply.SetHeader("Accept-Language", "en"))
			got := transport.last()
			if got.URL != tt.last {
				t.Fatalf("ended at %s", got.URL)
			}
			for _, name := range []string{"Authorization", "X-Auth-Token", "X-Api-Key", "Cookie"} {
				if _, sent := got.Header[name]; sent != tt.keep {
					t.Errorf("%s sent: %v, want %v", name, sent, tt.keep)
				}
			}
			if got.Header.Get("Accept-Language") != "en" {
				t.Error("a harmless field was dropped")
			}
		})
	}
}

func TestCredentialsIgnoreTheResponseRequestOfLayers(t *testing.T) {
	for name, request := range map[string]func(*http.Request) *http.Request{
		"nothing":               func(*http.Request) *http.Request { return nil },
		"a request without URL": func(*http.Request) *http.Request { return &http.Request{} },
		"where a layer sent it": func(r *http.Request) *http.Request {
			sent := r.Clone(r.Context())
			sent.URL.Host = "10.0.0.1"
			return sent
		},
	} {
		var got []http.Header
		c := newClient(t, ply.Options{Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.Header)
			status, to := http.StatusFound, map[string]string{"a.test/1": "/2", "a.test/2": "http://b.test/3", "b.test/3": "http://10.0.0.1/4"}[r.URL.Host+r.URL.Path]
			if to == "" {
				status = http.StatusOK
			}
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {to}}, Body: http.NoBody, Request: request(r)}, nil
		})})
		get(t, c, "http://a.test/1", ply.SetHeader("X-Auth-Token", "t"))
		var sent []bool
		for _, h := range got {
			sent = append(sent, h.Get("X-Auth-Token") != "")
		}
		if diff := cmp.Diff([]bool{true, true, false, false}, sent); diff != "" {
			t.Errorf("responses name %s: %s", name, diff)
		}
	}
}

func TestHostDoesNotCrossOrigins(t *testing.T) {
	transport := redirects(map[string]string{"http://10.0.0.1/1": "/2", "http://10.0.0.1/2": "//b.test/3"})
	c := newClient(t, ply.Options{Transport: transport, Jar: jarWith(t, "http://inside.test/", "s=1")})
	req, err := http.NewRequest(http.MethodGet, "http://10.0.0.1/1", nil)
	require.NoError(t, err)
	req.Host = "inside.test"
	require.NoError(t, ply.Discard(c.Do(req)))
	var got []string
	for _, s := range transport.got {
		got = append(got, s.Host+" "+s.Header.Get("Cookie"))
	}
	if diff := cmp.Diff([]string{"inside.test s=1", "inside.test s=1", " "}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCallersRefererIsTrimmedAcrossOrigins(t *testing.T) {
	for referer, want := range map[string][]string{
		"https://a.test/0?token=hunter2": {"https://a.test/0?token=hunter2", "https://a.test/0?token=hunter2", "https://a.test/", "https://a.test/"},
		"/0?token=hunter2":               {"/0?token=hunter2", "/0?token=hunter2", "", ""},
		"https://a.test:x/hunter2":       {"https://a.test:x/hunter2", "https://a.test:x/hunter2", "", ""},
	} {
		transport := redirects(map[string]string{"https://a.test/1": "/2", "https://a.test/2": "https://b.test/3", "https://b.test/3": "/4"})
		get(t, newClient(t, ply.Options{Transport: transport}), "https://a.test/1", ply.SetHeader("Referer", referer))
		var got []string
		for _, s := range transport.got {
			got = append(got, s.Header.Get("Referer"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", referer, diff)
		}
	}
}

func TestDefaultRefererIsTrimmedAcrossOrigins(t *testing.T) {
	transport := redirects(nil)
	client := newClient(t, ply.Options{Transport: transport, BaseURL: "https://a.test", Header: http.Header{"Referer": {"https://a.test/0?token=hunter2"}}})
	for _, url := range []string{"/1", "https://b.test/2"} {
		get(t, client, url)
	}
	var got []string
	for _, s := range transport.got {
		got = append(got, s.Header.Get("Referer"))
	}
	if diff := cmp.Diff([]string{"https://a.test/0?token=hunter2", "https://a.test/"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefererAcrossOriginsIsAnOrigin(t *testing.T) {
	transport := redirects(map[string]string{"https://a.test/1?token=hunter2": "https://b.test/2", "https://b.test/2": "/3"})
	get(t, newClient(t, ply.Options{Transport: transport}), "https://a.test/1?token=hunter2")
	var got []string
	for _, s := range transport.got {
		got = append(got, s.Header.Get("Referer"))
	}
	if diff := cmp.Diff([]string{"", "https://a.test/", "https://b.test/2"}, got); diff != "" {
		t.Error(diff)
	}
}

package ply_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply"
)

// What goes to another origin is known to be harmless, by whatever way it gets there; a name that nobody has thought of stays.
func TestOnlyTheHarmlessCrossesOrigins(t *testing.T) {
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

// A body goes along with a 307, and what describes it.
func TestTheBodyCrossesOriginsWithItsDescription(t *testing.T) {
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

package cachelint_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/cachelint"
)

var received = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) string { return received.Add(d).Format(http.TimeFormat) }

// exchange reads "METHOD URL; field: value; … -> STATUS; field: value; …". A Date is there unless the response says otherwise with "Date: none".
func exchange(t *testing.T, s string) cachelint.Exchange {
	t.Helper()
	asked, answered, ok := strings.Cut(s, " -> ")
	if !ok {
		t.Fatalf("no answer in %q", s)
	}
	first, request := headerOf(asked)
	method, target, _ := strings.Cut(first, " ")
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	status, response := headerOf(answered)
	code, err := strconv.Atoi(status)
	if err != nil {
		t.Fatal(err)
	}
	switch response.Get("Date") {
	case "":
		response.Set("Date", at(0))
	case "none":
		response.Del("Date")
	}
	return cachelint.Exchange{Request: &http.Request{Method: method, URL: u, Header: request}, Response: &http.Response{StatusCode: code, Header: response}, Received: received}
}

func headerOf(s string) (first string, h http.Header) {
	h = http.Header{}
	parts := strings.Split(s, " ; ")
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, ":")
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return strings.TrimSpace(parts[0]), h
}

// get is an exchange of GET, with the fields of its response.
func get(response string) string { return "GET https://h/a -> 200 ; " + response }

// valid are fields that no rule has anything against.
const valid = `ETag: "1" ; `

func lifetimeAnd(more string) string { return valid + "Cache-Control: max-age=60" + more }

// Each rule, where it is broken and where something close to it is not.
var rules = map[string]struct{ broken, kept [][]string }{
	"malformed-directive": {
		broken: one(get(valid+"Cache-Control: max-age=1h"), get(valid+"Cache-Control: max-age =60"), get(valid+"Cache-Control: max-age=60, s-maxage=-1"), get(valid+`Cache-Control: max-age=60, private="a`)),
		kept:   one(get(lifetimeAnd(`, no-cache="set-cookie"`)), get(valid+`Cache-Control: max-age="60"`), get(lifetimeAnd(", community=UCI"))),
	},
	"misspelled-directive": {
		broken: one(get(lifetimeAnd(", nocache")), get(valid+"Cache-Control: no-cache, s-max-age=1")),
		kept:   one(get(lifetimeAnd(", no-transform, x-unknown=1"))),
	},
	"repeated-directive": {
		broken: one(get(valid+"Cache-Control: max-age=60 ; Cache-Control: max-age=0"), get(lifetimeAnd(", max-age=60"))),
		kept:   one(get(valid + "Cache-Control: max-age=60 ; Cache-Control: s-maxage=60")),
	},
	"no-store-contradicted": {
		broken: one(get("Cache-Control: no-store, max-age=60"), get("Cache-Control: public, no-store")),
		kept:   one(get("Cache-Control: no-store, max-age=0, no-cache, must-revalidate"), get(valid+"Cache-Control: no-store, must-understand, max-age=60")),
	},
	"private-contradicted": {
		broken: one(get(lifetimeAnd(", private, public")), get(lifetimeAnd(", private, s-maxage=60"))),
		kept:   one(get(lifetimeAnd(", private")), get(lifetimeAnd(`, private="a", s-maxage=60`)), get(lifetimeAnd(", private, s-maxage=0"))),
	},
	"immutable-contradicted": {
		broken: one("GET https://h/app.0123abcd.js -> 200 ; "+valid+"Cache-Control: immutable, no-cache, max-age=60", "GET https://h/app.0123abcd.js -> 200 ; "+valid+"Cache-Control: immutable"),
		kept:   one("GET https://h/app.0123abcd.js -> 200 ; Cache-Control: immutable, max-age=60"),
	},
	"stale-window-contradicted": {
		broken: one(get(lifetimeAnd(", must-revalidate, stale-while-revalidate=60")), get(valid+"Cache-Control: no-cache, stale-if-error=60")),
		kept: one(get(lifetimeAnd(", stale-while-revalidate=60")), get(lifetimeAnd(", must-revalidate, stale-if-error=0")), get(lifetimeAnd(", proxy-revalidate, stale-if-error=60")),
			get(lifetimeAnd(`, no-cache="set-cookie", stale-if-error=60`)), get("Cache-Control: no-store, must-revalidate, stale-if-error=60")),
	},
	"request-directive": {
		broken: one(get(lifetimeAnd(", max-stale=10")), get(lifetimeAnd(", only-if-cached"))),
		kept:   one(get(lifetimeAnd(", no-cache"))),
	},
	"must-understand-alone": {
		broken: one(get(lifetimeAnd(", must-understand"))),
		kept:   one(get(lifetimeAnd(", must-understand, no-store"))),
	},
	"pragma-only": {
		broken: one(get(valid + "Pragma: no-cache")),
		kept:   one(get(valid + "Cache-Control: no-cache ; Pragma: no-cache")),
	},
	"no-freshness": {
		broken: one(get("X: 1"), get(valid)),
		kept:   one(get(valid+"Cache-Control: no-cache"), "GET https://h/a -> 500 ; X: 1", "HEAD https://h/a -> 200 ; X: 1"),
	},
	"heuristic-freshness": {
		broken: one(get("Last-Modified: "+at(-1000*time.Hour)), get("Cache-Control: public ; Last-Modified: "+at(-1000*time.Hour))),
		kept:   one(get("Cache-Control: no-cache ; Last-Modified: "+at(-1000*time.Hour)), get("Cache-Control: max-age=0 ; Last-Modified: "+at(-1000*time.Hour))),
	},
	"expires-invalid": {
		broken: one(get(valid+"Expires: 0"), get(valid+"Expires: tomorrow"), get(valid+"Expires: "+at(time.Hour)+" ; Expires: "+at(2*time.Hour))),
		kept:   one(get(valid+"Expires: "+at(time.Hour)), get(lifetimeAnd(" ; Expires: 0")), get("Cache-Control: no-store ; Expires: 0"), get(valid+"Cache-Control: no-cache ; Expires: -1")),
	},
	"expires-without-date": {
		broken: one(get(valid + "Date: none ; Expires: " + at(time.Hour))),
		kept:   one(get(valid+"Expires: "+at(time.Hour)), get(lifetimeAnd(" ; Date: none ; Expires: "+at(time.Hour)))),
	},
	"expires-contradicts-max-age": {
		broken: one(get(lifetimeAnd(" ; Expires: " + at(time.Hour)))),
		kept: one(get(lifetimeAnd(" ; Expires: "+at(61*time.Second))), get("Cache-Control: no-store, max-age=0 ; Expires: "+at(time.Hour)), get(valid+"Cache-Control: max-age=0 ; Expires: "+at(-1000*time.Hour)),
			get(valid+"Cache-Control: max-age=600 ; Age: 300 ; Expires: "+at(300*time.Second))),
	},
	"stale-on-arrival": {
		broken: one(get(lifetimeAnd(" ; Age: 61"))),
		kept:   one(get(lifetimeAnd(" ; Age: 59")), get(valid+"Cache-Control: max-age=0, s-maxage=100 ; Age: 50"), get(valid+"Cache-Control: no-cache ; Age: 50")),
	},
	"permanent-redirect-forever": {
		broken: one("GET https://h/a -> 301 ; Location: /b", "GET http://h/a -> 301 ; Location: https://www.h/a", "GET https://h/a -> 308 ; Location: /b ; Cache-Control: public"),
		kept: one("GET https://h/a -> 301 ; Location: /b ; Cache-Control: max-age=60", "GET https://h/a -> 302 ; Location: /b", "GET https://h/a -> 301 ; Location: /b ; Cache-Control: no-store",
			"GET http://h/a?q=1 -> 301 ; Location: https://h/a?q=1"),
	},
	"error-cached": {
		broken: one("GET https://h/a -> 500 ; Cache-Control: max-age=3600", "GET https://h/a -> 404 ; Cache-Control: max-age=36000"),
		kept:   one("GET https://h/a -> 503 ; Cache-Control: max-age=10", "GET https://h/a -> 404 ; Cache-Control: max-age=300", "GET https://h/a -> 500 ; Cache-Control: no-store, max-age=0"),
	},
	"immutable-without-fingerprint": {
		broken: one("GET https://h/app.js -> 200 ; Cache-Control: max-age=60, immutable", "GET https://h/assets/main.css -> 200 ; Cache-Control: max-age=60, immutable",
			"GET https://h/assets/the-big-main.css -> 200 ; Cache-Control: max-age=60, immutable", "GET https://h/application-bundles/main.js -> 200 ; Cache-Control: max-age=60, immutable"),
		kept: one("GET https://h/app.js?v=2 -> 200 ; Cache-Control: max-age=60, immutable", "GET https://h/app.3f2a9c1b.js -> 200 ; Cache-Control: max-age=60, immutable",
			"GET https://h/lib/1.2.3/lib.js -> 200 ; Cache-Control: max-age=60, immutable", "GET https://h/assets/index-BqX_yZkw.js -> 200 ; Cache-Control: max-age=60, immutable",
			"GET https://h/assets/app-QWERTYUIOP.css -> 200 ; Cache-Control: max-age=60, immutable", "GET https://h/assets/app-f9Qz-x_1.js -> 200 ; Cache-Control: max-age=60, immutable", "GET https://h/_next/static/KxHqLmZbWqPtYvRs/_buildManifest.js -> 200 ; Cache-Control: max-age=60, immutable",
			"GET https://h/_next/static/chunks/4f6a1e3b7c9d0258.js -> 200 ; Cache-Control: max-age=60, immutable"),
	},
	"no-validator": {
		broken: one(get("Cache-Control: max-age=60"), get("Cache-Control: no-cache"), get("Expires: "+at(time.Hour))),
		kept:   one(get("Cache-Control: max-age=60 ; Last-Modified: "+at(-time.Hour)), get("Cache-Control: no-store"), "GET https://h/a -> 404 ; Cache-Control: max-age=60", get("Cache-Control: no-cache ; Content-Type: text/event-stream; charset=utf-8")),
	},
	"etag-malformed": {
		broken: one(get("ETag: abc ; Cache-Control: max-age=60"), get(`ETag: W/abc ; Cache-Control: max-age=60`), get(`ETag: "a" ; ETag: "b" ; Cache-Control: max-age=60`)),
		kept:   one(get(`ETag: W/"abc" ; Cache-Control: max-age=60`), get(`ETag: "" ; Cache-Control: max-age=60`)),
	},
	"last-modified-invalid": {
		broken: one(get("Cache-Control: max-age=60 ; Last-Modified: yesterday")),
		kept:   one(get("Cache-Control: max-age=60 ; Last-Modified: Sunday, 06-Nov-94 08:49:37 GMT")),
	},
	"last-modified-in-future": {
		broken: one(get("Cache-Control: max-age=60 ; Last-Modified: " + at(time.Hour))),
		kept:   one(get("Cache-Control: max-age=60 ; Last-Modified: " + at(0))),
	},
	"vary-star": {
		broken: one(get(lifetimeAnd(" ; Vary: *"))),
		kept:   one(get("Cache-Control: no-store ; Vary: *")),
	},
	"vary-user-agent": {
		broken: one(get(lifetimeAnd(" ; Vary: Accept-Encoding, user-agent"))),
		kept:   one(get(lifetimeAnd(", private ; Vary: User-Agent")), get("Cache-Control: no-store ; Vary: User-Agent")),
	},
	"vary-cookie": {
		broken: one(get(lifetimeAnd(" ; Vary: Cookie"))),
		kept:   one(get(lifetimeAnd(", private ; Vary: Cookie")), get(valid+"Cache-Control: no-cache ; Vary: Cookie")),
	},
	"encoding-without-vary": {
		broken: one("GET https://h/a ; Accept-Encoding: gzip -> 200 ; " + lifetimeAnd(" ; Content-Encoding: gzip")),
		kept: one("GET https://h/a ; Accept-Encoding: gzip -> 200 ; "+lifetimeAnd(" ; Content-Encoding: gzip ; Vary: accept-encoding"), "GET https://h/a ; Accept-Encoding: gzip -> 200 ; "+lifetimeAnd(" ; Content-Encoding: identity"),
			"GET https://h/a ; Accept-Encoding: gzip -> 200 ; Cache-Control: no-store ; Content-Encoding: gzip", "GET https://h/a.tgz -> 200 ; "+lifetimeAnd(" ; Content-Encoding: gzip")),
	},
	"cors-origin-without-vary": {
		broken: one("GET https://h/a ; Origin: https://o -> 200 ; " + lifetimeAnd(" ; Access-Control-Allow-Origin: https://o")),
		kept: one("GET https://h/a ; Origin: https://o -> 200 ; "+lifetimeAnd(" ; Access-Control-Allow-Origin: *"), "GET https://h/a ; Origin: https://o -> 200 ; "+lifetimeAnd(" ; Vary: Origin ; Access-Control-Allow-Origin: https://o"),
			"GET https://h/a -> 200 ; "+lifetimeAnd(" ; Access-Control-Allow-Origin: https://o"), "GET https://h/a ; Origin: https://o -> 200 ; Cache-Control: no-store ; Access-Control-Allow-Origin: https://o"),
	},
	"set-cookie-shared": {
		broken: one(get(lifetimeAnd(", public ; Set-Cookie: a=secret")), get(lifetimeAnd(", s-maxage=60 ; Set-Cookie: a=secret"))),
		kept:   one(get(lifetimeAnd(", private ; Set-Cookie: a=secret")), get("Cache-Control: no-store ; Set-Cookie: a=secret"), get(lifetimeAnd(" ; Set-Cookie: a=secret"))),
	},
	"surrogate-control-leaks": {
		broken: one(get(lifetimeAnd(" ; Surrogate-Control: max-age=3600"))),
		kept:   one(get(lifetimeAnd(" ; CDN-Cache-Control: max-age=3600"))),
	},
	"cdn-cache-control-malformed": {
		broken: one(get(lifetimeAnd(" ; CDN-Cache-Control: Max-Age=\"60, x"))),
		kept:   one(get(lifetimeAnd(" ; CDN-Cache-Control: max-age=60, no-store"))),
	},
	"connection-names-caching-field": {
		broken: one(get(lifetimeAnd(" ; Connection: close, cache-control"))),
		kept:   one(get(lifetimeAnd(" ; Connection: keep-alive"))),
	},
	"vary-inconsistent": {
		broken: [][]string{{get(lifetimeAnd("")), get(lifetimeAnd(" ; Vary: Accept"))}},
		kept:   [][]string{{get(lifetimeAnd(" ; Vary: Accept, Origin")), get(lifetimeAnd(" ; Vary: origin ; Vary: accept"))}, {get(lifetimeAnd("")), "GET https://h/b -> 200 ; " + lifetimeAnd(" ; Vary: Accept")}},
	},
	"vary-many-values": {
		broken: [][]string{times(4, "GET https://h/a ; Accept-Language: l%d -> 200 ; "+lifetimeAnd(" ; Vary: Accept-Language"))},
		kept: [][]string{times(3, "GET https://h/a ; Accept-Language: l%d -> 200 ; "+lifetimeAnd(" ; Vary: Accept-Language")), times(9, "GET https://h/a ; Accept-Language: l%d -> 200 ; "+lifetimeAnd(" ; Vary: Accept")),
			times(4, "GET https://h/a ; Accept-Language: l%d -> 200 ; "+valid+"Cache-Control: no-cache ; Vary: Accept-Language")},
	},
	"cors-origin-differs": {
		broken: [][]string{{get(lifetimeAnd(" ; Access-Control-Allow-Origin: https://a")), get(lifetimeAnd(" ; Access-Control-Allow-Origin: https://b"))}},
		kept:   [][]string{{get(lifetimeAnd(" ; Vary: Origin ; Access-Control-Allow-Origin: https://a")), get(lifetimeAnd(" ; Vary: Origin ; Access-Control-Allow-Origin: https://b"))}},
	},
	"head-differs": {
		broken: [][]string{{get(lifetimeAnd("")), `HEAD https://h/a -> 200 ; ETag: "2" ; Cache-Control: max-age=60`}, {get(lifetimeAnd("")), `HEAD https://h/a -> 200 ; ETag: "1"`}},
		kept: [][]string{{get(lifetimeAnd(" ; Content-Length: 3")), "HEAD https://h/a -> 200 ; " + lifetimeAnd("")}, {get(lifetimeAnd("")), "HEAD https://h/a -> 405 ; Allow: GET"},
			{get(lifetimeAnd("")), `GET https://h/a -> 200 ; ETag: "2" ; Cache-Control: max-age=60`, `HEAD https://h/a -> 200 ; ETag: "2" ; Cache-Control: max-age=60`}},
	},
	"cdn-never-hits": {
		broken: [][]string{times(3, "GET https://h/a ; X: %d -> 200 ; "+lifetimeAnd(" ; Cache-Status: edge; fwd=bypass"))},
		kept:   [][]string{times(2, "GET https://h/a ; X: %d -> 200 ; "+lifetimeAnd(" ; Cache-Status: edge; fwd=bypass")), append(times(3, "GET https://h/a ; X: %d -> 200 ; "+lifetimeAnd(" ; Cache-Status: edge; fwd=uri-miss")), get(lifetimeAnd(" ; Cache-Status: edge; hit")))},
	},
	"304-changes-etag": {
		broken: one(`GET https://h/a ; If-None-Match: "1" -> 304 ; ETag: "2"`),
		kept:   one(`GET https://h/a ; If-None-Match: "1", "2" -> 304 ; ETag: "2"`, `GET https://h/a ; If-None-Match: W/"1" -> 304 ; ETag: "1"`, `GET https://h/a ; If-None-Match: * -> 304 ; ETag: "1"`),
	},
	"304-without-etag": {
		broken: [][]string{{get(lifetimeAnd("")), `GET https://h/a ; If-None-Match: "1" -> 304 ; Cache-Control: max-age=60`}},
		kept:   [][]string{{get(lifetimeAnd("")), `GET https://h/a ; If-None-Match: "1" -> 304 ; ETag: "1"`}},
	},
	"condition-ignored": {
		broken: one(`GET https://h/a ; If-None-Match: "1" -> 200 ; `+lifetimeAnd(""), `GET https://h/a ; If-None-Match: "1-gzip" -> 200 ; ETag: "1-gzip" ; Cache-Control: max-age=60`,
			"GET https://h/a ; If-Modified-Since: "+at(-time.Hour)+" -> 200 ; Cache-Control: max-age=60 ; Last-Modified: "+at(-time.Hour)),
		kept: one(`GET https://h/a ; If-None-Match: "0" -> 200 ; `+lifetimeAnd(""), "GET https://h/a ; If-Modified-Since: "+at(-2*time.Hour)+" -> 200 ; Cache-Control: max-age=60 ; Last-Modified: "+at(-time.Hour)),
	},
	"etag-shared-by-encodings": {
		broken: [][]string{{plain(`"1"`), zipped(`"1"`)}},
		kept:   [][]string{{plain(`"1"`), zipped(`"1-gzip"`)}, {plain(`W/"1"`), zipped(`W/"1"`)}},
	},
	"etag-weakened-by-encoding": {
		broken: [][]string{{zipped(`W/"1"`), plain(`"1"`)}},
		kept:   [][]string{{plain(`W/"1"`), zipped(`W/"1"`)}, {plain(`"1"`), zipped(`W/"2"`)}},
	},
	"encoding-drops-etag": {
		broken: [][]string{{plain(`"1"`), varied + "Content-Encoding: gzip ; Last-Modified: " + at(-time.Hour)}},
		kept:   [][]string{{plain(`"1"`), zipped(`"2"`)}},
	},
	"etag-unstable": {
		broken: [][]string{{dated(`"1"`, 5), dated(`"2"`, 5)}},
		kept:   [][]string{{dated(`"1"`, 5), dated(`"1"`, 5)}, {dated(`"1"`, 5), dated(`"2"`, 6)}},
	},
}

const varied = "GET https://h/a ; Accept-Encoding: gzip -> 200 ; Cache-Control: max-age=60 ; Vary: Accept-Encoding ; "

func plain(tag string) string  { return varied + "ETag: " + tag }
func zipped(tag string) string { return varied + "Content-Encoding: gzip ; ETag: " + tag }

func dated(tag string, length int) string {
	return get(fmt.Sprintf("Cache-Control: max-age=60 ; ETag: %s ; Content-Length: %d ; Last-Modified: %s", tag, length, at(-time.Hour)))
}

// one makes cases of one exchange each.
func one(exchanges ...string) (cases [][]string) {
	for _, e := range exchanges {
		cases = append(cases, []string{e})
	}
	return cases
}

// times makes n exchanges, with their number in place of %d.
func times(n int, format string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

func lint(t *testing.T, exchanges []string) (findings []cachelint.Finding, names []string) {
	t.Helper()
	var all []cachelint.Exchange
	for _, e := range exchanges {
		all = append(all, exchange(t, e))
	}
	findings = cachelint.Lint(all...)
	for _, f := range findings {
		names = append(names, f.Rule)
	}
	return findings, names
}

func TestEachRuleFindsWhatBreaksItAndNothingClose(t *testing.T) {
	known := map[string]bool{}
	for _, r := range cachelint.Rules() {
		known[r.Name] = true
		if r.Section == "" || r.Remedy == "" || r.Severity == "" || len(rules[r.Name].broken) == 0 || len(rules[r.Name].kept) == 0 {
			t.Errorf("%s lacks a section, a remedy, a severity or cases", r.Name)
		}
	}
	for name, cases := range rules {
		if !known[name] {
			t.Errorf("there is no rule %s", name)
		}
		t.Run(name, func(t *testing.T) {
			for _, exchanges := range cases.broken {
				findings, names := lint(t, exchanges)
				if !slices.Contains(names, name) {
					t.Errorf("not found in %q, but %q", exchanges, names)
				}
				for _, f := range findings {
					if f.Text == "" || f.Evidence == "" || f.Section == "" || strings.Contains(f.Evidence, "secret") {
						t.Errorf("a finding lacks something, or shows too much: %+v", f)
					}
				}
			}
			for _, exchanges := range cases.kept {
				if findings, names := lint(t, exchanges); slices.Contains(names, name) {
					t.Errorf("found in %q: %+v", exchanges, findings)
				}
			}
		})
	}
}

// Origins that do it well, by the books of nginx, CDNs, APIs and frameworks: nothing is found in them.
func TestWellBehavedOriginsHaveNoFindings(t *testing.T) {
	for name, exchanges := range map[string][]string{
		"a page that is validated": {get(valid + "Cache-Control: no-cache"), `GET https://h/a ; If-None-Match: "1" -> 304 ; ETag: "1" ; Cache-Control: no-cache`},
		"an asset with a hash":     {"GET https://h/static/app.9f86d081.js ; Accept-Encoding: br -> 200 ; " + valid + "Cache-Control: public, max-age=31536000, immutable ; Content-Encoding: br ; Vary: Accept-Encoding"},
		"an API for one user":      {"GET https://h/me ; Authorization: Bearer x -> 200 ; " + valid + "Cache-Control: private, max-age=30 ; Vary: Authorization"},
		"what must not be kept":    {get("Cache-Control: no-store"), get("Cache-Control: no-store, no-cache, must-revalidate, max-age=0 ; Pragma: no-cache ; Expires: 0 ; Set-Cookie: a=b")},
		"a shared page":            {get(lifetimeAnd(", s-maxage=600, stale-while-revalidate=60, stale-if-error=3600"))},
		"Expires and max-age":      {get(lifetimeAnd(" ; Expires: " + at(time.Minute)))},
		"errors, redirects": {"GET https://h/b -> 404 ; Cache-Control: no-store", "GET https://h/c -> 503 ; Retry-After: 5", "GET https://h/d -> 302 ; Location: /e",
			"GET https://h/f -> 301 ; Location: /g ; Cache-Control: max-age=3600", "GET https://h/g -> 204 ; Cache-Control: no-store"},
		"other methods": {"POST https://h/a -> 200 ; X: 1", "PUT https://h/a -> 200 ; X: 1"},
		"tags of their own by encoding, HEAD as GET": {plain(`"1"`), zipped(`"1-gzip"`), `HEAD https://h/a ; Accept-Encoding: gzip -> 200 ; Cache-Control: max-age=60 ; Vary: Accept-Encoding ; ETag: "1"`},
		"open to all origins":                        {"GET https://h/font ; Origin: https://o -> 200 ; " + lifetimeAnd(" ; Access-Control-Allow-Origin: *")},
		"a CDN that hits":                            {get(lifetimeAnd(` ; Age: 5 ; CDN-Cache-Control: max-age=600 ; Cache-Status: "edge"; hit; ttl=55`))},
	} {
		if findings, _ := lint(t, exchanges); len(findings) > 0 {
			t.Errorf("%s: %+v", name, findings)
		}
	}
}

// What is no exchange is passed over, and secrets in URLs are not shown.
func TestLintPassesOverWhatIsNoExchangeAndHidesSecrets(t *testing.T) {
	if diff := cmp.Diff([]cachelint.Finding{}, cachelint.Lint(cachelint.Exchange{}, cachelint.Exchange{Request: &http.Request{}, Response: &http.Response{}})); diff != "" {
		t.Error(diff)
	}
	findings, _ := lint(t, []string{"GET https://u:hidden@h/a?access_token=hidden -> 200 ; X: 1"})
	if len(findings) != 1 || strings.Contains(fmt.Sprint(findings), "hidden") {
		t.Errorf("%+v", findings)
	}
}

// Whatever servers write, a finding has its texts, and Lint returns.
func FuzzLint(f *testing.F) {
	for _, cases := range rules {
		f.Add(cases.broken[0][0], cases.kept[0][0])
	}
	f.Add("GET https://h/a -> 200 ; Vary: , ; ETag: W/ ; Cache-Control: max-age=\"", "HEAD https://h/a -> 304 ; Cache-Status: ;;; ; Age: -1")
	f.Fuzz(func(t *testing.T, a, b string) {
		var all []cachelint.Exchange
		for _, s := range []string{a, b} {
			asked, answered, _ := strings.Cut(s, " -> ")
			_, request := headerOf(asked)
			first, response := headerOf(answered)
			status, _ := strconv.Atoi(first)
			all = append(all, cachelint.Exchange{Request: &http.Request{URL: &url.URL{Host: "h"}, Header: request}, Response: &http.Response{StatusCode: status, Header: response}, Received: received})
		}
		for _, finding := range cachelint.Lint(all...) {
			if finding.Text == "" || finding.Section == "" || finding.Remedy == "" || finding.Rule == "" {
				t.Errorf("%+v", finding)
			}
		}
	})
}

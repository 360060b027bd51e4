package rfc9111

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
	"github.com/plyhttp/ply/redact"
)

// readPlainly reads a request as [ask.read] does, without any shortcut: the whole header is searched for each field.
func readPlainly(m Mode, r *http.Request, p *Policy) *Request {
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	there := func(wanted string) (lines []string, present bool) {
		for _, name := range names {
			if strings.EqualFold(name, wanted) && len(name) == len(wanted) { // no other letter folds to one of ours in one byte
				lines, present = append(lines, r.Header[name]...), true
			}
		}
		return lines, present
	}
	a := &Request{Head: r.Method == "HEAD", Mode: m}
	control, _ := there("Cache-Control")
	a.Directives = field.ParseRequest(control)
	pragma, _ := there("Pragma")
	a.Pragma = field.PragmaNoCache(pragma) && !a.Directives.Present
	a.noneMatch, _ = there("If-None-Match")
	a.modifiedSince, _ = there("If-Modified-Since")
	a.Ranges, _ = there("Range")
	a.ifRange, _ = there("If-Range")
	_, match := there("If-Match")
	_, unmodified := there("If-Unmodified-Since")
	a.precondition = match || unmodified
	upgrade, _ := there("Upgrade")
	a.upgrade = len(upgrade) > 0
	a.Credentials = r.URL.User != nil
	for _, name := range names {
		a.Credentials = a.Credentials || redact.IsSecretHeader(name)
	}
	for _, name := range [...]string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Tunnel-Method"} {
		_, override := there(name)
		a.Override = a.Override || override
	}
	a.classify(r, p)
	return a
}

// answeredPlainly is the header of an answer, put together field by field.
func answeredPlainly(e *stored.Entry, age time.Duration, status string) http.Header {
	h := e.Header.Map()
	h["Age"] = []string{strconv.Itoa(int(age / time.Second))}
	h[cachestatus.Field] = append(h[cachestatus.Field], status)
	return h
}

// sameWays fails if the short ways through a request differ from the long ones.
func sameWays(t *testing.T, p *Policy, m Mode, r *http.Request, e *stored.Entry, now time.Time) {
	t.Helper()
	short, long := ReadRequest(m, r, p), readPlainly(m, r, p)
	says := fmt.Sprintf("mode %v, %s %v, stored %v", m, r.Method, r.Header, e.Header.Map())
	if short.Bypass != long.Bypass || short.Credentials != long.Credentials || short.MayStore() != long.MayStore() {
		t.Fatalf("%s: %+v, want %+v", says, short, *long)
	}
	key := &stored.HashKey{1}
	f := &Lookup{Fwd: cachestatus.FwdURIMiss}
	if e != nil {
		f = &Lookup{Fwd: cachestatus.FwdVary, Variants: &stored.Variants{Entries: []*stored.Entry{e}}}
		f.Entry = Select(f.Variants, &short, r, key)
		if best := Select(f.Variants, long, r, key); best != f.Entry {
			t.Fatalf("%s: selected %v, want %v", says, f.Entry, best)
		}
	}
	got, wanted := Decide(&short, f, now), Decide(long, f, now) // long is never plain
	if got != wanted {
		t.Fatalf("%s: %+v, want %+v", says, got, wanted)
	}
	if f.Entry == nil {
		return
	}
	if one, other := Shaped(&short, f.Entry, now), Shaped(long, f.Entry, now); one != other {
		t.Fatalf("%s: shape %+v, want %+v", says, one, other)
	}
	stamp := stored.HitFields(f.Entry.Age(now), f.Entry.FreshFor(now))
	status := cachestatus.Status{Hit: true, TTL: f.Entry.TTL(now), HasTTL: true}.String()
	resp := f.Entry.Response(r, false, stamp.Age, stamp.Status, stored.Form{})
	if diff := cmp.Diff(answeredPlainly(f.Entry, f.Entry.Age(now), status), resp.Header); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", says, diff)
	}
}

// choosers are what a random request is made of.
var (
	askedNames = []string{
		"Cache-Control", "Pragma", "If-None-Match", "If-Modified-Since", "Range", "If-Range", "If-Match", "If-Unmodified-Since", "Upgrade",
		"Authorization", "Cookie", "Accept", "Accept-Language", "Cookie2", "Praxis", "X-Api-Key", "X-Vault-Token", "Proxy-Authorization", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-HTTP-Methodic", "Rangy", "Iffy-Match", "X-Authorizatio", "Content-Lengthy", "",
	}
	askedValues = []string{
		"", " ", "no-cache", "no-store", "max-age=0", "max-age=60", "max-age=1000000", "min-fresh=5", "min-fresh=1000000", "max-stale", "max-stale=10",
		"only-if-cached", "stale-if-error=10", "no-cache, max-stale", `"a"`, `W/"a"`, `"b"`, "*", date(0), date(-1000), "bytes=0-1", "bytes=2-", "bytes=9-",
		"bytes=-2", "bytes=0-1,3-4", "items=0-1", "en", "fr", "websocket",
	}
	storedFields = [...]string{
		"Cache-Control: max-age=100", "Cache-Control: max-age=100, no-cache", "Cache-Control: max-age=100, immutable", "Cache-Control: no-cache", "Cache-Control: max-age=10, stale-while-revalidate=20",
		"Cache-Control: max-age=10, must-revalidate", "Cache-Control: max-age=100 | Vary: Accept-Language", "Cache-Control: max-age=100 | Cache-Status: cdn; hit",
		"Last-Modified: " + date(-1000),
	}
)

func randomCase(random *rand.Rand, s string) string {
	if random.IntN(2) == 0 {
		return s
	}
	b := []byte(s)
	for i := range b {
		if letter := b[i] | 0x20; 'a' <= letter && letter <= 'z' && random.IntN(2) == 0 {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

func randomRequest(random *rand.Rand) *http.Request {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	r := &http.Request{
		Method: pick([]string{"GET", "GET", "GET", "", "HEAD", "QUERY", "POST"}), Header: http.Header{},
		URL: &url.URL{Scheme: pick([]string{"http", "HTTPS", "https"}), Host: pick([]string{"h", "H:80", "[::1]:443", ""}), Path: pick([]string{"", "/", "/a b", "/a/../b", "/.c"})},
	}
	if random.IntN(10) == 0 {
		r.URL.User = url.User("u")
	}
	for range random.IntN(4) {
		var lines []string
		for range random.IntN(3) {
			lines = append(lines, pick(askedValues))
		}
		r.Header[randomCase(random, pick(askedNames))] = lines
	}
	return r
}

// What most requests take is a short way. For every request, whatever its fields are called and however often they are there, it leads where the long way leads.
func TestFastPathsEqualTheFullRules(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		r := randomRequest(random)
		var e *stored.Entry
		if fields := random.IntN(len(storedFields) + 1); fields < len(storedFields) {
			e, _ = entryOf(200, storedFields[fields]+` | Etag: "a" | Date: `+date(0), "Accept-Language: en", private)
			if random.IntN(5) == 0 {
				e.Part = &stored.ContentRange{First: 0, Last: 4, Complete: 10}
			}
		} else {
			e, _ = entryOf(200, `Etag: W/"a"`, "", private)
		}
		sameWays(t, private, Mode(random.IntN(int(ModeDisabled)+1)), r, e, at(random.IntN(130)))
	}
}

// FuzzFastPaths is the same with fields of any name and value.
func FuzzFastPaths(f *testing.F) {
	f.Add("cache-CONTROL", "no-cache", "Range", "bytes=0-1", uint8(0), 5)
	f.Add("COOKIE", "", "\u212aookie", "a", uint8(0), 500)
	f.Add("pragma", "no-cache", "Pragma", "x", uint8(3), 50)
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string, n uint8, seconds int) {
		if strings.Count(value1, `"`)%2 == 1 || strings.Count(value2, `"`)%2 == 1 || seconds < 0 || seconds > 1e9 {
			return // what an open quote does to the lines behind it depends on their order, which a map does not keep
		}
		r := newRequest("GET", "")
		r.Header[name1] = []string{value1}
		r.Header[name2] = append(r.Header[name2], value2)
		e, _ := entryOf(200, `Cache-Control: max-age=100, stale-while-revalidate=50 | Vary: Accept | Etag: "a" | Last-Modified: `+date(-1000), "", private)
		sameWays(t, private, Mode(n%uint8(ModeDisabled+1)), r, e, at(seconds))
	})
}

package rfc9111

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// FuzzVary: a request selects the response that it got itself; one with another value does only if the two have one normal form.
func FuzzVary(f *testing.F) {
	f.Add("Accept", "a, b", "b,a")
	f.Add("X", "1", "")
	f.Fuzz(func(t *testing.T, name, one, two string) {
		if !validName(name) {
			return
		}
		key := &stored.HashKey{1}
		request := http.Header{http.CanonicalHeaderKey(name): {one}}
		e := &stored.Entry{Selectors: NewSelectors([]string{name}, &http.Request{Header: request}, key)}
		if !Selects(e, &http.Request{Header: request}, key) {
			t.Fatalf("%s: %q does not select its own response", name, one)
		}
		if Selects(e, &http.Request{}, key) {
			t.Fatalf("%s: an absent field selects the response to %q", name, one)
		}
		canonical := http.CanonicalHeaderKey(name)
		other := http.Header{canonical: {two}}
		if Selects(e, &http.Request{Header: other}, key) != (normalise(canonical, []string{one}) == normalise(canonical, []string{two})) {
			t.Fatalf("%s: %q and %q", name, one, two)
		}
		if lines := strings.Split(one, ","); !strings.Contains(one, `"`) && !Selects(e, &http.Request{Header: http.Header{canonical: lines}}, key) && strings.Contains(one, ",") {
			t.Fatalf("%s: %q in lines does not select", name, one)
		}
	})
}

func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-') })
}

// FuzzRange: what is cut out of a stored body is always within it, and is what net/http would say.
func FuzzRange(f *testing.F) {
	f.Add("bytes=0-1", "bytes 0-4/5", int64(5))
	f.Add("bytes=-1", "bytes 4-9/10", int64(5))
	f.Fuzz(func(t *testing.T, asked, kept string, size int64) {
		r, ok := parseRange([]string{asked})
		if !ok || size < 0 || size > 1000 {
			return
		}
		if s, ok := r.of(size); ok && (s.First < 0 || s.Last >= size || s.First > s.Last) {
			t.Fatalf("%q of %d bytes is %v", asked, size, s)
		}
		part, ok := ParseContentRange([]string{kept})
		if !ok {
			return
		}
		if part, ok = part.Holding(size); !ok {
			return
		}
		e := &stored.Entry{Part: &part, Body: stored.Content{Bytes: make([]byte, size)}, Status: 206}
		a := &Request{ranged: true, rng: r}
		if wanted, ok := holds(a, e); ok {
			body := e.Content(nil)
			body.(stored.Narrower).Narrow(wanted.First-e.First(), wanted.Size())
			if got, err := io.ReadAll(body); err != nil || int64(len(got)) != wanted.Size() {
				t.Fatalf("%q of %q: %d bytes for %v: %v", asked, kept, len(got), wanted, err)
			}
		}
	})
}

// FuzzUpdate: a 304 never changes the stored header, nor what describes the stored bytes.
func FuzzUpdate(f *testing.F) {
	f.Add("Content-Encoding", "gzip", "Connection", "X")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		stored := http.Header{"Content-Encoding": {"br"}, "Content-Length": {"5"}, "X": {"1"}}
		merged := FreshenedHeader(stored, http.Header{http.CanonicalHeaderKey(name1): {value1}, http.CanonicalHeaderKey(name2): {value2}}, time.Unix(0, 0))
		for _, h := range []http.Header{stored, merged} {
			if h.Get("Content-Encoding") != "br" || h.Get("Content-Length") != "5" {
				t.Fatalf("%v", h)
			}
		}
		if stored.Get("X") != "1" || merged.Get("Connection") != "" {
			t.Fatalf("stored %v, merged %v", stored, merged)
		}
	})
}

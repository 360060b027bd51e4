package cache

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzVary: a request selects the response that it got itself; one with another value does only if the two have one normal form.
func FuzzVary(f *testing.F) {
	f.Add("Accept", "a, b", "b,a")
	f.Add("X", "1", "")
	f.Fuzz(func(t *testing.T, name, one, two string) {
		if !validName(name) {
			return
		}
		key := &secret{1}
		request := http.Header{http.CanonicalHeaderKey(name): {one}}
		e := &Entry{selectors: newSelectors([]string{name}, &http.Request{Header: request}, key)}
		if !selects(e, &http.Request{Header: request}, key) {
			t.Fatalf("%s: %q does not select its own response", name, one)
		}
		if selects(e, &http.Request{}, key) {
			t.Fatalf("%s: an absent field selects the response to %q", name, one)
		}
		canonical := http.CanonicalHeaderKey(name)
		other := http.Header{canonical: {two}}
		if selects(e, &http.Request{Header: other}, key) != (normalise(canonical, []string{one}) == normalise(canonical, []string{two})) {
			t.Fatalf("%s: %q and %q", name, one, two)
		}
		if lines := strings.Split(one, ","); !strings.Contains(one, `"`) && !selects(e, &http.Request{Header: http.Header{canonical: lines}}, key) && strings.Contains(one, ",") {
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
	f.Fuzz(func(t *testing.T, asked, stored string, size int64) {
		r, ok := parseRange([]string{asked})
		if !ok || size < 0 || size > 1000 {
			return
		}
		if s, ok := r.of(size); ok && (s.first < 0 || s.last >= size || s.first > s.last) {
			t.Fatalf("%q of %d bytes is %v", asked, size, s)
		}
		part, ok := parseContentRange([]string{stored})
		if !ok {
			return
		}
		if part, ok = part.holding(size); !ok {
			return
		}
		e := &Entry{part: &part, body: content{bytes: make([]byte, size)}, status: 206}
		a := &ask{ranged: true, rng: r}
		if wanted, ok := holds(a, e); ok {
			body := &reader{rest: e.body.bytes}
			if body.narrow(wanted.first-e.first(), wanted.size()); int64(len(body.rest)) != wanted.size() {
				t.Fatalf("%q of %q: %d bytes for %v", asked, stored, len(body.rest), wanted)
			}
		}
	})
}

// FuzzCacheStatus: what was read is written so that it is read again, and a member of another cache is never taken for ours.
func FuzzCacheStatus(f *testing.F) {
	f.Add(`ply; hit; ttl=30; detail="a; b"`)
	f.Add(`cdn; hit, ply; fwd=stale`)
	f.Fuzz(func(t *testing.T, member string) {
		s, ok := readStatus(member)
		if !ok {
			return
		}
		s.Fwd = "" // a token that was not ours to write
		again, ok := readStatus(s.String())
		s.Detail, again.Detail = "", ""
		if !ok || again != s {
			t.Fatalf("%q: %+v, then %+v", member, s, again)
		}
	})
}

// FuzzUpdate: a 304 never changes the stored header, nor what describes the stored bytes.
func FuzzUpdate(f *testing.F) {
	f.Add("Content-Encoding", "gzip", "Connection", "X")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		stored := http.Header{"Content-Encoding": {"br"}, "Content-Length": {"5"}, "X": {"1"}}
		merged := freshenedHeader(stored, http.Header{http.CanonicalHeaderKey(name1): {value1}, http.CanonicalHeaderKey(name2): {value2}}, time.Unix(0, 0))
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

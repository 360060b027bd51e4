package rfc9111

import (
	"io"
	"net/http"
	"testing"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// RFC 9110 §14: ranges of a whole response of 5 bytes.
func TestRangesOfAWholeResponse(t *testing.T) {
	const etag = `ETag: "a" | Last-Modified: `
	for _, test := range []struct {
		name, request string
		status        int
		contentRange  string
	}{
		{"first bytes", "Range: bytes=0-1", 206, "bytes 0-1/5"},
		{"open", "Range: bytes=1-", 206, "bytes 1-4/5"},
		{"suffix", "Range: bytes=-2", 206, "bytes 3-4/5"},
		{"suffix longer than the whole", "Range: bytes=-9", 206, "bytes 0-4/5"},
		{"beyond the end", "Range: bytes=3-99", 206, "bytes 3-4/5"},
		{"unit in capitals", "Range: BYTES=0-0", 206, "bytes 0-0/5"},
		{"not satisfiable", "Range: bytes=5-", 416, ""},
		{"empty suffix", "Range: bytes=-0", 416, ""},
		{"If-Range with the tag", `Range: bytes=0-1 | If-Range: "a"`, 206, "bytes 0-1/5"},
		{"If-Range with another tag", `Range: bytes=0-1 | If-Range: "b"`, 0, ""},
		{"If-Range with a weak tag", `Range: bytes=0-1 | If-Range: W/"a"`, 0, ""},
		{"If-Range with the date", `Range: bytes=0-1 | If-Range: ` + date(-100), 206, "bytes 0-1/5"},
		{"If-Range with another date", `Range: bytes=0-1 | If-Range: ` + date(-99), 0, ""},
		{"the condition comes first", `Range: bytes=0-1 | If-None-Match: "a"`, 304, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := entryOf(200, "Cache-Control: max-age=60 | Date: "+date(0)+" | "+etag+date(-100), "", private)
			got := Shaped(asks(test.request), e, t0)
			if got.Status != test.status || test.contentRange != "" && got.Part.String() != test.contentRange {
				t.Errorf("%d %s, want %d %s", got.Status, got.Part, test.status, test.contentRange)
			}
		})
	}
	nothing := &stored.Entry{Status: 200, Header: http.Header{}}
	for request, want := range map[string]int{"Range: bytes=-5": 0, "Range: bytes=-0": 416, "Range: bytes=0-": 416} {
		if got := Shaped(asks(request), nothing, t0); got.Status != want {
			t.Errorf("%s of nothing: %d, want %d", request, got.Status, want)
		}
	}
	for _, lines := range [][]string{{"bytes=1"}, {"bytes=-"}, {"bytes=2-1"}, {"bytes=a-b"}, {"lines=0-1"}, {"bytes=0-1,2-3"}, {"bytes 0-1"}, {"bytes=0-1", "bytes=2-3"}, {"bytes=+1-2"}, {"bytes=0-99999999999999999999"}} {
		if r, ok := parseRange(lines); ok {
			t.Errorf("%q is read as %+v", lines, r)
		}
	}
}

// RFC 9110 §14.4: Content-Range, and what its bytes really are.
func TestContentRange(t *testing.T) {
	for _, test := range []struct {
		line string
		size int64
		want string
	}{
		{"bytes 0-4/10", 5, "bytes 0-4/10"}, {"bytes 0-4/*", 5, "bytes 0-4/*"}, {"BYTES 0-4/10", 5, "bytes 0-4/10"},
		{"bytes 4-9/10", 5, "bytes 4-8/9"}, {"bytes 0-5/10", 5, "bytes 0-4/10"},
		{"bytes 0-4/10", 6, ""}, {"bytes 0-4/10", 0, ""}, {"bytes 4-0/10", 5, ""}, {"bytes 0-10/10", 11, ""}, {"bytes */10", 5, ""}, {"bytes 0-4", 5, ""}, {"x", 5, ""},
	} {
		s, ok := ParseContentRange([]string{test.line})
		if ok {
			s, ok = s.Holding(test.size)
		}
		if ok != (test.want != "") || ok && s.String() != test.want {
			t.Errorf("%q with %d bytes is %s, %v, want %q", test.line, test.size, s, ok, test.want)
		}
	}
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

package cache

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
)

// RFC 9111 §4.4: the URIs that an unsafe request makes invalid.
func TestInvalidatedURIsOfUnsafeRequests(t *testing.T) {
	r := requestOf("POST", "")
	uri := func(path string) []invalidation.Tag {
		u := *requestOf("GET", "")
		u.URL = &url.URL{Scheme: "http", Host: "h", Path: path}
		return rfc9111.URITags(nil, &u)
	}
	for _, test := range []struct {
		name, fields string
		want         []string
	}{
		{"target", "", []string{"/a"}},
		{"Location", "Location: /b", []string{"/a", "/b"}},
		{"both", "Location: http://H:80/b | Content-Location: c", []string{"/a", "/b", "/c"}},
		{"other host", "Location: http://other/b", []string{"/a"}},
		{"other scheme", "Location: https://h/b", []string{"/a"}},
		{"other port", "Location: http://h:8080/b", []string{"/a"}},
		{"malformed", "Location: http://h:x/%zz", []string{"/a"}},
		{"two lines", "Location: /b | Location: /c", []string{"/a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := (&Cache{wholeURI: true}).invalidated(nil, r, headerOf(test.fields))
			var want []invalidation.Tag
			for _, path := range test.want {
				want = append(want, uri(path)...)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tags (-want +got)\n%s", diff)
			}
		})
	}
}

// headerOf makes a header from lines "Name: value", separated by bars.
func headerOf(lines string) http.Header {
	h := make(http.Header)
	for line := range strings.SplitSeq(lines, "|") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	return h
}

func requestOf(method, fields string) *http.Request {
	return &http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: "h", Path: "/a"}, Header: headerOf(fields)}
}

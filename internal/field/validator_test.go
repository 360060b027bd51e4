package field

import (
	"net/http"
	"testing"
)

// The validator for If-Range (RFC 9110 §13.1.5, §8.8.2.2).
func TestRangeValidator(t *testing.T) {
	const modified, secondLater = "Sat, 01 Jan 2000 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:01 GMT"
	for _, tt := range []struct{ etag, modified, date, want string }{
		{`"v1"`, "", "", `"v1"`},
		{`"v1"`, modified, secondLater, `"v1"`},
		{`W/"v1"`, modified, secondLater, ""},
		{"v1", modified, secondLater, ""},
		{"", modified, secondLater, modified},
		{"", modified, modified, ""},
		{"", modified, "", ""},
		{"", modified, "x", ""},
		{"", "x", secondLater, ""},
		{"", "Mon, 01 Jan 0001 00:00:00 GMT", "x", ""},
		{"", "", "", ""},
	} {
		h := http.Header{}
		for name, value := range map[string]string{"Etag": tt.etag, "Last-Modified": tt.modified, "Date": tt.date} {
			if value != "" {
				h.Set(name, value)
			}
		}
		if got := RangeValidator(h); got != tt.want {
			t.Errorf("%v: %q, want %q", h, got, tt.want)
		}
	}
}

package stored

import (
	"net/http"
	"testing"
	"time"
)

// RFC 9110 §15.3.7.3: parts are joined only under one strong tag, and without a gap.
func TestCombiningParts(t *testing.T) {
	part := func(first, last int64, tag string) *Entry {
		e := &Entry{
			Status: 206, Header: http.Header{"Etag": {tag}}, Received: time.Unix(1_700_000_000, 0),
			Part: &ContentRange{First: first, Last: last, Complete: 10}, Body: Content{Bytes: []byte("0123456789")[first : last+1]},
		}
		e.Derive()
		return e
	}
	for _, test := range []struct {
		name string
		a, b *Entry
		want string
	}{
		{"adjacent", part(0, 3, `"a"`), part(4, 6, `"a"`), "bytes 0-6/10 0123456"},
		{"in the other order", part(4, 6, `"a"`), part(0, 3, `"a"`), "bytes 0-6/10 0123456"},
		{"overlapping", part(0, 5, `"a"`), part(2, 8, `"a"`), "bytes 0-8/10 012345678"},
		{"one within the other", part(0, 5, `"a"`), part(2, 3, `"a"`), "bytes 0-5/10 012345"},
		{"a gap", part(0, 3, `"a"`), part(5, 6, `"a"`), ""},
		{"another tag", part(0, 3, `"a"`), part(4, 6, `"b"`), ""},
		{"a weak tag", part(0, 3, `W/"a"`), part(4, 6, `W/"a"`), ""},
		{"no tag", part(0, 3, ``), part(4, 6, ``), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if s, joint, ok := joinRanges(test.a, test.b, 10); ok {
				got = s.String() + " " + string(joint.body(s))
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

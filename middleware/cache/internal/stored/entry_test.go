package stored

import (
	"net/http"
	"testing"
	"time"
)

// RFC 9110 §15.3.7.3: parts are joined only under one strong tag, and without a gap.
func TestJoiningParts(t *testing.T) {
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

// The clock that says longer counts: a machine that slept, or whose clock was set forward, has old responses.
func TestResidentTimeByBothClocks(t *testing.T) {
	now := time.Now()
	e := &Entry{Received: now}
	if got := e.ResidentTime(now.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("wall clock an hour ahead: %v", got)
	}
	if got := e.ResidentTime(now.Add(-time.Hour)); got != 0 {
		t.Errorf("clock an hour back: %v", got)
	}
}

// RFC 9211 §2.4: ttl tells fresh from stale to the last.
func TestTTL(t *testing.T) {
	received := time.Unix(1_700_000_000, 0)
	e := &Entry{Received: received, Rules: Rules{Lifetime: 10 * time.Second}}
	for after, want := range map[time.Duration]int{
		0: 10, 400 * time.Millisecond: 9, 9 * time.Second: 1, 9900 * time.Millisecond: 1, 10 * time.Second: 0, 10100 * time.Millisecond: -1, 12 * time.Second: -2,
	} {
		if got := e.TTL(received.Add(after)); got != time.Duration(want)*time.Second {
			t.Errorf("after %v: %v, want %d s", after, got, want)
		}
	}
}

// No-Vary-Search: which other queries a response answers.
func TestNoVarySearch(t *testing.T) {
	for _, test := range []struct {
		name, line, stored, asked string
		want                      bool
	}{
		{"key-order", "key-order", "a=1&b=2", "b=2&a=1", true},
		{"key-order, order of values", "key-order", "a=1&a=2", "a=2&a=1", false},
		{"params", `params=("a")`, "a=1&b=2", "b=2&a=3", true},
		{"params, one that counts", `params=("a")`, "b=2", "b=3", false},
		{"params, absent", `params=("a")`, "a=1&b=2", "b=2", true},
		{"params, order still counts", `params=("x")`, "a=1&b=2", "b=2&a=1", false},
		{"all params", "params", "a=1", "b=2", true},
		{"all but some", `params, except=("b")`, "a=1&b=2", "b=2", true},
		{"all but some, one that counts", `params, except=("b")`, "b=2", "b=3", false},
		{"encoded name", `params=("a%20b")`, "a+b=1", "a%20b=2", true},
		{"both", `key-order, params=("t")`, "a=1&t=5&b=2", "b=2&a=1&t=6", true},
		{"except without params", `except=("b")`, "a=1", "a=2", false},
		{"malformed", `params=(a)`, "a=1", "a=2", false},
		{"no dictionary", `params, &`, "a=1", "a=2", false},
		{"nothing said", `key-order=?0`, "a=1&b=2", "b=2&a=1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := NewSearchVariance(http.Header{"No-Vary-Search": {test.line}}, test.stored)
			if got := v != nil && v.Covers(test.asked); got != test.want {
				t.Errorf("covers = %v, want %v", got, test.want)
			}
		})
	}
}

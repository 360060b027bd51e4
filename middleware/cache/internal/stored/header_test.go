package stored

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// headers are of all shapes: no field, one, many, long, without lines, with empty ones, and with the names that the cache itself serves.
func headers() map[string]http.Header {
	many := http.Header{}
	for i := range 300 {
		many[fmt.Sprint("X-", i)] = []string{strings.Repeat("v", i), "second"}
	}
	return map[string]http.Header{
		"none":                 nil,
		"empty":                {},
		"one":                  {"A": {"1"}},
		"several lines":        {"A": {"1", "2", "3"}, "B": {"4"}},
		"no lines":             {"A": {}, "B": {"1"}},
		"empty lines":          {"A": {"", ""}, "B": {""}},
		"any bytes":            {"A": {"\x00\xff\n\r", "ü"}},
		"as long as one byte":  {"A": {strings.Repeat("v", 127)}, strings.Repeat("N", 127): {"1"}},
		"too long for a byte":  {"A": {strings.Repeat("v", 128)}, strings.Repeat("N", 128): {"1"}},
		"too long for two":     {"A": {strings.Repeat("v", 1<<14)}, "B": {strings.Repeat("v", 1<<20)}},
		"many":                 many,
		"Age and Cache-Status": {"A": {"1"}, "Cache-Status": {"origin; hit", "edge"}, "Z": {"1"}},
	}
}

func TestHeaderHasTheFieldsItWasMadeOf(t *testing.T) {
	for name, h := range headers() {
		stored := NewHeader(h)
		if diff := cmp.Diff(h, stored.Map(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		if stored.Len() != len(h) {
			t.Errorf("%s: %d fields, want %d", name, stored.Len(), len(h))
		}
		lines := 0
		for field, want := range h {
			lines += len(want)
			if got := stored.Lines(field); !slices.Equal(got, want) || !stored.Has(field) || stored.Get(field) != http.Header(map[string][]string{"A": want}).Get("A") {
				t.Errorf("%s: %s: %q, %t, %q", name, field, got, stored.Has(field), stored.Get(field))
			}
		}
		if stored.lineCount() != lines {
			t.Errorf("%s: %d lines, want %d", name, stored.lineCount(), lines)
		}
		if stored.Has("Absent") || stored.Get("Absent") != "" || stored.Lines("Absent") != nil {
			t.Errorf("%s: has a field that is absent", name)
		}
		var names []string
		for name := range stored.All() {
			names = append(names, name)
		}
		if !slices.IsSorted(names) {
			t.Errorf("%s: fields in the order %q", name, names)
		}
	}
}

func TestHeaderIsServedWithAgeAndCacheStatus(t *testing.T) {
	for name, h := range headers() {
		stored := NewHeader(h)
		want := h.Clone()
		if want == nil {
			want = http.Header{}
		}
		want["Age"] = []string{"7"}
		want["Cache-Status"] = append(want["Cache-Status"], "ply; hit")
		got := stored.served(make([]string, stored.lineCount()+2), "7", "ply; hit")
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
		for field, lines := range got {
			_ = append(lines, "appended")
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s: a line appended to %s runs into another field (-want +got)\n%s", name, field, diff)
			}
		}
	}
}

func TestHeaderAllStopsWhenTold(t *testing.T) {
	n := 0
	for range NewHeader(http.Header{"A": {"1"}, "B": {"2"}}).All() {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d fields", n)
	}
}

// What a Header has taken in is its own: neither the map nor its slices are kept, and those of Map are the caller's.
func TestHeaderSharesNothing(t *testing.T) {
	h := http.Header{"A": {"1"}}
	stored := NewHeader(h)
	h["A"][0] = "changed"
	stored.Map()["A"][0] = "changed, too"
	if got := stored.Get("A"); got != "1" {
		t.Errorf("A: %s", got)
	}
}

// The usual lines are made once, whatever line they came in, and any other is kept as it came.
func TestStatusLineKeepsNothingElse(t *testing.T) {
	line := strings.Clone("HTTP/1.1 200 OK")
	usual := NewStatusLine(200, "200 OK", "HTTP/1.1", 1, 1)
	if n := testing.AllocsPerRun(10, func() {
		if NewStatusLine(200, line[9:], line[:8], 1, 1) != usual {
			t.Error("a usual line is made again")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for _, reason := range []string{"200 OK", "200 Fine", ""} {
		for _, p := range []StatusLine{{"", "HTTP/1.1", 1, 1, false}, {"", "HTTP/2.0", 2, 0, false}, {"", "HTTP/1.1", 2, 0, false}, {"", "HTTP/9.9", 9, 9, false}, {"", "", 0, 0, false}} {
			for _, status := range []int{200, 404, 299, 0, -1, 599, 600, 999} {
				got, want := NewStatusLine(status, reason, p.Proto, p.Major, p.Minor), p
				want.Reason, want.shared = reason, got.shared
				if *got != want {
					t.Errorf("%d %q of %+v: %+v", status, reason, p, *got)
				}
			}
		}
	}
}

package field

import (
	"net/http"
	"testing"
	"time"
)

// RFC 9110 §5.6.7: three formats and no other; RFC 9111 §4.2: in any case, and only in GMT.
func TestDate(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
		"SUN, 06 nov 1994 08:49:37 gMt", "Sun Nov 06 08:49:37 1994", "Mon, 06 Nov 1994 08:49:37 GMT",
	} {
		if got, ok := Date(s, now); !ok || !got.Equal(want) {
			t.Errorf("Date(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 08:49:37 +0000", "Sun, 06 Nov 94 08:49:37 GMT",
		"Sun 06 Nov 1994 08:49:37 GMT", "Sun, 06  Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT", "Sun, 06 Nov 1994 08.49.37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Xxx 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Thu, 31 Feb 1994 23:59:59 GMT", "Thu, 31 Feb 1994 23:59:60 GMT", "Mon Feb 29 23:59:59 1993", "Sunday, 30-Feb-94 00:00:00 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun Nov 06 08:49:37 1994 GMT", "1994-11-06T08:49:37Z",
		"Sun, 06 Nov 199: 08:49:37 GMT", "Sun, 06 Nov 199/ 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GXT",
		"Sunday, 06-Nov-94 08:49:37 UTC", "Sunday, 06", "Sunday", "Sun Nov 06 08:49:37 199x",
		"Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT", " Sun, 06 Nov 1994 08:49:37 GMT",
	} {
		if got, ok := Date(s, now); ok {
			t.Errorf("Date(%q) = %v, want none", s, got)
		}
	}
	if got, _ := Date("Thursday, 18-Aug-50 02:01:18 GMT", now); got.Year() != 2050 {
		t.Errorf("year 50 seen from 2026 is %d, want 2050", got.Year())
	}
	if got, _ := Date("Friday, 18-Aug-77 02:01:18 GMT", now); got.Year() != 1977 {
		t.Errorf("year 77 seen from 2026 is %d, want 1977: it would be more than 50 years ahead", got.Year())
	}
	for _, test := range []struct {
		line, now string
		want      int
	}{
		{"Saturday, 31-Oct-76 00:00:00 GMT", "2026-11-01", 2076},
		{"Monday, 02-Nov-76 00:00:01 GMT", "2026-11-01", 1976},
		{"Sunday, 01-Nov-76 00:00:00 GMT", "2026-11-01", 2076},
		{"Sunday, 01-Nov-76 00:00:01 GMT", "2026-11-01", 1976},
		{"Friday, 01-Jan-00 00:00:00 GMT", "2099-12-31", 2100},
		{"Tuesday, 29-Feb-00 00:00:00 GMT", "2099-12-31", 2000},
	} {
		seenFrom, _ := time.Parse(time.DateOnly, test.now)
		if got, ok := Date(test.line, seenFrom); !ok || got.Year() != test.want {
			t.Errorf("%s seen from %s is of %d, %v, want %d (RFC 9110 §5.6.7)", test.line, test.now, got.Year(), ok, test.want)
		}
	}
	if got, ok := Date("Tuesday, 29-Feb-00 00:00:00 GMT", time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)); ok {
		t.Errorf("29 February of a year 00, seen from 2100, is %v, want none: 2100 has no such day, and 2000 is not in reach", got)
	}
	if got, ok := Date("Sat, 31 Dec 2016 23:59:60 GMT", now); !ok || !got.Equal(time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a leap second is %v, %v, want the beginning of the next minute", got, ok)
	}
	if got, ok := DateField([]string{" Sun, 06 Nov 1994 08:49:37 GMT\t"}, now); !ok || !got.Equal(want) {
		t.Errorf("a line with white space around it is %v, %v, want %v", got, ok, want)
	}
	if _, ok := DateField(nil, now); ok {
		t.Error("no line is no date")
	}
	if _, ok := DateField([]string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"}, now); ok {
		t.Error("two lines are no date")
	}
}

// FuzzDate: a date that is read is one of the formats, written again it is the same instant, and the standard library agrees.
func FuzzDate(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT")
	f.Add("Sunday, 06-Nov-94 08:49:37 GMT")
	f.Add("Sun Nov  6 08:49:37 1994")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Date(s, now)
		if !ok {
			return
		}
		again, ok := Date(got.Format(http.TimeFormat), now)
		if got.Year() > 0 && got.Year() <= 9999 && (!ok || !again.Equal(got)) {
			t.Fatalf("%q is %v, and written again %v", s, got, again)
		}
		if std, err := http.ParseTime(s); err == nil && len(s) != len("Sunday, 06-Nov-94 08:49:37 GMT") && s[3] == ',' && !std.Equal(got) {
			t.Fatalf("%q is %v, the standard library says %v", s, got, std)
		}
	})
}

package stored

import (
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"io"
	"net/http"
	"testing"
	"time"
)

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

func TestEntryFreshness(t *testing.T) {
	at := func(second int) time.Time { return time.Unix(1_700_000_000+int64(second), 0) }
	e := &Entry{Received: at(0), InitialAge: 3 * time.Second, Rules: Rules{Lifetime: 10 * time.Second}}
	if e.Age(at(4)) != 7*time.Second || e.FreshFor(at(4)) != 3*time.Second || !e.Expires().Equal(at(7)) || e.FreshFor(at(9)) != -2*time.Second {
		t.Errorf("age %v, left %v, expires %v", e.Age(at(4)), e.FreshFor(at(4)), e.Expires())
	}
	sliding := &Entry{Received: at(0), InitialAge: 3 * time.Second, Rules: Rules{Lifetime: 10 * time.Second, Sliding: true}}
	if got := sliding.FreshFor(at(4)); got != 3*time.Second {
		t.Errorf("before any use: %v", got)
	}
	sliding.Touch(at(4))
	if sliding.FreshFor(at(4)) != 7*time.Second || !sliding.Expires().Equal(at(11)) || sliding.Age(at(4)) != 7*time.Second {
		t.Errorf("after a use: %v, until %v", sliding.FreshFor(at(4)), sliding.Expires())
	}
	if old := (&Entry{Received: at(0), InitialAge: Longest}); old.Age(at(10)) != Longest {
		t.Errorf("age %v", old.Age(at(10)))
	}
}

func TestEntryUses(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	e := &Entry{}
	e.Touch(now)
	e.Touch(now.Add(touchEvery))
	if e.Used.Load() != now.UnixNano() {
		t.Error("a use is recorded again too soon")
	}
	e.Touch(now.Add(touchEvery + 1))
	if e.Used.Load() != now.Add(touchEvery+1).UnixNano() {
		t.Error("a later use is not recorded")
	}
}

// RFC 9111 §4: the most recent response by Date, and within one second by its receipt.
func TestEntryNewerThan(t *testing.T) {
	of := func(date, received int64) *Entry {
		return &Entry{Date: time.Unix(date, 0), Received: time.Unix(received, 0)}
	}
	for _, test := range []struct {
		a, b *Entry
		want bool
	}{{of(2, 0), of(1, 5), true}, {of(1, 5), of(2, 0), false}, {of(1, 5), of(1, 4), true}, {of(1, 4), of(1, 5), false}, {of(1, 4), of(1, 4), false}} {
		if got := test.a.NewerThan(test.b); got != test.want {
			t.Errorf("%v, %v: %v", test.a.Date.Unix(), test.b.Date.Unix(), got)
		}
	}
}

// What an entry derives from its header, and what it is charged with.
func TestEntryDerives(t *testing.T) {
	received := time.Unix(1_700_000_000, 0)
	e := &Entry{Received: received, Header: http.Header{"Etag": {`W/"a"`}, "Last-Modified": {"Tue, 14 Nov 2023 00:00:00 GMT"}, "Date": {"Tue, 14 Nov 2023 01:00:00 GMT"}}}
	e.Derive()
	if e.Etag.Opaque != `"a"` || !e.Etag.Weak || e.Modified.Unix() != 1_699_920_000 || e.Date.Unix() != 1_699_923_600 || !e.HasValidator() {
		t.Errorf("%+v, %v, %v", e.Etag, e.Modified, e.Date)
	}
	undated := &Entry{Received: received}
	undated.Derive()
	if !undated.Date.Equal(received) || undated.HasValidator() || undated.Size != entryOverhead {
		t.Errorf("%v, %d bytes", undated.Date, undated.Size)
	}
	for name, more := range map[string]struct {
		e    *Entry
		want int
	}{
		"URL":      {&Entry{URL: "http://h"}, 8},
		"method":   {&Entry{Method: "QUERY"}, 5},
		"field":    {&Entry{Header: http.Header{"A": {"12", "3"}}}, 1 + fieldOverhead + 2 + 16 + 1 + 16},
		"trailer":  {&Entry{Trailer: http.Header{"A": {"12"}}}, 1 + fieldOverhead + 2 + 16},
		"selector": {&Entry{Selectors: []Selector{{Name: "A", Value: "12", Raw: "345"}}}, 1 + 2 + 3 + 64},
		"tags":     {&Entry{Tags: make([]invalidation.Tag, 2)}, 2 * invalidation.TagOverhead},
	} {
		more.e.Derive()
		if got := more.e.Size - entryOverhead; got != int64(more.want) {
			t.Errorf("%s is charged with %d, want %d", name, got, more.want)
		}
	}
}

func TestEntryReuseAfterWaitingAndClockChanges(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		rules Rules
		want  bool
	}{{Rules{Lifetime: time.Second}, true}, {Rules{}, false}, {Rules{Lifetime: time.Second, NoCache: true}, false}} {
		if got := (&Entry{Rules: test.rules}).AnswersWaiters(); got != test.want {
			t.Errorf("%+v answers waiters: %v", test.rules, got)
		}
	}
	e := &Entry{Received: now}
	if e.FromFuture(now.Add(-clockBack)) || !e.FromFuture(now.Add(-clockBack-1)) {
		t.Error("a clock that was set back by more than five minutes")
	}
	var none *Entry
	later := &Entry{Received: now.Add(1)}
	if none.FetchedSince(nil) || !e.FetchedSince(nil) || e.FetchedSince(e) || !later.FetchedSince(e) {
		t.Error("fetched since")
	}
	for rules, want := range map[Rules]bool{{}: true, {NoCache: true}: false, {MustRevalidate: true}: false} {
		if got := rules.MayServeStale(); got != want {
			t.Errorf("%+v may be served stale: %v", rules, got)
		}
	}
}

// RFC 9110 §15.4.5, §14.4, §15.5.17: a stored response as a 304, a part and a 416.
func TestEntryResponses(t *testing.T) {
	e := &Entry{
		Status: 200, Reason: "200 OK", Body: Content{Bytes: []byte("hello")}, Trailer: http.Header{"T": {"1"}},
		Header: http.Header{"Content-Encoding": {"x"}, "Content-Language": {"x"}, "Content-Length": {"5"}, "Content-Type": {"x"}, "Content-Range": {"x"}, "Etag": {`"a"`}},
	}
	e.Derive()
	r := &http.Request{}
	for _, test := range []struct {
		name           string
		head           bool
		form           Form
		status, fields int
		body, part     string
		length         int64
		trailer        bool
	}{
		{"whole", false, Form{}, 200, 8, "hello", "x", 5, true},
		{"HEAD", true, Form{}, 200, 8, "", "x", 5, false},
		{"304", false, Form{Status: 304}, 304, 3, "", "", 0, false},
		{"206", false, Form{Status: 206, Part: ContentRange{1, 3, 5}}, 206, 8, "ell", "bytes 1-3/5", 3, false},
		{"416", false, Form{Status: 416, Part: ContentRange{Complete: 5}}, 416, 5, "", "bytes */5", 0, false},
	} {
		resp := e.Response(r, test.head, "1", "s", test.form)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != test.status || string(body) != test.body || len(resp.Header) != test.fields || resp.ContentLength != test.length || resp.Header.Get("Content-Range") != test.part || (resp.Trailer != nil) != test.trailer {
			t.Errorf("%s: %d %q, %d fields, length %d, %s", test.name, resp.StatusCode, body, len(resp.Header), resp.ContentLength, resp.Header.Get("Content-Range"))
		}
		if resp.Header.Get("Age") != "1" || resp.Header.Get("Cache-Status") != "s" || resp.Request != r {
			t.Errorf("%s: %v", test.name, resp.Header)
		}
	}
	if e.Header.Get("Content-Encoding") == "" || e.First() != 0 || newPart(4, 6, 0).First() != 4 {
		t.Error("the stored header was changed")
	}
}

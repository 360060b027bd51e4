package retry

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/plyhttp/ply/internal/attempt"
	"github.com/plyhttp/ply/redact"
)

// Each field of the options of a request comes before that of the layer, and only those that are set do.
func TestOptionsOfARequestComeFirst(t *testing.T) {
	full := Options{
		MaxAttempts: 1, MaxElapsed: 1, MinAttemptTime: 1, AttemptTimeout: 1, BodyTimeout: 1, MaxRetryAfter: 1, RateLimitReset: true, CoolDown: true,
		BufferBody: 1, Resume: 1, AttemptHeader: "a", Redactor: &redact.Redactor{}, Nested: true, Budget: Unlimited, Rules: []Rule{DefaultRule},
		Backoff: Constant(0), Key: func(*http.Request) string { return "" }, IdempotencyKey: RandomKey, Prepare: func(*http.Request) error { return nil },
	}
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).Kind() == reflect.Func && v.Field(i).IsNil() { // the hooks
			v.Field(i).Set(reflect.MakeFunc(v.Field(i).Type(), func([]reflect.Value) []reflect.Value { return nil }))
		}
		if v.Field(i).IsZero() {
			t.Fatalf("the test sets no %s: add it", name)
		}
		var one Options
		reflect.ValueOf(&one).Elem().Field(i).Set(v.Field(i))
		if got := reflect.ValueOf(one.over(Options{})).Field(i); got.IsZero() {
			t.Errorf("%s of a request has no effect", name)
		}
		if got := reflect.ValueOf(Options{}.over(full)).Field(i); got.IsZero() {
			t.Errorf("%s of the layer is lost for a request without one", name)
		}
	}
}

func TestAttemptHeaderIsAToken(t *testing.T) {
	for name, valid := range map[string]bool{
		"": true, "X-Attempt": true, "a": true, "z": true, "A": true, "Z": true, "0": true, "9": true, "a_b.c-d": true,
		"a b": false, "a/": false, "a:": false, "a@": false, "a[": false, "a`": false, "a{": false, "a\n": false, "é": false,
	} {
		if err := (Options{AttemptHeader: name}).Validate(); (err == nil) != valid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What other layers learn of a call: the attempt that is under way counts.
func TestAttemptRecord(t *testing.T) {
	for _, tt := range []struct {
		call *call
		want attempt.Record
	}{
		{&call{}, attempt.Record{Number: 1}},
		{&call{outcomes: make([]Outcome, 2)}, attempt.Record{Number: 3, Resends: 2}},
		{&call{outcomes: make([]Outcome, 2), hops: 4}, attempt.Record{Number: 3, Resends: 6}},
		{&call{outcomes: make([]Outcome, 2), hops: 4, stop: StopDone}, attempt.Record{Number: 2, Resends: 5, Stop: "done"}},
		{&call{stop: StopCoolDown}, attempt.Record{Stop: string(StopCoolDown)}},
	} {
		tt.call.AttemptRecord()
		if got := tt.call.AttemptRecord(); got != tt.want {
			t.Errorf("got %+v, want %+v", got, tt.want)
		}
	}
}

func TestElapsedIsRounded(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: 0, 123: 123, 1000: 1000, 12345: 12350, 999_999: 1_000_000, 1_000_000: 1_000_000, 1_234_567: 1_230_000,
		time.Second: time.Second, 1234 * time.Millisecond: 1230 * time.Millisecond, time.Second - 1: time.Second,
	} {
		if got := rounded(d); got != want {
			t.Errorf("%d is rounded to %d, want %d", d, got, want)
		}
	}
}

package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/unavailable"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

const digits = "0123456789"

// part answers for the rest of digits, from offset on.
func part(offset int, header ...string) plytest.Reply {
	r := plytest.Text(digits[offset:], header...)
	r.Status = http.StatusPartialContent
	if r.Header.Get("Content-Range") == "" {
		r.Header.Set("Content-Range", fmt.Sprintf("bytes %d-9/10", offset))
	}
	if r.Header.Get("Etag") == "" {
		r.Header.Set("Etag", `"v1"`)
	}
	return r
}

func untagged(r plytest.Reply) plytest.Reply {
	r.Header.Del("Etag")
	return r
}

func broken(after int, header ...string) plytest.Reply {
	return plytest.Reply{Body: digits, Fault: plytest.ResetAfter(after), Header: plytest.Text("", header...).Header}
}

func TestR15ABrokenDownloadContinues(t *testing.T) {
	const tag = `"v1"`
	ranged := []string{"Accept-Ranges", "bytes", "Etag", tag}
	dated := []string{"Accept-Ranges", "bytes", "Date", "Sat, 01 Jan 2000 00:01:00 GMT", "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT"}
	with := func(header []string, more ...string) []string {
		return append(header[:len(header):len(header)], more...)
	}
	cut := func(r plytest.Reply, f plytest.Fault) plytest.Reply { r.Fault = f; return r }
	long := part(4)
	long.Body += "xyz"
	short := part(4, "Content-Range", "bytes 4-6/10")
	short.Body = digits[4:7]
	for _, tt := range []struct {
		name    string
		o       retry.Options
		method  string
		replies []plytest.Reply
		want    string
		ranges  []string
	}{
		{"reset", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Etag", tag)}, digits, []string{"bytes=4-"}},
		{"cut", retry.Options{}, "GET", []plytest.Reply{cut(broken(0, ranged...), plytest.CutAfter(4)), part(4)}, digits, []string{"bytes=4-"}},
		{"before the first byte", retry.Options{}, "GET", []plytest.Reply{broken(0, ranged...), part(0)}, digits, []string{"bytes=0-"}},
		{"by date", retry.Options{}, "GET", []plytest.Reply{broken(4, dated...), untagged(part(4))}, digits, []string{"bytes=4-"}},
		{"unterminated chunks", retry.Options{}, "GET", []plytest.Reply{
			{Body: digits[:4], Fault: plytest.Unterminated(), Header: plytest.Text("", ranged...).Header}, part(4)}, digits, []string{"bytes=4-"}},
		{"twice", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), cut(part(4), plytest.ResetAfter(2)), part(6)}, digits, []string{"bytes=4-", "bytes=6-"}},
		{"after a refusal", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), plytest.Refuse(), part(4)}, digits, []string{"bytes=4-", "bytes=4-"}},
		{"after a 503", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), plytest.Status(503), part(4)}, digits, []string{"bytes=4-", "bytes=4-"}},
		{"stalled", retry.Options{BodyTimeout: time.Second}, "GET", []plytest.Reply{cut(broken(0, ranged...), plytest.StallAfter(4)), part(4)}, digits, []string{"bytes=4-"}},
		{"total unknown", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Range", "bytes 4-9/*")}, digits, []string{"bytes=4-"}},

		{"more than it claims", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), long}, digits, []string{"bytes=4-"}},
		{"a part of the rest", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), short, part(7)}, digits, []string{"bytes=4-", "bytes=7-"}},
		{"end unknown to all", retry.Options{}, "GET", []plytest.Reply{
			{Body: digits[:4], Fault: plytest.Unterminated(), Header: plytest.Text("", ranged...).Header}, part(4, "Content-Range", "bytes 4-9/*")}, "0123", []string{"bytes=4-"}},
		{"changed: another date", retry.Options{}, "GET", []plytest.Reply{broken(4, dated...), untagged(part(4, "Last-Modified", "Sat, 01 Jan 2000 00:00:30 GMT"))}, "0123", []string{"bytes=4-"}},

		{"too often", retry.Options{}, "GET", []plytest.Reply{broken(1, ranged...), cut(part(1), plytest.ResetAfter(1)), cut(part(2), plytest.ResetAfter(1)), cut(part(3), plytest.ResetAfter(1)), part(4)}, "0123", []string{"bytes=1-", "bytes=2-", "bytes=3-"}},
		{"changed or not: no tag", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), untagged(part(4))}, "0123", []string{"bytes=4-"}},
		{"changed: 200", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), plytest.Text("other")}, "0123", []string{"bytes=4-"}},
		{"changed: another tag", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Etag", `"v2"`)}, "0123", []string{"bytes=4-"}},
		{"changed: another length", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Range", "bytes 4-10/11")}, "0123", []string{"bytes=4-"}},
		{"another encoding", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Encoding", "br")}, "0123", []string{"bytes=4-"}},
		{"another part", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Range", "bytes 5-9/10")}, "0123", []string{"bytes=4-"}},
		{"garbled part", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Range", "bytes 4-/10")}, "0123", []string{"bytes=4-"}},
		{"another length, same part", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Range", "bytes 4-9/11")}, "0123", []string{"bytes=4-"}},
		{"200 that claims to be a part", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), plytest.Text(digits[4:], "Content-Range", "bytes 4-9/10")}, "0123", []string{"bytes=4-"}},
		{"several parts", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), part(4, "Content-Range", " ")}, "0123", []string{"bytes=4-"}},
		{"416", retry.Options{}, "GET", []plytest.Reply{broken(4, ranged...), plytest.Status(416)}, "0123", []string{"bytes=4-"}},
		{"budget", retry.Options{Budget: &empty{}}, "GET", []plytest.Reply{broken(4, ranged...), part(4)}, "0123", nil},

		{"weak tag", retry.Options{}, "GET", []plytest.Reply{broken(4, "Accept-Ranges", "bytes", "Etag", `W/"v1"`), part(4)}, "0123", nil},
		{"weak tag and a date", retry.Options{}, "GET", []plytest.Reply{broken(4, with(dated, "Etag", `W/"v1"`)...), part(4)}, "0123", nil},
		{"weak date", retry.Options{}, "GET", []plytest.Reply{broken(4, "Accept-Ranges", "bytes", "Date", "Sat, 01 Jan 2000 00:00:00 GMT", "Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT"), part(4)}, "0123", nil},
		{"no ranges", retry.Options{}, "GET", []plytest.Reply{broken(4, "Etag", tag), part(4)}, "0123", nil},
		{"ranges refused", retry.Options{}, "GET", []plytest.Reply{broken(4, "Accept-Ranges", "none", "Etag", tag), part(4)}, "0123", nil},
		{"POST", retry.Options{}, "POST", []plytest.Reply{broken(4, ranged...), part(4)}, "0123", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, oneByte := range []bool{false, true} {
				bubble(t, func(t *testing.T) {
					tt.o.Resume = 3
					origin := plytest.NewOrigin(tt.replies...)
					resp, err := do(t, tt.o, origin, newRequest(t, tt.method))
					if err != nil {
						t.Fatal(err)
					}
					var r io.Reader = resp.Body
					if oneByte {
						r = iotest.OneByteReader(r)
					}
					got, err := io.ReadAll(r)
					if string(got) != tt.want || (err == nil) != (tt.want == digits) {
						t.Errorf("read %q, %v; want %q", got, err, tt.want)
					}
					if _, again := resp.Body.Read(make([]byte, 1)); (again == io.EOF) != (err == nil) {
						t.Errorf("the end changes from %v to %v", err, again)
					}
					resp.Body.Close()
					var ranges []string
					for _, x := range origin.Exchanges()[1:] {
						ranges = append(ranges, x.Header.Get("Range"))
						if v := x.Header.Get("If-Range"); v != tag && v != "Sat, 01 Jan 2000 00:00:00 GMT" {
							t.Errorf("If-Range: %q", v)
						}
					}
					if diff := cmp.Diff(tt.ranges, ranges); diff != "" {
						t.Errorf("ranges asked for (-want +got)\n%s", diff)
					}
					info, _ := retry.InfoFrom(resp)
					if len(info.Attempts) != origin.Count() {
						t.Errorf("%d attempts noted of %d", len(info.Attempts), origin.Count())
					}
					for i, x := range origin.Exchanges() {
						if x.Status != 0 && !x.BodyClosed {
							t.Errorf("the body of response %d is open", i)
						}
					}
				})
			}
		})
	}
}

// empty is a budget that allows nothing.
type empty struct{}

func (*empty) Allow(string, retry.Outcome) (func(), bool) { return nil, false }
func (*empty) Success(string)                             {}

func TestR15BodiesOfForeignTransports(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name         string
			uncompressed bool
			want         string
		}{
			{"ends early without an error", false, digits},
			{"decompressed on the way", true, "0123"},
		} {
			first := &closes{Reader: strings.NewReader("0123")}
			origin := plytest.NewOrigin(part(4))
			next := roundTripper(func(req *http.Request) (*http.Response, error) {
				if req.Header.Get("Range") != "" {
					if first.n != 1 {
						t.Errorf("%s: the broken body was closed %d times", tt.name, first.n)
					}
					return origin.RoundTrip(req)
				}
				h := http.Header{"Accept-Ranges": {"bytes"}, "Etag": {`"v1"`}}
				return &http.Response{StatusCode: 200, Header: h, ContentLength: 10, Uncompressed: tt.uncompressed, Body: first, Request: req}, nil
			})
			resp, err := do(t, retry.Options{Resume: 1}, next, newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(resp.Body); string(got) != tt.want {
				t.Errorf("%s: read %q, want %q", tt.name, got, tt.want)
			}
			if resp.Body.Close(); first.n != 1 {
				t.Errorf("%s: the first body was closed %d times", tt.name, first.n)
			}
		}
	})
}

func TestR15CloseEndsAResumption(t *testing.T) {
	for name, reply := range map[string]plytest.Reply{"wait": plytest.RetryIn(503, 30*time.Second), "request": plytest.Stall()} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				origin := plytest.NewOrigin(broken(4, "Accept-Ranges", "bytes", "Etag", `"v1"`), reply, part(4))
				resp, err := do(t, retry.Options{Resume: 9}, origin, newRequest(t, "GET"))
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				var readErr error
				done := make(chan struct{})
				go func() { defer close(done); got, readErr = io.ReadAll(resp.Body) }()
				time.Sleep(10 * time.Second)
				start := time.Now()
				resp.Body.Close()
				<-done
				if string(got) != "0123" || readErr == nil || time.Since(start) != 0 {
					t.Errorf("read %q, %v, %s after Close", got, readErr, time.Since(start))
				}
			})
		})
	}
}

func TestCoolDownIsWaitedOutOnceByAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if time.Since(began(t)) < 10*time.Second {
				w.Header().Set("Retry-After", "10")
				w.WriteHeader(429)
			}
		}))
		began(t)
		layer := retry.New(retry.Options{CoolDown: true})(origin)
		first := make(chan struct{})
		go func() {
			defer close(first)
			resp, err := layer.RoundTrip(newRequest(t, "GET"))
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("%v, %v", resp, err)
			}
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		var mu sync.Mutex
		waits := map[time.Duration]bool{}
		for range 100 {
			wg.Go(func() {
				resp, err := layer.RoundTrip(newRequest(t, "POST"))
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("%v, %v", resp, err)
					return
				}
				info, _ := retry.InfoFrom(resp)
				if w := info.Attempts[0].Wait; w < 10*time.Second || w > 11*time.Second || len(info.Attempts) != 1 {
					t.Errorf("attempts %+v", info.Attempts)
				}
				mu.Lock()
				defer mu.Unlock()
				waits[info.Attempts[0].Wait] = true
			})
		}
		wg.Wait()
		<-first
		if len(waits) < 50 {
			t.Errorf("100 calls come back in %d moments", len(waits))
		}
		if origin.Count() != 102 {
			t.Errorf("%d requests for 101 calls and one refusal", origin.Count())
		}
		start := time.Now()
		if _, err := do(t, retry.Options{CoolDown: true}, origin, newRequest(t, "GET")); err != nil || time.Since(start) != 0 {
			t.Errorf("after the cool-down: %v, %s", err, time.Since(start))
		}
	})
}

// began is when the bubble's clock began.
func began(t *testing.T) time.Time {
	t.Helper()
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
}

func TestCoolDownThatDoesNotFitFailsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, tt := range []struct {
			name     string
			asked    time.Duration
			ctx      context.Context
			deadline bool
		}{
			{"caller's deadline", 30 * time.Second, short, true},
			{"more than MaxRetryAfter", time.Hour, t.Context(), false},
		} {
			origin := plytest.NewOrigin(plytest.RetryIn(503, tt.asked))
			layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(origin)
			resp, err := layer.RoundTrip(newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			body := &closes{Reader: strings.NewReader("x")}
			req := newRequest(t, "POST").WithContext(tt.ctx)
			req.Body = body
			_, err = layer.RoundTrip(req)
			var gone *retry.CoolDownError
			if !errors.As(err, &gone) || gone.Key != "example.com" || origin.Count() != 1 || body.n != 1 {
				t.Errorf("%s: %v after %d requests, body closed %d times", tt.name, err, origin.Count(), body.n)
			}
			if down, _ := unavailable.Origin(fmt.Errorf("wrapped: %w", err)); errors.Is(err, context.DeadlineExceeded) != tt.deadline || !down {
				t.Errorf("%s: %#v", tt.name, err)
			}
			other := newRequest(t, "GET")
			other.URL.Host = "example.org"
			if resp, err := layer.RoundTrip(other); err != nil || resp.StatusCode != 503 {
				t.Errorf("%s: another host: %v, %v", tt.name, resp, err)
			}
		}
	})
}

func TestCoolDownIsNotCutShortByAShorterOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Latency: time.Second, Script: []plytest.Reply{plytest.RetryIn(429, 30*time.Second), plytest.RetryIn(503, time.Second), plytest.Text("hello")}}
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(origin)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if resp, err := layer.RoundTrip(newRequest(t, "GET")); err == nil {
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		start := time.Now()
		resp, err := layer.RoundTrip(newRequest(t, "GET"))
		if err != nil || time.Since(start) < 30*time.Second {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		resp.Body.Close()
	})
}

func TestCoolDownCanBeCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1})(plytest.NewOrigin(plytest.RetryIn(429, 30*time.Second)))
		resp, err := layer.RoundTrip(newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err = layer.RoundTrip(newRequest(t, "GET").WithContext(ctx))
		if !errors.Is(err, context.Canceled) || stopOf(t, err) != retry.StopCanceled || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func TestAWaitThatIsCutShortSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		layer := retry.New(retry.Options{Backoff: retry.Constant(time.Minute)})(plytest.NewOrigin(plytest.Status(503)))
		ctx, cancel := context.WithCancelCause(t.Context())
		shutdown := errors.New("the program ends")
		time.AfterFunc(time.Second, func() { cancel(shutdown) })
		_, err := layer.RoundTrip(newRequest(t, "GET").WithContext(ctx))
		if !errors.Is(err, context.Canceled) || !errors.Is(err, shutdown) || stopOf(t, err) != retry.StopCanceled {
			t.Errorf("got %v", err)
		}
	})
}

func TestIdempotencyKeyIsStableOverAttemptsAndHops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/a": {plytest.ResetConnection(), plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Status(503), plytest.Status(303, "Location", "/c")},
		}}
		hc := &http.Client{Transport: retry.New(retry.Options{IdempotencyKey: retry.RandomKey})(origin)}
		req := newRequest(t, "POST")
		req.URL.Path = "/a"
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		var keys []string
		for _, x := range origin.Exchanges() {
			keys = append(keys, x.Header.Get("Idempotency-Key"))
		}
		if !regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`).MatchString(keys[0]) {
			t.Errorf("key %s", keys[0])
		}
		if diff := cmp.Diff([]string{keys[0], keys[0], keys[0], keys[0], ""}, keys); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if len(req.Header) != 0 {
			t.Errorf("the caller's header was changed: %v", req.Header)
		}

		own := newRequest(t, "POST")
		own.Header.Set("Idempotency-Key", "mine")
		o := plytest.NewOrigin(plytest.Text(""))
		if _, err := do(t, retry.Options{IdempotencyKey: retry.RandomKey}, o, own); err != nil || o.Exchanges()[0].Header.Get("Idempotency-Key") != "mine" {
			t.Errorf("%v, %v", err, o.Exchanges()[0].Header)
		}
	})
}

package retry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
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

func TestBrokenDownloadResumes(t *testing.T) {
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

func (*empty) Success(string) {}

func TestResumeWithBodiesOfOtherTransports(t *testing.T) {
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
			next := testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
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

func TestCloseEndsAResumption(t *testing.T) {
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

// Reading the rest makes the layer work once more. When it has ended, a request with the context of the response is a call of its own again, no nested one.
func TestRequestAfterAResumedDownloadIsRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			reply plytest.Reply
		}{
			{"resumed", part(4)},
			{"not to be resumed", plytest.Status(416)},
		} {
			resp, err := do(t, retry.Options{Resume: 1}, plytest.NewOrigin(broken(4, "Accept-Ranges", "bytes", "Etag", `"v1"`), tt.reply), newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			got, err := call(t, retry.Options{}, newRequest(t, "GET").WithContext(resp.Request.Context()), plytest.Status(503))
			if want := (result{3, 503, retry.StopAttempts}); got != want || err != nil {
				t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, want)
			}
		}
	})
}

// Retry-After of a response that came counts for nothing when its body breaks: it was no refusal.
func TestRetryAfterOfABrokenDownloadIsIgnored(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var waits []time.Duration
		o := retry.Options{Resume: 2, Backoff: retry.Constant(time.Second), OnRetry: func(_ context.Context, e retry.Event) {
			waits = append(waits, e.Wait)
			if e.Attempt.Response != nil || e.Attempt.Err == nil {
				t.Errorf("the hook sees the attempt as %+v, want the error of its body", e.Attempt)
			}
		}}
		brokenPart := part(4, "Retry-After", "30")
		brokenPart.Fault = plytest.ResetAfter(2)
		origin := plytest.NewOrigin(broken(4, "Accept-Ranges", "bytes", "Etag", `"v1"`, "Retry-After", "30"), brokenPart, part(6))
		resp, err := do(t, o, origin, newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != digits || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if diff := cmp.Diff([]time.Duration{time.Second, time.Second}, waits); diff != "" {
			t.Errorf("waits (-want +got)\n%s", diff)
		}
	})
}

// The context of the caller leads to the call, so the call must not keep what its reader has dropped: a layer below that waits for the garbage collector,
// as a limit does to free a slot, would wait for as long as the caller's context lasts.
func TestDroppedRestOfADownloadIsCollected(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var collected atomic.Bool
	sent := 0
	next := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		h := http.Header{"Etag": {`"1"`}, "Accept-Ranges": {"bytes"}}
		if sent++; sent == 1 {
			broken := io.MultiReader(strings.NewReader("p"), readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))
			return &http.Response{StatusCode: 200, Header: h, ContentLength: 9, Body: io.NopCloser(broken), Request: r}, nil
		}
		h.Set("Content-Range", "bytes 1-8/9")
		rest := &closes{Reader: strings.NewReader("12345678")}
		runtime.AddCleanup(rest, func(done *atomic.Bool) { done.Store(true) }, &collected)
		return &http.Response{StatusCode: 206, Header: h, ContentLength: 8, Body: rest, Request: r}, nil
	})
	o := retry.Options{Resume: 1, AttemptTimeout: time.Hour, Backoff: retry.Constant(0)}
	testutil.Abandon(t, retry.New(o)(next), newRequest(t, http.MethodGet).WithContext(ctx))
	testutil.Eventually(t, "the body is collected", func() bool { runtime.GC(); return sent == 2 && collected.Load() })
}

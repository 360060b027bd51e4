package retry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// told is a call as its caller sees it.
type told struct {
	Requests int // that reached the origin
	Status   int // of the response; zero with an error
	Stop     retry.Stop
}

// call sends req through a layer over replies and tells what came of it.
func call(t *testing.T, o retry.Options, req *http.Request, replies ...plytest.Reply) (told, error) {
	t.Helper()
	origin := plytest.NewOrigin(replies...)
	resp, err := do(t, o, origin, req)
	if err != nil {
		return told{Requests: origin.Count(), Stop: stopOf(t, err)}, err
	}
	defer resp.Body.Close()
	info, _ := retry.InfoFrom(resp)
	return told{origin.Count(), resp.StatusCode, info.Stop}, nil
}

func stopOf(t *testing.T, err error) retry.Stop {
	t.Helper()
	var e *retry.Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *retry.Error: %v", err, err)
	}
	return e.Stop
}

func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestR1BodiesAreSentAgainOnlyThroughGetBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const payload = "payload"
		for _, tt := range []struct {
			name    string
			getBody bool
			o       retry.Options
			want    told
			bodies  []string
		}{
			{"GetBody", true, retry.Options{}, told{3, 503, retry.StopAttempts}, []string{payload, payload, payload}},
			{"none", false, retry.Options{}, told{1, 503, retry.StopBody}, []string{payload}},
			{"buffered", false, retry.Options{BufferBody: 7}, told{3, 503, retry.StopAttempts}, []string{payload, payload, payload}},
			{"over the buffer", false, retry.Options{BufferBody: 6}, told{1, 503, retry.StopBody}, []string{payload}},
		} {
			source := &closes{Reader: strings.NewReader(payload)}
			req := newRequest(t, http.MethodPut)
			req.Body, req.ContentLength = source, -1
			if !tt.getBody {
				req.GetBody = nil
			}
			origin := plytest.NewOrigin(plytest.Status(503))
			resp, err := do(t, tt.o, origin, req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			info, _ := retry.InfoFrom(resp)
			if diff := cmp.Diff(tt.want, told{origin.Count(), resp.StatusCode, info.Stop}); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.name, diff)
			}
			var bodies []string
			for _, x := range origin.Exchanges() {
				bodies = append(bodies, string(x.Body))
			}
			if diff := cmp.Diff(tt.bodies, bodies); diff != "" {
				t.Errorf("%s: bodies (-want +got)\n%s", tt.name, diff)
			}
			if source.n != 1 || req.Body != source {
				t.Errorf("%s: the caller's body was closed %d times, replaced: %v", tt.name, source.n, req.Body != source)
			}
		}
	})
}

func TestR1ABodyThatCannotBeMadeAgainKeepsTheResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		req := newRequest(t, http.MethodPut)
		gone := errors.New("the file is gone")
		req.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		bucket := &retry.TokenBucket{}
		got, err := call(t, retry.Options{Budget: bucket}, req, plytest.Status(503))
		if diff := cmp.Diff(told{1, 503, retry.StopBody}, got); diff != "" || err != nil {
			t.Errorf("(-want +got)\n%s%v", diff, err)
		}
		if bucket.Tokens("example.com") != 100 {
			t.Error("a retry that was not made has been paid for")
		}
		if _, err = call(t, retry.Options{}, req, plytest.ResetConnection()); !errors.Is(err, gone) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the error matches neither reason: %v", err)
		}
	})
}

// A buffered body is read by the next attempt while the transport still reads it for the last one.
func TestR1ABufferedBodyMayBeReadLate(t *testing.T) {
	source, sink := io.Pipe()
	defer sink.Close()
	var late io.ReadCloser
	var got string
	n := 0
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		if n++; n == 1 {
			go sink.Write([]byte("abc"))
			io.ReadFull(req.Body, make([]byte, 2))
			late = req.Body
			req.Body.Close()
			return nil, io.EOF
		}
		if _, err := late.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
			t.Errorf("reading a closed body: %v", err)
		}
		go func() { sink.Write([]byte("def")); sink.Close() }()
		b, err := io.ReadAll(req.Body)
		got = string(b)
		req.Body.Close()
		return &http.Response{StatusCode: 200, Body: http.NoBody}, err
	})
	req := newRequest(t, http.MethodPut)
	body := &closes{Reader: source}
	req.Body, req.GetBody, req.ContentLength = body, nil, -1
	resp, err := do(t, retry.Options{BufferBody: 100, Backoff: retry.Constant(0)}, origin, req)
	if err != nil || got != "abcdef" || body.n != 1 {
		t.Fatalf("got %q, %v; body closed %d times", got, err, body.n)
	}
	resp.Body.Close()
}

// What a late Read takes beyond the limit is lost to the attempt that follows, which must not skip it.
func TestR1ABufferThatOverflowsLateFailsTheAttempt(t *testing.T) {
	entered, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	step := 0
	source := readerFunc(func(p []byte) (int, error) {
		switch step++; step {
		case 1:
			return copy(p, "ab"), nil
		case 2:
			close(entered)
			<-release
			return copy(p, "cdef"), nil
		}
		return 0, io.EOF
	})
	n := 0
	var err error
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		defer req.Body.Close()
		if n++; n == 1 {
			req.Body.Read(make([]byte, 8))
			late := req.Body
			go func() { defer close(left); late.Read(make([]byte, 8)) }()
			<-entered
			return nil, io.EOF
		}
		close(release)
		_, err = io.ReadAll(req.Body)
		return nil, err
	})
	req := newRequest(t, "PUT")
	req.Body, req.GetBody, req.ContentLength = io.NopCloser(source), nil, -1
	do(t, retry.Options{BufferBody: 3, Backoff: retry.Constant(0), MaxAttempts: 2}, origin, req)
	<-left
	if n != 2 || err == nil {
		t.Errorf("attempt %d sent a body with a hole", n)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// timeoutErr is what http.Transport returns when ResponseHeaderTimeout is over: it matches context.DeadlineExceeded.
type timeoutErr struct{}

func (timeoutErr) Error() string        { return "timeout awaiting response headers" }
func (timeoutErr) Timeout() bool        { return true }
func (timeoutErr) Temporary() bool      { return true }
func (timeoutErr) Is(target error) bool { return target == context.DeadlineExceeded }

type verdict bool

func (verdict) Error() string          { return "speaks for itself" }
func (v verdict) RetryableError() bool { return bool(v) }

func TestR2OutcomesAndMethodClasses(t *testing.T) {
	dns := func(e net.DNSError) error { return &net.OpError{Op: "dial", Net: "tcp", Err: &e} }
	const again, once = 3, 1
	rows := []struct {
		name       string
		reply      plytest.Reply
		idempotent int // requests
		other      int
	}{
		{"not written: refused", plytest.Refuse(), again, again},
		{"not written: proxy", plytest.FailUnsent(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: io.EOF}), again, again},
		{"not written: DNS temporary", plytest.FailUnsent(dns(net.DNSError{Err: "server misbehaving", IsTemporary: true})), again, again},
		{"not written: DNS timeout", plytest.FailUnsent(dns(net.DNSError{Err: "i/o timeout", IsTimeout: true})), again, again},
		{"not written: handshake broken off", plytest.FailUnsent(io.EOF), again, again},
		{"not written: handshake timeout", plytest.FailUnsent(timeoutErr{}), again, again},
		{"not written: WroteHeaders never fired", plytest.FailUnsent(errors.New("whatever")), again, again},
		{"not written: REFUSED_STREAM", plytest.RefuseStream(), again, again},
		{"not written: GOAWAY", plytest.Fail(errors.New("http2: Transport received Server's graceful shutdown GOAWAY")), again, again},

		{"fatal: NXDOMAIN", plytest.NoSuchHost(), once, once},
		{"fatal: NXDOMAIN, though temporary", plytest.FailUnsent(dns(net.DNSError{Err: "no such host", IsNotFound: true, IsTemporary: true})), once, once},
		{"fatal: DNS, not temporary", plytest.FailUnsent(dns(net.DNSError{Err: "cannot unmarshal"})), once, once},
		{"fatal: certificate", plytest.BadCertificate(), once, once},
		{"fatal: x509", plytest.FailUnsent(x509.HostnameError{Host: "example.com", Certificate: &x509.Certificate{}}), once, once},
		{"fatal: no TLS", plytest.FailUnsent(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), once, once},
		{"fatal: TLS alert", plytest.FailHandshake(), once, once},
		{"fatal: TLS alert of a proxy", plytest.FailUnsent(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}}), once, once},
		{"fatal: refused by a proxy", plytest.FailUnsent(errors.New("Proxy Authentication Required")), once, once},
		{"not written: a proxy out of order", plytest.FailUnsent(errors.New("Bad Gateway")), again, again},
		{"fatal: header too large for the server", plytest.FailUnsent(errors.New("http2: request header list larger than peer's advertised limit")), once, once},
		{"fatal: address", plytest.FailUnsent(&net.OpError{Op: "dial", Err: &net.AddrError{Err: "missing port"}}), once, once},
		{"fatal: says so", plytest.Fail(verdict(false)), once, once},
		{"fatal: says so of a dial", plytest.FailUnsent(&net.OpError{Op: "dial", Err: verdict(false)}), once, once},

		{"lost: EOF", plytest.Fail(io.EOF), again, once},
		{"lost: unexpected EOF", plytest.Fail(fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.ErrUnexpectedEOF)), again, once},
		{"lost: reset", plytest.ResetConnection(), again, once},
		{"lost: broken pipe", plytest.Fail(syscall.EPIPE), again, once},
		{"lost: closed", plytest.Fail(net.ErrClosed), again, once},
		{"lost: idle connection", plytest.Fail(errors.New("http: server closed idle connection")), again, once},
		{"lost: HTTP/2 connection", plytest.Fail(errors.New("http2: client connection lost")), again, once},
		{"lost: says so", plytest.Fail(verdict(true)), again, once},

		{"timeout: header", plytest.Fail(timeoutErr{}), again, once},
		{"timeout: of a layer inside", plytest.Fail(context.DeadlineExceeded), again, once},

		{"unknown", plytest.Fail(errors.New("whatever")), once, once},
		{"unknown: cancelled by a layer inside", plytest.Fail(context.Canceled), once, once},

		{"408", plytest.Status(408), again, once},
		{"425", plytest.Status(425), again, once},
		{"429", plytest.Status(429), again, again},
		{"500", plytest.Status(500), again, once},
		{"502", plytest.Status(502), again, once},
		{"503", plytest.Status(503), again, once},
		{"503 with Retry-After", plytest.RetryIn(503, time.Second), again, once},
		{"504", plytest.Status(504), again, once},
		{"421", plytest.Status(421), 2, 2},
		{"501", plytest.Status(501), once, once},
		{"505", plytest.Status(505), once, once},
		{"507", plytest.Status(507), once, once},
		{"404", plytest.Status(404), once, once},
		{"403", plytest.Status(403), once, once},
		{"302", plytest.Status(302), once, once},
		{"200", plytest.Status(200), once, once},
	}
	classes := []struct {
		idempotent bool
		methods    []string
	}{
		{true, []string{"", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"}},
		{false, []string{"POST", "PATCH", "BREW"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				for _, class := range classes {
					want := row.other
					if class.idempotent {
						want = row.idempotent
					}
					for _, method := range class.methods {
						req := newRequest(t, "POST")
						req.Method = method
						if got, _ := call(t, retry.Options{}, req, row.reply); got.Requests != want {
							t.Errorf("%s: %d requests, want %d", method, got.Requests, want)
						}
					}
				}
			})
		})
	}
}

func TestR2TheCallersContextEndsEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		mine := errors.New("not needed any more")
		time.AfterFunc(time.Second, func() { cancel(mine) })
		got, err := call(t, retry.Options{}, newRequest(t, "GET").WithContext(ctx), plytest.Stall())
		if got.Requests != 1 || got.Stop != retry.StopCanceled || !errors.Is(err, context.Canceled) || !errors.Is(err, mine) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestR2MarksMakeIdempotent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		plain := newRequest(t, "POST")
		key, silent, x := newRequest(t, "POST"), newRequest(t, "POST"), newRequest(t, "POST")
		key.Header.Set("Idempotency-Key", "1")
		silent.Header["Idempotency-Key"] = []string{}
		x.Header.Set("X-Idempotency-Key", "1")
		for _, tt := range []struct {
			name string
			req  *http.Request
			want int
		}{
			{"none", plain, 1},
			{"key", key, 3},
			{"key without a value", silent, 3},
			{"X- key", x, 3},
			{"context", newRequest(t, "POST").WithContext(retry.WithIdempotent(t.Context())), 3},
		} {
			if got, _ := call(t, retry.Options{}, tt.req, plytest.ResetConnection()); got.Requests != tt.want {
				t.Errorf("%s: %d requests, want %d", tt.name, got.Requests, tt.want)
			}
		}
	})
}

// A transport that knows nothing of httptrace never fires WroteHeaders. Its silence is no proof.
func TestR2SilenceOfAForeignTransportProvesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		origin := roundTripper(func(req *http.Request) (*http.Response, error) { n++; req.Body.Close(); return nil, io.EOF })
		if _, err := do(t, retry.Options{}, origin, newRequest(t, "POST")); stopOf(t, err) != retry.StopMethod || n != 1 {
			t.Errorf("%d requests, %v", n, err)
		}
	})
}

func TestR2RulesComeBeforeTheDefault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen []retry.Attempt
		watch := func(a *retry.Attempt) retry.Verdict { seen = append(seen, *a); return retry.Undecided }
		teapot := retry.StatusRule(retry.Retry, http.StatusTeapot)
		for _, tt := range []struct {
			name   string
			method string
			rules  []retry.Rule
			reply  plytest.Reply
			want   told
		}{
			{"yes", "POST", []retry.Rule{watch, teapot}, plytest.Status(418), told{3, 418, retry.StopAttempts}},
			{"the first answer counts", "POST", []retry.Rule{retry.StatusRule(retry.Final, 418), teapot}, plytest.Status(418), told{1, 418, retry.StopDone}},
			{"no", "GET", []retry.Rule{retry.StatusRule(retry.Final, 503)}, plytest.Status(503), told{1, 503, retry.StopRule}},
			{"unknown", "GET", []retry.Rule{watch}, plytest.Status(503), told{3, 503, retry.StopAttempts}},
			{"even a success", "GET", []retry.Rule{retry.StatusRule(retry.Retry, 202)}, plytest.Status(202), told{3, 202, retry.StopAttempts}},
			{"429 with work done", "POST", []retry.Rule{retry.NoRetry429}, plytest.Status(429), told{1, 429, retry.StopRule}},
			{"429 with work done, idempotent", "GET", []retry.Rule{retry.NoRetry429}, plytest.Status(429), told{3, 429, retry.StopAttempts}},
			{"503 without work done", "POST", []retry.Rule{retry.Retry503}, plytest.RetryIn(503, time.Second), told{3, 503, retry.StopAttempts}},
			{"503 without Retry-After", "POST", []retry.Rule{retry.Retry503}, plytest.Status(503), told{1, 503, retry.StopMethod}},
		} {
			got, err := call(t, retry.Options{Rules: tt.rules}, newRequest(t, tt.method), tt.reply)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%s (-want +got)\n%s%v", tt.name, diff, err)
			}
		}
		if len(seen) < 3 || seen[2].Number != 3 || seen[2].Request == nil || seen[2].Response == nil || seen[2].Idempotent || !seen[2].Wrote {
			t.Errorf("a rule saw %+v", seen)
		}
		seen = nil
		call(t, retry.Options{Rules: []retry.Rule{watch}}, newRequest(t, "GET"), plytest.FailUnsent(errors.New("x")))
		if len(seen) != 3 || seen[0].Wrote || seen[0].Err == nil {
			t.Errorf("a rule saw %+v", seen)
		}
	})
}

func TestR3Delay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name   string
			reply  plytest.Reply
			bounds []time.Duration
		}{
			{"from 100 ms", plytest.ResetConnection(), []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000}},
			{"from 1 s after 503", plytest.Status(503), []time.Duration{1000, 2000, 4000, 8000, 16000, 20000, 20000}},
		} {
			var waits []time.Duration
			o := retry.Options{MaxAttempts: len(tt.bounds) + 1, Budget: retry.Unlimited, OnRetry: func(_ context.Context, e retry.Event) { waits = append(waits, e.Wait) }}
			call(t, o, newRequest(t, "GET"), tt.reply)
			if len(waits) != len(tt.bounds) {
				t.Fatalf("%s: %d waits", tt.name, len(waits))
			}
			for i, w := range waits {
				if w < 0 || w >= tt.bounds[i]*time.Millisecond {
					t.Errorf("%s: wait %d is %s, not in [0, %d ms)", tt.name, i+1, w, tt.bounds[i])
				}
			}
		}
	})
}

func TestR3OtherBackoffs(t *testing.T) {
	const s = time.Second
	last := retry.Outcome{Wait: 4 * s}
	for _, tt := range []struct {
		name     string
		b        retry.Backoff
		n        int
		min, max time.Duration
	}{
		{"constant", retry.Constant(s), 7, s, s},
		{"linear", retry.Linear(s, 10*s), 3, 3 * s, 3 * s},
		{"linear, limit", retry.Linear(s, 10*s), 1 << 40, 10 * s, 10 * s},
		{"linear, zero step", retry.Linear(0, s), 5, 0, 0},
		{"exponential", retry.Exponential(s, 100*s), 4, 8 * s, 8 * s},
		{"exponential, limit", retry.Exponential(s, 10*s), 5, 10 * s, 10 * s},
		{"exponential, saturating", retry.Exponential(s, 1<<63-1), 1000, 1<<63 - 1, 1<<63 - 1},
		{"full jitter", retry.FullJitter(s, 100*s), 3, 0, 4 * s},
		{"full jitter, saturating", retry.FullJitter(s, 1<<63-1), 1000, 0, 1<<63 - 1},
		{"equal jitter", retry.EqualJitter(s, 100*s), 3, 2 * s, 4 * s},
		{"decorrelated", retry.DecorrelatedJitter(s, 100*s), 3, s, 12 * s},
		{"decorrelated, limit", retry.DecorrelatedJitter(s, 5*s), 3, s, 5 * s},
		{"decorrelated, saturating", retry.DecorrelatedJitter(s, 1<<63-1), 3, s, 12 * s},
	} {
		for range 100 {
			if got := tt.b(tt.n, last); got < tt.min || got > tt.max {
				t.Errorf("%s: %s is not between %s and %s", tt.name, got, tt.min, tt.max)
			}
		}
	}
	bubble(t, func(t *testing.T) {
		start := time.Now()
		call(t, retry.Options{Backoff: func(n int, _ retry.Outcome) time.Duration { return -s }}, newRequest(t, "GET"), plytest.ResetConnection())
		if time.Since(start) != 0 {
			t.Errorf("a negative wait took %s", time.Since(start))
		}
	})
}

func TestR4ServerTiming(t *testing.T) {
	bubble(t, func(t *testing.T) {
		now := time.Now().UTC()
		at := func(d time.Duration, layout string) string { return now.Add(d).Format(layout) }
		const rfc850, asctime = "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC
		const jittered, stop = -1, -2
		for _, tt := range []struct {
			name   string
			header []string
			want   time.Duration // at least, and a tenth more at most
		}{
			{"seconds", []string{"Retry-After", "30"}, 30 * time.Second},
			{"zero", []string{"Retry-After", "0"}, jittered},
			{"white space", []string{"Retry-After", " 30 "}, 30 * time.Second},
			{"IMF-fixdate", []string{"Retry-After", at(30*time.Second, http.TimeFormat)}, 30 * time.Second},
			{"RFC 850 date", []string{"Retry-After", at(30*time.Second, rfc850)}, 30 * time.Second},
			{"asctime date", []string{"Retry-After", at(30*time.Second, asctime)}, 30 * time.Second},
			{"date by a clock ahead", []string{"Retry-After", at(5*time.Minute+30*time.Second, http.TimeFormat), "Date", at(5*time.Minute, http.TimeFormat)}, 30 * time.Second},
			{"date by a clock behind", []string{"Retry-After", at(-4*time.Minute, http.TimeFormat), "Date", at(-4*time.Minute-30*time.Second, http.TimeFormat)}, 30 * time.Second},
			{"Date of a stored response", []string{"Retry-After", at(30*time.Second, http.TimeFormat), "Date", at(-time.Hour, http.TimeFormat)}, 30 * time.Second},
			{"past date", []string{"Retry-After", at(-time.Minute, http.TimeFormat)}, jittered},
			{"ms", []string{"Retry-After-Ms", "1500", "Retry-After", "2"}, 1500 * time.Millisecond},
			{"x-ms", []string{"X-Ms-Retry-After-Ms", "1500"}, 1500 * time.Millisecond},
			{"negative", []string{"Retry-After", "-5"}, jittered},
			{"sign", []string{"Retry-After", "+5"}, jittered},
			{"fraction", []string{"Retry-After", "1.5"}, 2 * time.Second},
			{"garbage", []string{"Retry-After", "abc"}, jittered},
			{"two values", []string{"Retry-After", "10", "Retry-After", "30"}, 30 * time.Second},
			{"list", []string{"Retry-After", "10, 30"}, jittered},
			{"at the cap", []string{"Retry-After", "60"}, 60 * time.Second},
			{"over the cap", []string{"Retry-After", "61"}, stop},
			{"overflow", []string{"Retry-After", "99999999999999999999"}, stop},
			{"overflow in the middle", []string{"Retry-After", "100000000000000000000"}, stop},
			{"overflow of a duration", []string{"Retry-After", "9223372037"}, stop},
			{"year 9999", []string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, stop},
			{"RateLimit-Reset is opt-in", []string{"RateLimit-Reset", "30"}, jittered},
		} {
			var wait time.Duration = stop
			o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0), OnRetry: func(_ context.Context, e retry.Event) { wait = e.Wait }}
			checkWait(t, tt.name, o, &wait, tt.header, tt.want, now)
		}
		for _, tt := range []struct {
			name   string
			header []string
			want   time.Duration
		}{
			{"delta", []string{"RateLimit-Reset", "30"}, 30 * time.Second},
			{"X- and since 1970", []string{"X-RateLimit-Reset", fmt.Sprint(now.Add(30 * time.Second).Unix())}, 30 * time.Second},
			{"since 1970 and past", []string{"X-RateLimit-Reset", fmt.Sprint(now.Add(-30 * time.Second).Unix())}, jittered},
			{"Retry-After wins", []string{"Retry-After", "7", "RateLimit-Reset", "30"}, 7 * time.Second},
		} {
			var wait time.Duration = stop
			o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0), RateLimitReset: true, OnRetry: func(_ context.Context, e retry.Event) { wait = e.Wait }}
			checkWait(t, "opted in: "+tt.name, o, &wait, tt.header, tt.want, now)
		}
	})
}

// checkWait plays a 429 with the header at a fixed time and compares the wait that was chosen.
func checkWait(t *testing.T, name string, o retry.Options, wait *time.Duration, header []string, want time.Duration, now time.Time) {
	t.Helper()
	reply := plytest.Status(429, header...)
	if reply.Header.Get("Date") == "" {
		reply.Header["Date"] = nil
	}
	// Dates count from the start of the bubble, so each row waits on a context of its own and leaves the clock alone.
	ctx, cancel := context.WithCancel(t.Context())
	hook := o.OnRetry
	o.OnRetry = func(ctx context.Context, e retry.Event) { hook(ctx, e); cancel() }
	got, _ := call(t, o, newRequest(t, "GET").WithContext(ctx), reply)
	cancel()
	if !time.Now().Equal(now) {
		t.Fatalf("%s: time has passed", name)
	}
	switch {
	case want == -2:
		if *wait != -2 || got != (told{1, 429, retry.StopRetryAfter}) {
			t.Errorf("%s: %+v after a wait of %s, want the response back", name, got, *wait)
		}
	case want == -1:
		if *wait != 0 {
			t.Errorf("%s: wait %s, want the backoff's own", name, *wait)
		}
	case *wait < want || *wait > want+want/10:
		t.Errorf("%s: wait %s, want %s", name, *wait, want)
	}
}

func TestR4TheLongerOfBothWaitsCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var wait time.Duration
		o := retry.Options{MaxAttempts: 2, Backoff: retry.Constant(time.Minute), OnRetry: func(_ context.Context, e retry.Event) { wait = e.Wait }}
		call(t, o, newRequest(t, "GET"), plytest.RetryIn(503, time.Second))
		if wait != time.Minute {
			t.Errorf("wait %s", wait)
		}
	})
}

func TestR5DeadlineIsNotSleptPast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name   string
			within time.Duration
			o      retry.Options
			want   int
		}{
			{"deadline far away", time.Hour, retry.Options{}, 3},
			{"wait does not fit", 1500 * time.Millisecond, retry.Options{}, 1},
			{"wait ends with the deadline", 2 * time.Second, retry.Options{}, 1},
			{"one wait fits", 3 * time.Second, retry.Options{}, 2},
			{"too little would be left", 3 * time.Second, retry.Options{MinAttemptTime: time.Second}, 1},
			{"MaxElapsed", time.Hour, retry.Options{MaxElapsed: 3 * time.Second}, 2},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.within)
			defer cancel()
			tt.o.Backoff = retry.Constant(2 * time.Second)
			stop := retry.StopDeadline
			if tt.want == 3 {
				stop = retry.StopAttempts
			}
			start := time.Now()
			got, err := call(t, tt.o, newRequest(t, "GET").WithContext(ctx), plytest.Status(500))
			if diff := cmp.Diff(told{tt.want, 500, stop}, got); diff != "" || err != nil {
				t.Errorf("%s (-want +got)\n%s%v", tt.name, diff, err)
			}
			if took := time.Since(start); took != time.Duration(tt.want-1)*2*time.Second {
				t.Errorf("%s: took %s", tt.name, took)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := call(t, retry.Options{Backoff: retry.Constant(time.Minute)}, newRequest(t, "GET").WithContext(ctx), plytest.ResetConnection())
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the error does not match both reasons: %v", err)
		}
	})
}

func TestR6AttemptTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{AttemptTimeout: time.Second, Backoff: retry.Constant(0)}
		resp, err := do(t, o, plytest.NewOrigin(plytest.Stall(), plytest.Text("hello")), newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		info, _ := retry.InfoFrom(resp)
		if first := info.Attempts[0]; first.Err != retry.ErrAttemptTimeout || !first.Timeout || first.Duration != time.Second {
			t.Errorf("first attempt: %+v", first)
		}
		time.Sleep(time.Hour) // the time for the header must not count for the body
		if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
		resp.Body.Close()

		_, err = do(t, o, plytest.NewOrigin(plytest.Stall()), newRequest(t, "GET"))
		if !errors.Is(err, retry.ErrAttemptTimeout) || !errors.Is(err, context.DeadlineExceeded) || stopOf(t, err) != retry.StopAttempts {
			t.Errorf("after three timeouts: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = do(t, o, plytest.NewOrigin(plytest.Stall()), newRequest(t, "GET").WithContext(ctx))
		if errors.Is(err, retry.ErrAttemptTimeout) || !errors.Is(err, context.DeadlineExceeded) || stopOf(t, err) != retry.StopDeadline {
			t.Errorf("after the caller's own deadline: %v", err)
		}
	})
}

// The context of an attempt ends with the body of its response, and not before.
func TestR6ContextLivesUntilTheBodyEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  func(io.ReadCloser)
	}{
		{"read", func(b io.ReadCloser) { io.Copy(io.Discard, b) }},
		{"closed", func(b io.ReadCloser) { b.Close() }},
	} {
		var attempt context.Context
		origin := roundTripper(func(req *http.Request) (*http.Response, error) {
			attempt = req.Context()
			return plytest.NewOrigin(plytest.Text("hello")).RoundTrip(req)
		})
		resp, err := do(t, retry.Options{AttemptTimeout: time.Hour}, origin, newRequest(t, "GET"))
		if err != nil || attempt.Err() != nil {
			t.Fatalf("%s: %v, context %v", tt.name, err, attempt.Err())
		}
		tt.use(resp.Body)
		if attempt.Err() == nil {
			t.Errorf("%s: the context is still alive", tt.name)
		}
		resp.Body.Close()
	}
}

func TestR6ContextEndsWithAResponseWithoutABody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		next := roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Body: http.NoBody, Request: req}, nil
		})
		resp, err := do(t, retry.Options{AttemptTimeout: time.Second}, next, newRequest(t, "GET"))
		if err != nil || resp.Body != http.NoBody || resp.Request.Context().Err() == nil {
			t.Errorf("%+v, %v", resp, err)
		}
	})
}

func TestR6BodyTimeoutBoundsEachRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{BodyTimeout: time.Second}
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				time.Sleep(900 * time.Millisecond)
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
			}
		}))
		resp, err := do(t, o, origin, newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			time.Sleep(time.Minute) // a slow reader is not a slow server
			if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		if body, err := io.ReadAll(resp.Body); len(body) != 8 || err != nil {
			t.Errorf("a steady body: %q, %v", body, err)
		}
		resp.Body.Close()

		resp, err = do(t, o, plytest.NewOrigin(plytest.Reply{Body: "hello", Fault: plytest.StallAfter(2)}), newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "he" || !errors.Is(err, retry.ErrBodyTimeout) {
			t.Errorf("a stalled body: %q, %v", body, err)
		}
		resp.Body.Close()
	})
}

func TestR7BudgetStopsRetriesNotCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{Budget: &retry.TokenBucket{Capacity: 10, Floor: -1}, Backoff: retry.Constant(0)}
		for i, want := range []told{{3, 503, retry.StopAttempts}, {1, 503, retry.StopBudget}, {1, 503, retry.StopBudget}} {
			if got, _ := call(t, o, newRequest(t, "GET"), plytest.Status(503)); got != want {
				t.Errorf("call %d: %+v, want %+v", i, got, want)
			}
		}
		_, err := call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		if stopOf(t, err) != retry.StopBudget {
			t.Error(err)
		}
	})
}

func TestR7RedirectHopsShareTheAttemptsOfACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(503), plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Status(503), plytest.Status(307, "Location", "/c")},
			"/c": {plytest.Status(503)},
		}}
		hc := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(time.Second), MaxElapsed: time.Hour})(origin)}
		resp, err := hc.Get("http://example.com/a")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		info, _ := retry.InfoFrom(resp)
		// Two retries for the whole call: one for /a, one for /b, none for /c.
		if origin.Count() != 5 || info.Stop != retry.StopAttempts || info.Earlier != 4 || info.Resends() != 4 || len(info.Attempts) != 1 {
			t.Errorf("%d requests, %+v", origin.Count(), info)
		}
	})
}

func TestR7RedirectHopsShareTheTimeOfACall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Latency: time.Second, Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Status(503)},
		}}
		hc := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(0), MaxElapsed: 1500 * time.Millisecond})(origin)}
		resp, err := hc.Get("http://example.com/a")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if info, _ := retry.InfoFrom(resp); info.Stop != retry.StopDeadline || origin.Count() != 2 {
			t.Errorf("%d requests, %+v", origin.Count(), info)
		}
	})
}

func TestR8DroppedResponsesAreReadWithinBoundsAndClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, tt := range []struct {
			name     string
			reply    plytest.Reply
			wantRead bool
		}{
			{"small", plytest.Reply{Status: 503, Body: strings.Repeat("x", 8000)}, true},
			{"at the bound", plytest.Reply{Status: 503, Body: strings.Repeat("x", 64<<10)}, true},
			{"announced too large", plytest.Reply{Status: 503, Body: strings.Repeat("x", 64<<10+1)}, false},
			{"too large unannounced", plytest.Reply{Status: 503, Body: strings.Repeat("x", 1<<20), Chunked: true}, false},
			{"stalled", plytest.Reply{Status: 503, Body: "xx", Fault: plytest.StallAfter(1)}, false},
			{"empty", plytest.Reply{Status: 503}, true},
		} {
			origin := plytest.NewOrigin(tt.reply, plytest.Text("hello"))
			start := time.Now()
			resp, err := do(t, retry.Options{Backoff: retry.Constant(0)}, origin, newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if took := time.Since(start); took > 50*time.Millisecond {
				t.Errorf("%s: draining took %s", tt.name, took)
			}
			first := origin.Exchanges()[0]
			if first.BodyRead != tt.wantRead || !first.BodyClosed {
				t.Errorf("%s: read to its end %v, want %v; closed %v", tt.name, first.BodyRead, tt.wantRead, first.BodyClosed)
			}
		}
	})
}

func TestR8WhatIsAnnouncedTooLargeIsNotRead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var reads atomic.Int32
		for _, resp := range []http.Response{
			{StatusCode: 503, ProtoMajor: 1, ContentLength: 64<<10 + 1},
			{StatusCode: 503, ProtoMajor: 2, ContentLength: 1},
		} {
			resp.Body = &closes{Reader: readerFunc(func(p []byte) (int, error) { reads.Add(1); return 0, io.EOF })}
			next := roundTripper(func(*http.Request) (*http.Response, error) { r := resp; return &r, nil })
			if _, err := do(t, retry.Options{MaxAttempts: 2, Backoff: retry.Constant(0)}, next, newRequest(t, "GET")); err != nil {
				t.Fatal(err)
			}
		}
		if n := reads.Load(); n != 0 {
			t.Errorf("%d reads", n)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestR8CloseIdleConnectionsIsForwardedAndNeverCalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &idler{RoundTripper: plytest.NewOrigin(plytest.Status(503), plytest.ResetConnection())}
		h := retry.New(retry.Options{})(c)
		hc := &http.Client{Transport: h}
		hc.Get("http://example.com/")
		if c.n.Load() != 0 {
			t.Error("a failure closed the connections of others")
		}
		if hc.CloseIdleConnections(); c.n.Load() != 1 {
			t.Error("CloseIdleConnections is not forwarded")
		}
	})
}

type idler struct {
	http.RoundTripper
	n atomic.Int32
}

func (i *idler) CloseIdleConnections() { i.n.Add(1) }

func TestR9TheLastResponseComesBackIntact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Reply{Status: 503, Body: "first"}, plytest.Reply{Status: 503, Body: "second"},
			plytest.Reply{Status: 502, Body: "third", Header: http.Header{"X": {"y"}}})
		resp, err := do(t, retry.Options{}, origin, newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); string(body) != "third" || err != nil || resp.StatusCode != 502 || resp.Header.Get("X") != "y" {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
		}
	})
}

func TestR9TheErrorSaysWhatHappened(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Refuse(), plytest.ResetConnection())
		_, err := do(t, retry.Options{Backoff: retry.Constant(time.Second)}, origin, newRequest(t, "GET"))
		var e *retry.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		const want = "retry: GET http://example.com/path?token=REDACTED: 3 attempts in 2s (attempts): read tcp: read: connection reset by peer"
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		o := retry.Options{MaxAttempts: 1, Redactor: &redact.Redactor{Path: func(string) string { return "/…" }}}
		if _, err := do(t, o, plytest.NewOrigin(plytest.ResetConnection()), newRequest(t, "GET")); !strings.Contains(err.Error(), "http://example.com/…?token=REDACTED") {
			t.Errorf("the redactor is not asked: %v", err)
		}
		type row struct {
			Status       int
			Failed       bool
			Unsent       bool
			Wait, Passed time.Duration
		}
		var got []row
		for _, a := range e.Attempts {
			got = append(got, row{a.Status, a.Err != nil, a.Unsent, a.Wait, a.Duration})
		}
		if diff := cmp.Diff([]row{{503, false, false, 0, 0}, {0, true, true, time.Second, 0}, {0, true, false, time.Second, 0}}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !errors.Is(err, syscall.ECONNRESET) || errors.Is(err, context.DeadlineExceeded) || !e.OriginUnavailable() || e.Timeout() {
			t.Errorf("%#v", e)
		}
	})
}

func TestR9OnlyAnUnreachableOriginIsUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, tt := range []struct {
			name  string
			req   *http.Request
			reply plytest.Reply
			want  bool
		}{
			{"refused", newRequest(t, "GET"), plytest.Refuse(), true},
			{"lost", newRequest(t, "POST"), plytest.ResetConnection(), true},
			{"timeout", newRequest(t, "GET"), plytest.Fail(timeoutErr{}), true},
			{"certificate", newRequest(t, "GET"), plytest.BadCertificate(), false},
			{"no such host", newRequest(t, "GET"), plytest.NoSuchHost(), true},
			{"unknown", newRequest(t, "GET"), plytest.Fail(errors.New("x")), true},
			{"refused by a guard", newRequest(t, "GET"), plytest.Fail(verdict(false)), false},
			{"cancelled", newRequest(t, "GET").WithContext(canceled), plytest.Refuse(), false},
			{"a layer inside says so", newRequest(t, "GET"), plytest.Fail(down(true)), true},
			{"a layer inside says no", newRequest(t, "GET"), plytest.Fail(down(false)), false},
		} {
			_, err := call(t, retry.Options{}, tt.req, tt.reply)
			var e *retry.Error
			if !errors.As(err, &e) || e.OriginUnavailable() != tt.want {
				t.Errorf("%s: %v, want unavailable %v", tt.name, err, tt.want)
			}
		}
	})
}

// The origin was down, but the caller gave up before that was certain.
func TestR9GivingUpIsNoOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first, second := &closes{Reader: strings.NewReader("a")}, &closes{Reader: strings.NewReader("a")}
		req := newRequest(t, "PUT").WithContext(ctx)
		req.Body, req.GetBody = first, func() (io.ReadCloser, error) { return second, nil }
		o := retry.Options{Backoff: retry.Constant(time.Minute), OnRetry: func(context.Context, retry.Event) { time.AfterFunc(time.Second, cancel) }}
		_, err := call(t, o, req, plytest.Refuse())
		var e *retry.Error
		if !errors.As(err, &e) || e.Stop != retry.StopCanceled || e.OriginUnavailable() || !errors.Is(err, context.Canceled) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
		if first.n != 1 || second.n != 1 {
			t.Errorf("bodies closed %d and %d times", first.n, second.n)
		}
	})
}

type down bool

func (down) Error() string             { return "circuit open" }
func (d down) OriginUnavailable() bool { return bool(d) }

func TestR10InfoIsOnEveryResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var below []int
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("hello"))
		spy := roundTripper(func(req *http.Request) (*http.Response, error) {
			info, ok := retry.InfoFromContext(req.Context())
			if !ok || info.Stop != "" {
				t.Errorf("info below the layer: %+v, %v", info, ok)
			}
			below = append(below, len(info.Attempts)+1)
			time.Sleep(time.Second)
			return origin.RoundTrip(req)
		})
		hc := &http.Client{Transport: retry.New(retry.Options{Backoff: retry.Constant(3 * time.Second), AttemptHeader: "X-Attempt"})(spy)}
		resp, err := hc.Get("http://example.com/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		info, ok := retry.InfoFrom(resp)
		want := retry.Info{
			Attempts: []retry.Outcome{{Status: 503, Duration: time.Second}, {Status: 200, Wait: 3 * time.Second, Duration: time.Second}},
			Max:      3,
			Stop:     retry.StopDone,
		}
		if diff := cmp.Diff(want, info); diff != "" || !ok {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]int{1, 2}, below); diff != "" {
			t.Errorf("numbers below (-want +got)\n%s", diff)
		}
		var sent []string
		for _, x := range origin.Exchanges() {
			sent = append(sent, x.Header.Get("X-Attempt"))
		}
		if diff := cmp.Diff([]string{"", "2"}, sent); diff != "" {
			t.Errorf("attempt header (-want +got)\n%s", diff)
		}
		if _, ok := retry.InfoFrom(&http.Response{}); ok {
			t.Error("a response from nowhere has info")
		}
		if _, ok := retry.InfoFrom(nil); ok {
			t.Error("nil has info")
		}
	})
}

func TestR11Hooks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "mine")
		var events []string
		note := func(kind string) func(context.Context, retry.Event) {
			return func(ctx context.Context, e retry.Event) {
				status := 0
				if e.Attempt.Response != nil {
					status = e.Attempt.Response.StatusCode
				}
				events = append(events, fmt.Sprint(kind, " ", ctx.Value(key{}), " ", e.Attempt.Request.Method, " ", status, " ", e.Wait, " ", e.Info.Stop))
			}
		}
		req := newRequest(t, "GET").WithContext(ctx)
		o := retry.Options{
			MaxAttempts: 2,
			Backoff:     retry.Constant(time.Second),
			OnRetry:     note("retry"),
			OnGiveUp:    note("give up"),
			Prepare: func(r *http.Request) error {
				r.Header.Set("Signature", time.Now().UTC().Format(time.TimeOnly))
				r.URL.Path = "/signed"
				return nil
			},
		}
		origin := plytest.NewOrigin(plytest.Status(503))
		resp, err := do(t, o, origin, req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want := []string{"retry mine GET 503 1s ", "give up mine GET 503 0s attempts"}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		x := origin.Exchanges()
		if x[0].Header.Get("Signature") != "" || x[1].Header.Get("Signature") != "00:00:01" || x[1].URL.Path != "/signed" {
			t.Errorf("signed %q and %q for %s", x[0].Header.Get("Signature"), x[1].Header.Get("Signature"), x[1].URL)
		}
		if req.Header.Get("Signature") != "" || req.URL.Path != "/path" {
			t.Error("the caller's request was changed")
		}

		events = nil
		o.Prepare = func(*http.Request) error { return verdict(false) }
		put := newRequest(t, "PUT").WithContext(ctx)
		first, second := &closes{Reader: strings.NewReader("a")}, &closes{Reader: strings.NewReader("a")}
		put.Body, put.GetBody = first, func() (io.ReadCloser, error) { return second, nil }
		_, err = do(t, o, plytest.NewOrigin(plytest.Status(503)), put)
		if stopOf(t, err) != retry.StopPrepare || !errors.Is(err, verdict(false)) || first.n != 1 || second.n != 1 || len(events) != 2 {
			t.Errorf("%v; bodies closed %d and %d times; %q", err, first.n, second.n, events)
		}
	})
}

func TestR11ACallThatMayNotBeSentIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen []string
		layer := retry.New(retry.Options{CoolDown: true, MaxAttempts: 1, OnGiveUp: func(_ context.Context, e retry.Event) {
			seen = append(seen, fmt.Sprintf("%s %d %s", e.Attempt.Request.Method, e.Attempt.Number, e.Info.Stop))
		}})(plytest.NewOrigin(plytest.RetryIn(503, 30*time.Second)))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended, end := context.WithCancel(t.Context())
		end()
		for _, req := range []*http.Request{newRequest(t, "GET"), newRequest(t, "PUT").WithContext(short), newRequest(t, "POST").WithContext(ended)} {
			if resp, err := layer.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}
		if diff := cmp.Diff([]string{"GET 1 attempts", "PUT 0 cool-down", "POST 0 canceled"}, seen); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestR4AnAbsurdWaitWithoutACapDoesNotOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		reply := plytest.Status(503, "Retry-After", "99999999999999999999")
		got, err := call(t, retry.Options{MaxRetryAfter: math.MaxInt64}, newRequest(t, "GET").WithContext(ctx), reply)
		if diff := cmp.Diff(told{1, 503, retry.StopDeadline}, got); diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	})
}

func TestR11NothingIsGivenUpOnSuccess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := retry.Options{OnGiveUp: func(context.Context, retry.Event) { t.Error("gave up") }}
		call(t, o, newRequest(t, "GET"), plytest.Status(503), plytest.Text("hello"))
		call(t, o, newRequest(t, "GET"), plytest.Status(404))
	})
}

func TestR12NestedRetriesDoNotMultiply(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for nested, want := range map[bool]int{false: 3, true: 9} {
			origin := plytest.NewOrigin(plytest.Status(503))
			inner := retry.New(retry.Options{Nested: nested})(origin)
			resp, err := do(t, retry.Options{}, inner, newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if origin.Count() != want {
				t.Errorf("Nested %v: %d requests, want %d", nested, origin.Count(), want)
			}
			// The next page is a call of its own, even if it is asked for with the context of the last one.
			origin = plytest.NewOrigin(plytest.Status(503))
			resp, err = do(t, retry.Options{}, origin, newRequest(t, "GET").WithContext(resp.Request.Context()))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if origin.Count() != 3 {
				t.Errorf("next page: %d requests", origin.Count())
			}
		}
	})
}

func TestR13ConnectionsAndStreamsPassThrough(t *testing.T) {
	bubble(t, func(t *testing.T) {
		upgrade := newRequest(t, "GET")
		upgrade.Header.Set("Connection", "Upgrade")
		upgrade.Header.Set("Upgrade", "websocket")
		connect := newRequest(t, "CONNECT")
		for _, req := range []*http.Request{upgrade, connect} {
			n := 0
			var seen *http.Request
			reply := &http.Response{StatusCode: 503, Body: http.NoBody}
			origin := roundTripper(func(r *http.Request) (*http.Response, error) { n++; seen = r; return reply, nil })
			resp, err := do(t, retry.Options{AttemptTimeout: time.Second}, origin, req)
			if n != 1 || resp != reply || err != nil || seen != req {
				t.Errorf("%s: %d requests, %v", req.Method, n, err)
			}
		}

		origin := plytest.NewOrigin(plytest.Reply{Upgrade: func(c net.Conn) { io.Copy(c, c) }})
		resp, err := do(t, retry.Options{AttemptTimeout: time.Second, BodyTimeout: time.Second}, origin, upgrade)
		if err != nil {
			t.Fatal(err)
		}
		conn, ok := resp.Body.(io.ReadWriteCloser)
		if !ok {
			t.Fatal("the connection cannot be written to")
		}
		time.Sleep(time.Minute)
		fmt.Fprint(conn, "ping")
		if b := make([]byte, 4); func() bool { _, err := io.ReadFull(conn, b); return err != nil || string(b) != "ping" }() {
			t.Errorf("read %q", b)
		}
		conn.Close()

		// Nobody asked for an upgrade, and yet.
		resp, err = do(t, retry.Options{AttemptTimeout: time.Second}, plytest.NewOrigin(plytest.Reply{Upgrade: func(c net.Conn) { io.Copy(c, c) }}), newRequest(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := resp.Body.(io.Writer); !ok {
			t.Error("the connection cannot be written to")
		}
		resp.Body.Close()

		stream := newRequest(t, "PUT")
		stream.GetBody, stream.ContentLength = nil, -1
		if got, _ := call(t, retry.Options{}, stream, plytest.ResetConnection()); got != (told{1, 0, retry.StopBody}) {
			t.Errorf("a stream: %+v", got)
		}
	})
}

func TestR14Defaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var waits []time.Duration
		o := retry.Options{OnRetry: func(_ context.Context, e retry.Event) { waits = append(waits, e.Wait) }}
		for range 40 { // of 20 retries that the bucket has, and 3 from the floor
			call(t, o, newRequest(t, "GET"), plytest.ResetConnection())
		}
		if waits[0] == waits[2] {
			t.Error("no jitter")
		}
		layer := retry.New(retry.Options{Backoff: retry.Constant(0)})
		origin := plytest.NewOrigin(plytest.Status(500))
		for range 40 {
			resp, err := layer(origin).RoundTrip(newRequest(t, "GET"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if got := origin.Count(); got != 40+100/5+3 {
			t.Errorf("%d requests for 40 calls: the default budget is not on, or not shared", got)
		}
	})
}

func TestR14PerRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		for _, tt := range []struct {
			name string
			ctx  context.Context
			want int
		}{
			{"layer's own", ctx, 3},
			{"attempts", retry.WithMaxAttempts(ctx, 5), 5},
			{"attempts, once", retry.WithMaxAttempts(ctx, 1), 1},
			{"attempts, zero", retry.WithMaxAttempts(ctx, 0), 3},
			{"disabled", retry.Disable(ctx), 1},
			{"enabled inside", retry.Enable(retry.Disable(ctx)), 3},
			{"options", retry.WithOptions(ctx, retry.Options{MaxAttempts: 4, Rules: []retry.Rule{retry.StatusRule(retry.Retry, 500)}}), 4},
			{"inner options win", retry.WithOptions(retry.WithMaxAttempts(ctx, 9), retry.Options{MaxAttempts: 2}), 2},
			{"field by field", retry.WithMaxAttempts(retry.WithOptions(ctx, retry.Options{Rules: []retry.Rule{retry.StatusRule(retry.Final, 500)}}), 9), 1},
		} {
			origin := plytest.NewOrigin(plytest.Status(500))
			resp, err := do(t, retry.Options{}, origin, newRequest(t, "GET").WithContext(tt.ctx))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if origin.Count() != tt.want {
				t.Errorf("%s: %d requests, want %d", tt.name, origin.Count(), tt.want)
			}
		}
	})
}

// A rule may ask Default itself.
func TestDefaultStandsAlone(t *testing.T) {
	for _, tt := range []struct {
		name string
		a    retry.Attempt
		want retry.Verdict
	}{
		{"lost", retry.Attempt{Err: io.EOF, Wrote: true, Idempotent: true}, retry.Retry},
		{"lost, not idempotent", retry.Attempt{Err: io.EOF, Wrote: true}, retry.Final},
		{"unsent", retry.Attempt{Err: io.EOF}, retry.Retry},
		{"unknown", retry.Attempt{Err: errors.New("x"), Wrote: true, Idempotent: true}, retry.Final},
		{"status", retry.Attempt{Response: &http.Response{StatusCode: 502}, Idempotent: true}, retry.Retry},
	} {
		if got := retry.DefaultRule(&tt.a); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// Hooks that the caller has on its context still fire.
func TestTheCallersTraceStillFires(t *testing.T) {
	var n int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteHeaders: func() { n++ }})
	call(t, retry.Options{}, newRequest(t, "POST").WithContext(ctx), plytest.Text("hello"))
	if n != 1 {
		t.Errorf("fired %d times", n)
	}
}

package retry_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// do sends one request through a layer over origin, inside a bubble where waiting takes no time.
func do(t *testing.T, o retry.Options, origin http.RoundTripper, req *http.Request) (*http.Response, error) {
	t.Helper()
	resp, err := retry.New(o)(origin).RoundTrip(req)
	if (resp == nil) == (err == nil) {
		t.Fatalf("got response %v and error %v, want one of them", resp, err)
	}
	return resp, err
}

func newRequest(t *testing.T, method string) *http.Request {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut {
		body = strings.NewReader("payload")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://example.com/path?token=hush", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestGetIsSentAgainUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Reply{Status: 503}, plytest.Refuse(), plytest.Text("hello"))
		resp, err := do(t, retry.Options{}, origin, newRequest(t, http.MethodGet))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if string(body) != "hello" || err != nil || origin.Count() != 3 {
			t.Errorf("got %q, %v after %d requests", body, err, origin.Count())
		}
	})
}

func TestPostIsSentOnceWhateverTheServerSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{408, 425, 500, 502, 503, 504} {
			origin := plytest.NewOrigin(plytest.Reply{Status: status})
			resp, err := do(t, retry.Options{}, origin, newRequest(t, http.MethodPost))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			info, _ := retry.InfoFrom(resp)
			if origin.Count() != 1 || resp.StatusCode != status || info.Stop != retry.StopMethod {
				t.Errorf("%d: %d requests, status %d, stop %q", status, origin.Count(), resp.StatusCode, info.Stop)
			}
		}
	})
}

func TestDisabledCallsPassUntouched(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Reply{Status: 503}, plytest.Text("hello"))
	req := newRequest(t, http.MethodGet)
	resp, err := do(t, retry.Options{}, origin, req.WithContext(retry.Disable(t.Context())))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, ok := retry.InfoFrom(resp); ok || resp.StatusCode != 503 {
		t.Errorf("status %d, info %v", resp.StatusCode, ok)
	}
}

func TestBadOptionsSendNothing(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("hello"))
	for _, o := range []retry.Options{
		{MaxAttempts: -1}, {MaxElapsed: -1}, {MinAttemptTime: -1}, {AttemptTimeout: -1}, {BodyTimeout: -1}, {MaxRetryAfter: -1},
		{BufferBody: -1}, {Resume: -1}, {Rules: []retry.Rule{nil}}, {AttemptHeader: "a b"},
		{Budget: &retry.TokenBucket{Capacity: -1}}, {Budget: &retry.TokenBucket{Capacity: 1}}, {Budget: (*retry.TokenBucket)(nil)},
	} {
		body := &closes{Reader: strings.NewReader("x")}
		req := newRequest(t, http.MethodPut)
		req.Body = body
		_, err := retry.New(o)(origin).RoundTrip(req)
		var bad *retry.OptionError
		if !errors.As(err, &bad) || origin.Count() != 0 || body.n != 1 {
			t.Errorf("%+v: error %v, %d requests, body closed %d times", o, err, origin.Count(), body.n)
		}
		if diff := cmp.Diff(o.Validate().Error(), err.Error()); diff != "" {
			t.Error(diff)
		}
	}
	if err := (retry.Options{}).Validate(); err != nil {
		t.Error(err)
	}
	ctx := retry.WithMaxAttempts(t.Context(), -1)
	if _, err := retry.New(retry.Options{})(origin).RoundTrip(newRequest(t, "GET").WithContext(ctx)); err == nil {
		t.Error("MaxAttempts(ctx, -1) passes")
	}
}

type closes struct {
	io.Reader
	n int
}

func (c *closes) Close() error { c.n++; return nil }

func TestContract(t *testing.T) {
	for name, o := range map[string]retry.Options{
		"defaults": {},
		"everything": {
			AttemptTimeout: time.Hour, BodyTimeout: time.Hour, BufferBody: 1 << 20, Resume: 3, CoolDown: true,
			IdempotencyKey: retry.RandomKey, AttemptHeader: "X-Attempt", Prepare: func(*http.Request) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, retry.New(o)) })
	}
}

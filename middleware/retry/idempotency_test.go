package retry_test

import (
	"net/http"
	"regexp"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestPostWithKeyOrContextIsIdempotent(t *testing.T) {
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

func TestIdempotencyKeyIsTheSameForAllAttemptsAndHops(t *testing.T) {
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

func TestPostIsSentOnceAfterServerErrors(t *testing.T) {
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

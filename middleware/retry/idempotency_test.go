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

func TestRandomKeysDiffer(t *testing.T) {
	version := regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`)
	keys, digits := map[string]bool{}, map[byte]map[byte]bool{} // at the places of version and variant
	for range 300 {
		key := retry.RandomKey(newRequest(t, "POST"))
		if !version.MatchString(key) {
			t.Fatalf("key %s is no UUID of version 4", key)
		}
		keys[key] = true
		for _, i := range []byte{15, 16, 17, 20, 21, 22} {
			if digits[i] == nil {
				digits[i] = map[byte]bool{}
			}
			digits[i][key[i]] = true
		}
	}
	if n := []int{len(digits[15]), len(digits[16]), len(digits[17]), len(digits[20]), len(digits[21]), len(digits[22])}; len(keys) != 300 || !cmp.Equal(n, []int{1, 16, 16, 4, 16, 16}) {
		t.Errorf("%d keys; digits: %v", len(keys), n)
	}
	if key := retry.RandomKey(newRequest(t, "PUT")); key != "" {
		t.Errorf("a PUT gets the key %s", key)
	}
}

// The hop before had no key: that of the next hop is its own.
func TestIdempotencyKeyOfALaterHop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{"/a": {plytest.Status(307, "Location", "/b")}, "/b": {plytest.Text("")}}}
		o := retry.Options{IdempotencyKey: func(r *http.Request) string { return map[string]string{"/b": "key"}[r.URL.Path] }}
		req := newRequest(t, "POST")
		req.URL.Path = "/a"
		resp, err := (&http.Client{Transport: retry.New(o)(origin)}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if x := origin.Exchanges(); len(x) != 2 || x[0].Header.Get("Idempotency-Key") != "" || x[1].Header.Get("Idempotency-Key") != "key" {
			t.Errorf("%d requests: %v", len(x), x)
		}
	})
}

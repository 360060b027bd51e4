package logging_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func TestCallIDIsTheSameForAttemptsAndHops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/a": {plytest.Status(503), plytest.Status(307, "Location", "/b")},
			"/b": {plytest.Text("hello")},
		}}
		hc := &http.Client{Transport: l(retry.New(retry.Options{})(l(origin)))}
		get := func(req *http.Request) map[string]int {
			b.Reset()
			resp, err := hc.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			testutil.ReadAll(resp.Body)
			ids := map[string]int{}
			for line := range strings.Lines(b.String()) {
				_, id, _ := strings.Cut(strings.TrimSpace(line), "call.id=")
				ids[id]++
			}
			return ids
		}
		req := func() *http.Request {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://example.com/a", nil)
			return r
		}
		ids := get(req())
		for id, n := range ids {
			if len(ids) != 1 || len(id) != 16 || n != 5 {
				t.Errorf("ids %v", ids)
			}
		}
		own := req()
		own = own.WithContext(logging.WithCallID(own.Context(), "mine"))
		header := req()
		header.Header.Set("X-Request-Id", "r1")
		for want, r := range map[string]*http.Request{"mine": own, "r1": header} {
			if ids := get(r); ids[want] == 0 || len(ids) != 1 {
				t.Errorf("ids %v, want %s", ids, want)
			}
		}
	})
}

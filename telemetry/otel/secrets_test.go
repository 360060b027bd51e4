package plyotel_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// A canary wherever a request, a response or an error can have a secret: none may come out of a provider.
func TestNoSecretInSpansAndMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const canary = "c4nary-"
		failing := &url.Error{Op: "dial", URL: "https://u:" + canary + "error@a.test/?t=" + canary + "error", Err: io.EOF}
		secret := []string{"Set-Cookie", "sid=" + canary + "set", "X-Custom", canary + "custom", "Www-Authenticate", "Bearer " + canary + "challenge"}
		origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
			"/ok":      {plytest.Text(`{"password":"`+canary+`body"}`, append(secret, "Content-Type", "application/json", "Cache-Control", "max-age=60", "Vary", "Authorization")...)},
			"/moody":   {plytest.Status(503, secret...), plytest.Text("x", secret...)},
			"/moved":   {plytest.Status(302, "Location", "https://"+canary+"location@b.test/ok?code="+canary+"location")},
			"/nowhere": {plytest.Status(302, "Location", "https://a.test:"+canary+"location/%zz")},
			"/fails":   {plytest.Fail(fmt.Errorf("layer: %w", failing))},
			"/broken":  {{Body: canary + "body", Fault: plytest.CutAfter(10)}},
			"/refuses": {plytest.Status(403, secret...)},
			"/panics":  {plytest.Handle(func(http.ResponseWriter, *http.Request) { panic(canary + "panic") })},
		}}
		s := newRecorded()
		telemetry := s.telemetry(t)
		store, budget := newCache(t), &retry.TokenBucket{}
		_, err := telemetry.ObserveCache("main", store)
		require.NoError(t, err)
		_, err = telemetry.ObserveBudget("main", budget)
		require.NoError(t, err)
		jar, _ := cookiejar.New(nil)
		client, err := ply.New(ply.Options{
			Transport: origin, Jar: jar, UseCall: []ply.Middleware{telemetry.Call},
			Use: []ply.Middleware{telemetry.Call, store.Middleware, retry.New(retry.Options{Budget: budget}), telemetry.Attempt},
		})
		require.NoError(t, err)
		defer client.Close()
		calls := 0
		for path := range origin.Paths {
			for _, method := range []string{"GET", "GET", "POST"} {
				calls++
				req := request(t, ply.WithURLTemplate(t.Context(), path+";sid="+canary+"template?token="+canary+"template"), "https://"+canary+"user:"+canary+"pass@a.test"+path+"?token="+canary+"query&X-Amz-Signature="+canary+"signed#"+canary+"fragment")
				if req.Method = method; method == "POST" {
					req.Body = io.NopCloser(strings.NewReader(`{"client_secret":"` + canary + `body"}`))
				}
				for _, name := range []string{"Authorization", "Cookie", "X-Api-Key", "Proxy-Authorization", "X-Custom"} {
					req.Header.Set(name, canary+"header")
				}
				func() {
					defer func() { recover() }()
					if resp, err := client.Do(req); err == nil {
						testutil.ReadAll(resp.Body)
					}
				}()
			}
		}
		said := strings.Join(append(s.ended(), s.measured(t)...), "\n")
		for _, span := range s.spans.Ended() {
			said += fmt.Sprintf("%v %v %v %v %v\n", span.Attributes(), span.Events(), span.Status(), span.Links(), span.Resource())
		}
		if i := strings.Index(said, canary); i >= 0 {
			t.Errorf("a secret in …%s…", said[max(0, i-300):min(len(said), i+100)])
		}
		if n := len(s.spans.Ended()); n < 3*calls {
			t.Errorf("only %d spans of %d calls", n, calls)
		}
		if n, m := len(s.spans.Started()), len(s.spans.Ended()); n != m {
			t.Errorf("%d spans have begun, %d have ended", n, m)
		}
	})
}

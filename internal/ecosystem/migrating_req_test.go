package ecosystem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/imroc/req/v3"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

func newReq() *req.Client {
	return req.C().
		SetBaseURL("https://api.example.com").
		SetCommonBearerAuthToken("t0k3n").
		SetTimeout(30 * time.Second).
		SetCommonRetryCount(2)
}

func userWithReq(ctx context.Context, client *req.Client, id string) (User, error) {
	var user User
	var problem Problem
	resp, err := client.R().
		SetContext(ctx).
		SetPathParam("id", id).
		SetQueryParam("expand", "teams").
		SetSuccessResult(&user).
		SetErrorResult(&problem).
		Get("/users/{id}")
	if err != nil {
		return User{}, err
	}
	if resp.IsErrorState() {
		return User{}, fmt.Errorf("%s: %s", resp.GetStatus(), problem.Title)
	}
	return user, nil
}

func reqOverCache(c *cache.Cache) *req.Client {
	client := req.C()
	client.GetTransport().WrapRoundTrip(c.Middleware)
	return client
}

func plyOverReq(c *cache.Cache) (*ply.Client, error) {
	transport := req.C().ImpersonateChrome().GetTransport() // a TLS fingerprint, and HTTP/2 settings, of Chrome
	return ply.New(ply.Options{Transport: transport, Use: []ply.Middleware{c.Middleware}})
}

// reqOver is newReq over an origin in memory.
func reqOver(origin http.RoundTripper) *req.Client {
	client := newReq().DisableDebugLog()
	client.GetTransport().WrapRoundTripFunc(func(http.RoundTripper) req.HttpRoundTripFunc { return origin.RoundTrip })
	return client.SetLogger(silent{})
}

func TestMigratingReqTheSameRequestAndTheSameResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirClient, client := reqOver(users(t)), withTransport(t, users(t))
		for _, id := range []string{"7", "8"} {
			theirs, errTheirs := userWithReq(t.Context(), theirClient, id)
			ours, errOurs := userWithPly(t.Context(), client, id)
			same(t, "user", ours, theirs)
			same(t, "error", fmt.Sprint(errOurs), fmt.Sprint(errTheirs))
		}
	})
}

func TestMigratingReqRetries(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		reply  plytest.Reply
		want   int
	}{
		"GET, 503":                      {http.MethodGet, plytest.Status(503), 1},
		"GET, the connection broke":     {http.MethodGet, plytest.ResetConnection(), 3},
		"POST, the connection broke":    {http.MethodPost, plytest.ResetConnection(), 3},
		"POST, refused":                 {http.MethodPost, plytest.Refuse(), 3},
		"GET, no such host":             {http.MethodGet, plytest.NoSuchHost(), 3},
		"a certificate is not verified": {http.MethodGet, plytest.BadCertificate(), 3},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "req", requests(t, c.reply, func(t *testing.T, origin *plytest.Origin) {
				_, _ = reqOver(origin).R().SetContext(t.Context()).SetBody("x").Send(c.method, "/")
			}), c.want)
		})
	}
}

func TestMigratingReqAWaitHeedsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(call func(ctx context.Context)) time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			call(ctx)
			return time.Since(start).Truncate(time.Second)
		}
		same(t, "req", took(func(ctx context.Context) {
			_, _ = reqOver(plytest.NewOrigin(plytest.ResetConnection())).SetCommonRetryFixedInterval(time.Minute).R().SetContext(ctx).Get("/")
		}), 2*time.Minute)
		same(t, "ply", took(func(ctx context.Context) {
			_ = ply.Discard(withTransport(t, plytest.NewOrigin(plytest.RetryIn(503, time.Minute))).Get(ctx, "/"))
		}), 0)
	})
}

func TestMigratingReqOtherDifferences(t *testing.T) {
	for name, c := range map[string]struct {
		reply plytest.Reply
		check func(t *testing.T, client *req.Client, origin *plytest.Origin)
	}{
		"a result without a media type": {plytest.Text(`{"id": 7}`), func(t *testing.T, client *req.Client, _ *plytest.Origin) {
			user, err := userWithReq(t.Context(), client, "7")
			same(t, "user", user, User{ID: 7})
			same(t, "error", err, nil)
		}},
		"no content": {plytest.Status(http.StatusNoContent), func(t *testing.T, client *req.Client, _ *plytest.Origin) {
			_, err := userWithReq(t.Context(), client, "7")
			same(t, "error", err, nil)
		}},
		"the timeout is that of an attempt": {plytest.Stall(), func(t *testing.T, client *req.Client, _ *plytest.Origin) {
			start := time.Now()
			_, _ = client.R().Get("/")
			same(t, "took", time.Since(start).Truncate(time.Second), 90*time.Second)
		}},
		"cookies are kept": {plytest.Text("", "Set-Cookie", "session=1"), func(t *testing.T, client *req.Client, origin *plytest.Origin) {
			_, _ = client.R().Get("/")
			_, _ = client.R().Get("/")
			same(t, "cookie", origin.Exchanges()[1].Header.Get("Cookie"), "session=1")
		}},
		"a body is read whatever its size": {plytest.Text(strings.Repeat("x", 11<<20)), func(t *testing.T, client *req.Client, _ *plytest.Origin) {
			resp, err := client.R().Get("/")
			if err != nil {
				t.Fatal(err)
			}
			same(t, "size", len(resp.Bytes()), 11<<20)
		}},
		"a body that cannot be sent twice": {plytest.Status(200), func(t *testing.T, client *req.Client, origin *plytest.Origin) {
			_, err := client.R().SetBody(struct{ *strings.Reader }{strings.NewReader("x")}).Put("/")
			same(t, "an error before anything is sent", err != nil && origin.Count() == 0, true)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(c.reply)
				c.check(t, reqOver(origin), origin)
			})
		})
	}
}

func TestMigratingReqCanUseTheCache(t *testing.T) {
	s := serve(t, fresh("hello"))
	client := reqOverCache(newCache(t, cache.Options{}))
	for range 2 {
		resp, err := client.R().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "body", resp.String(), "hello")
	}
	s.saw(t, 1)
}

func TestMigratingReqIsATransport(t *testing.T) {
	s := serve(t, fresh("hello"))
	client, err := plyOverReq(newCache(t, cache.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		text, err := ply.Text(client.Get(t.Context(), s.URL))
		same(t, "body", text, "hello")
		same(t, "error", errors.Is(err, nil), true)
	}
	s.saw(t, 1)
}

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

	"github.com/go-resty/resty/v2"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

type User struct {
	ID   int
	Name string
}

type Problem struct{ Title string }

func newResty() *resty.Client {
	return resty.New().
		SetBaseURL("https://api.example.com").
		SetAuthToken("t0k3n").
		SetTimeout(30 * time.Second).
		SetRetryCount(2)
}

func userWithResty(ctx context.Context, client *resty.Client, id string) (User, error) {
	var user User
	var problem Problem
	resp, err := client.R().
		SetContext(ctx).
		SetPathParam("id", id).
		SetQueryParam("expand", "teams").
		SetResult(&user).
		SetError(&problem).
		Get("/users/{id}")
	if err != nil {
		return User{}, err
	}
	if resp.IsError() {
		return User{}, fmt.Errorf("%s: %s", resp.Status(), problem.Title)
	}
	return user, nil
}

func newPlyClient() (*ply.Client, error) {
	return ply.New(ply.Options{
		BaseURL:  "https://api.example.com",
		Defaults: []ply.RequestOption{ply.Bearer("t0k3n")},
		Timeouts: ply.Timeouts{Total: 30 * time.Second},
		Use:      []ply.Middleware{retry.New(retry.Options{})},
	})
}

func userWithPly(ctx context.Context, client *ply.Client, id string) (User, error) {
	user, err := ply.JSON[User](client.Get(ctx, "/users/{id}", ply.PathValue("id", id), ply.Query("expand", "teams")))
	var failed *ply.StatusError
	if errors.As(err, &failed) {
		var problem Problem
		if failed.JSON(&problem) == nil {
			return User{}, fmt.Errorf("%s: %s", failed.Status, problem.Title)
		}
	}
	return user, err
}

func restyOverPly(c *cache.Cache) *resty.Client {
	hc := &http.Client{Transport: ply.Chain(c.Middleware, retry.New(retry.Options{}))(http.DefaultTransport)}
	return resty.NewWithClient(hc).SetRetryCount(0)
}

// withTransport is newPlyClient over an origin in memory.
func withTransport(t *testing.T, origin http.RoundTripper) *ply.Client {
	t.Helper()
	client, err := newPlyClient()
	if err != nil {
		t.Fatal(err)
	}
	client, err = client.With(func(o *ply.Options) { o.Transport = origin })
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// users answers as an API does, and sees that each library sends the same request.
func users(t *testing.T) *plytest.Origin {
	t.Helper()
	return plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		same(t, "query", r.URL.RawQuery, "expand=teams")
		same(t, "authorization", r.Header.Get("Authorization"), "Bearer t0k3n")
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/users/7" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"title": "no such user"}`)
			return
		}
		fmt.Fprint(w, `{"id": 7, "name": "Ada"}`)
	}))
}

func TestMigratingRestyTheSameRequestAndTheSameResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resty, client := newResty().SetTransport(users(t)), withTransport(t, users(t))
		for _, id := range []string{"7", "8"} {
			theirs, errTheirs := userWithResty(t.Context(), resty, id)
			ours, errOurs := userWithPly(t.Context(), client, id)
			same(t, "user", ours, theirs)
			same(t, "error", fmt.Sprint(errOurs), fmt.Sprint(errTheirs))
		}
		same(t, "user 8", fmt.Sprint(userWithPly(t.Context(), client, "8")), "{0 } 404 Not Found: no such user")
	})
}

// requests reports how many requests a call makes that meets these replies.
func requests(t *testing.T, reply plytest.Reply, call func(*testing.T, *plytest.Origin)) (n int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(reply)
		call(t, origin)
		n = origin.Count()
	})
	return n
}

func TestMigratingRestyRetries(t *testing.T) {
	for name, c := range map[string]struct {
		method       string
		reply        plytest.Reply
		theirs, ours int
	}{
		"GET, 503":                      {http.MethodGet, plytest.Status(503), 1, 3},
		"GET, the connection broke":     {http.MethodGet, plytest.ResetConnection(), 3, 3},
		"POST, 503":                     {http.MethodPost, plytest.Status(503), 1, 1},
		"POST, the connection broke":    {http.MethodPost, plytest.ResetConnection(), 3, 1},
		"POST, refused":                 {http.MethodPost, plytest.Refuse(), 3, 3},
		"GET, no such host":             {http.MethodGet, plytest.NoSuchHost(), 3, 1},
		"a certificate is not verified": {http.MethodGet, plytest.BadCertificate(), 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "resty", requests(t, c.reply, func(t *testing.T, origin *plytest.Origin) {
				_, _ = newResty().SetTransport(origin).SetLogger(silent{}).R().SetContext(t.Context()).SetBody("x").Execute(c.method, "/")
			}), c.theirs)
			same(t, "ply", requests(t, c.reply, func(t *testing.T, origin *plytest.Origin) {
				client := withTransport(t, origin)
				req, err := client.NewRequest(t.Context(), c.method, "/", ply.BodyString("x"))
				if err != nil {
					t.Fatal(err)
				}
				_ = ply.Discard(client.Do(req))
			}), c.ours)
		})
	}
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}

func TestMigratingRestyTheResultNeedsNoMediaType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reply := plytest.Text(`{"id": 7}`)
		theirs, err := userWithResty(t.Context(), newResty().SetTransport(plytest.NewOrigin(reply)), "7")
		same(t, "resty", theirs, User{})
		same(t, "resty", err, nil)
		ours, err := userWithPly(t.Context(), withTransport(t, plytest.NewOrigin(reply)), "7")
		same(t, "ply", ours, User{ID: 7})
		same(t, "ply", err, nil)
	})
}

func TestMigratingRestyNoContentIsAnErrorForAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reply := plytest.Status(http.StatusNoContent)
		_, err := userWithResty(t.Context(), newResty().SetTransport(plytest.NewOrigin(reply)), "7")
		same(t, "resty", err, nil)
		_, err = userWithPly(t.Context(), withTransport(t, plytest.NewOrigin(reply)), "7")
		same(t, "ply", errors.Is(err, ply.ErrEmptyBody), true)
	})
}

func TestMigratingRestyTheTimeoutIsThatOfTheCall(t *testing.T) {
	took := func(call func(*testing.T, *plytest.Origin)) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			call(t, plytest.NewOrigin(plytest.Stall()))
			d = time.Since(start).Truncate(time.Second)
		})
		return d
	}
	same(t, "resty", took(func(t *testing.T, origin *plytest.Origin) {
		_, _ = newResty().SetTransport(origin).SetLogger(silent{}).SetRetryWaitTime(time.Millisecond).SetRetryMaxWaitTime(time.Millisecond).R().Get("/")
	}), 90*time.Second)
	same(t, "ply", took(func(t *testing.T, origin *plytest.Origin) {
		_ = ply.Discard(withTransport(t, origin).Get(t.Context(), "/"))
	}), 30*time.Second)
}

func TestMigratingRestyCookiesNeedAJar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := func(call func(*testing.T, *plytest.Origin)) bool {
			origin := plytest.NewOrigin(plytest.Text("", "Set-Cookie", "session=1"))
			call(t, origin)
			call(t, origin)
			return origin.Exchanges()[origin.Count()-1].Header.Get("Cookie") != ""
		}
		theirs := newResty()
		same(t, "resty", sent(func(t *testing.T, origin *plytest.Origin) { _, _ = theirs.SetTransport(origin).R().Get("/") }), true)
		ours := map[*plytest.Origin]*ply.Client{}
		same(t, "ply", sent(func(t *testing.T, origin *plytest.Origin) {
			if ours[origin] == nil {
				ours[origin] = withTransport(t, origin)
			}
			_ = ply.Discard(ours[origin].Get(t.Context(), "/"))
		}), false)
	})
}

func TestMigratingRestyLargeBodiesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := plytest.Text(strings.Repeat("x", 11<<20))
		resp, err := newResty().SetTransport(plytest.NewOrigin(large)).R().Get("/")
		if err != nil {
			t.Fatal(err)
		}
		same(t, "resty", len(resp.Body()), 11<<20)
		_, err = ply.Bytes(withTransport(t, plytest.NewOrigin(large)).Get(t.Context(), "/"))
		var limit *ply.BodyLimitError
		same(t, "ply", errors.As(err, &limit), true)
	})
}

func TestMigratingRestyCanUseTheLayers(t *testing.T) {
	c := newCache(t, cache.Options{})
	s := serve(t, fresh("hello"))
	client := restyOverPly(c)
	for range 2 {
		resp, err := client.R().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "body", resp.String(), "hello")
	}
	s.saw(t, 1)
}

package ecosystem

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"resty.dev/v3"

	"github.com/plyhttp/ply/plytest"
)

func newResty3() *resty.Client {
	return resty.New().
		SetBaseURL("https://api.example.com").
		SetAuthToken("t0k3n").
		SetTimeout(30 * time.Second).
		SetRetryCount(2)
}

func userWithResty3(ctx context.Context, client *resty.Client, id string) (User, error) {
	var user User
	var problem Problem
	resp, err := client.R().
		SetContext(ctx).
		SetPathParam("id", id).
		SetQueryParam("expand", "teams").
		SetResult(&user).
		SetResultError(&problem).
		Get("/users/{id}")
	if err != nil {
		return User{}, err
	}
	if resp.IsStatusFailure() {
		return User{}, fmt.Errorf("%s: %s", resp.Status(), problem.Title)
	}
	return user, nil
}

func TestMigratingResty3TheSameRequestAndTheSameResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resty, client := newResty3().SetTransport(users(t)), withTransport(t, users(t))
		defer resty.Close()
		for _, id := range []string{"7", "8"} {
			theirs, errTheirs := userWithResty3(t.Context(), resty, id)
			ours, errOurs := userWithPly(t.Context(), client, id)
			same(t, "user", ours, theirs)
			same(t, "error", fmt.Sprint(errOurs), fmt.Sprint(errTheirs))
		}
	})
}

// SetRetryCount alone makes v3 retry only errors that url.Error calls temporary. Statuses need conditions.
func TestMigratingResty3Retries(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		reply  plytest.Reply
		want   int
	}{
		"GET, 503":                      {http.MethodGet, plytest.Status(503), 1},
		"GET, the connection broke":     {http.MethodGet, plytest.ResetConnection(), 1},
		"POST, 503":                     {http.MethodPost, plytest.Status(503), 1},
		"POST, the connection broke":    {http.MethodPost, plytest.ResetConnection(), 1},
		"POST, refused":                 {http.MethodPost, plytest.Refuse(), 1},
		"GET, no such host":             {http.MethodGet, plytest.NoSuchHost(), 1},
		"a certificate is not verified": {http.MethodGet, plytest.BadCertificate(), 1},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "resty", requests(t, c.reply, func(t *testing.T, origin *plytest.Origin) {
				client := newResty3().SetTransport(origin).SetLogger(silent{})
				defer client.Close()
				_, _ = client.R().SetContext(t.Context()).Execute(c.method, "/")
			}), c.want)
		})
	}
	same(t, "with a condition", requests(t, plytest.Status(503), func(t *testing.T, origin *plytest.Origin) {
		client := newResty3().SetTransport(origin).SetLogger(silent{}).AddRetryConditions(resty.RetryConditionStatus5XX)
		defer client.Close()
		_, _ = client.R().SetContext(t.Context()).Get("/")
	}), 3)
}

func TestMigratingResty3IsLikeV2Otherwise(t *testing.T) {
	for name, c := range map[string]struct {
		reply plytest.Reply
		check func(t *testing.T, client *resty.Client, origin *plytest.Origin)
	}{
		"the result needs a media type": {plytest.Text(`{"id": 7}`), func(t *testing.T, client *resty.Client, _ *plytest.Origin) {
			user, err := userWithResty3(t.Context(), client, "7")
			same(t, "user", user, User{})
			same(t, "error", err, nil)
		}},
		"no content is no error": {plytest.Status(http.StatusNoContent), func(t *testing.T, client *resty.Client, _ *plytest.Origin) {
			_, err := userWithResty3(t.Context(), client, "7")
			same(t, "error", err, nil)
		}},
		"the timeout is that of an attempt": {plytest.Stall(), func(t *testing.T, client *resty.Client, _ *plytest.Origin) {
			start := time.Now()
			_, _ = client.SetRetryWaitTime(time.Millisecond).SetRetryMaxWaitTime(time.Millisecond).R().Get("/")
			same(t, "took", time.Since(start).Truncate(time.Second), 90*time.Second)
		}},
		"cookies are kept": {plytest.Text("", "Set-Cookie", "session=1"), func(t *testing.T, client *resty.Client, origin *plytest.Origin) {
			_, _ = client.R().Get("/")
			_, _ = client.R().Get("/")
			same(t, "cookie", origin.Exchanges()[1].Header.Get("Cookie"), "session=1")
		}},
		"a body is read whatever its size": {plytest.Text(strings.Repeat("x", 11<<20)), func(t *testing.T, client *resty.Client, _ *plytest.Origin) {
			resp, err := client.R().Get("/")
			if err != nil {
				t.Fatal(err)
			}
			same(t, "size", len(resp.Bytes()), 11<<20)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				origin := plytest.NewOrigin(c.reply)
				client := newResty3().SetTransport(origin).SetLogger(silent{})
				defer client.Close()
				c.check(t, client, origin)
			})
		})
	}
}

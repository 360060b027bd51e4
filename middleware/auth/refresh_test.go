package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
)

func all(string) bool { return true }

// newAPI returns an origin that answers with the token that it got, and a layer over it.
func newAPI(o auth.Options) (*plytest.Origin, http.RoundTripper) {
	origin := plytest.NewHandlerOrigin(accepting(all))
	if o.Origins == nil {
		o.Origins = []string{api}
	}
	return origin, auth.New(o)(origin)
}

func TestHerdWaitsForOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{took: time.Second, life: time.Hour}
		origin, rt := newAPI(auth.Options{Source: source})
		var herd sync.WaitGroup
		for range 1000 {
			herd.Go(func() {
				if status, token := get(t, rt, api); status != 200 || token != "t1" {
					t.Errorf("%d %q", status, token)
				}
			})
		}
		herd.Wait()
		if source.asked() != 1 || origin.Count() != 1000 {
			t.Errorf("the source was asked %d times for %d requests, want 1 for 1000", source.asked(), origin.Count())
		}
	})
}

// While the old token is good, no request waits for the new one.
func TestTokenIsRenewedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan auth.Refresh, 9)
		source := &issuer{took: 2 * time.Second, life: 100 * time.Second, principal: "alice"}
		_, rt := newAPI(auth.Options{Source: source, OnRefresh: func(r auth.Refresh) { seen <- r }})
		get(t, rt, api)
		time.Sleep(79 * time.Second) // renewed a fifth of the lifetime before the end
		_, token := get(t, rt, api)
		require.Equal(t, "t1", token)
		require.Equal(t, 1, source.asked())
		time.Sleep(2 * time.Second)
		for range 100 {
			began := time.Now()
			_, token := get(t, rt, api)
			require.Equal(t, "t1", token)
			require.Zero(t, time.Since(began), "a request has waited")
		}
		time.Sleep(3 * time.Second)
		_, token = get(t, rt, api)
		require.Equal(t, "t2", token)
		require.Equal(t, 2, source.asked())
		<-seen
		second := <-seen
		require.Equal(t, "alice", second.Principal)
		require.Equal(t, 2*time.Second, second.Duration)
		require.False(t, second.Rejected)
		require.WithinDuration(t, time.Now().Add(100*time.Second), second.Expires, 2*time.Second)
		require.NoError(t, second.Err)
	})
}

// A token counts as expired ClockSkew before it is.
func TestExpiredTokenIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{life: 200 * time.Second}
		_, rt := newAPI(auth.Options{Source: source, RefreshBefore: time.Second})
		get(t, rt, api)
		time.Sleep(189 * time.Second)
		_, token := get(t, rt, api)
		require.Equal(t, "t1", token)
		time.Sleep(2 * time.Second)
		_, token = get(t, rt, api)
		require.Equal(t, "t2", token)
	})
}

// Our clock may be ahead of the issuer's: a token that comes expired is used, and the source is not asked for each request.
func TestTokenThatComesExpiredIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{life: -time.Hour}
		_, rt := newAPI(auth.Options{Source: source})
		for range 5 {
			_, token := get(t, rt, api)
			require.Equal(t, "t1", token)
			time.Sleep(time.Second)
		}
		require.Equal(t, 1, source.asked())
		time.Sleep(10 * time.Second)
		_, token := get(t, rt, api)
		require.Equal(t, "t2", token, "it was believed for good")
	})
}

var errDown = errors.New("issuer is down")

func TestFailureIsRememberedForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{fail: func(int) error { return errDown }}
		origin, rt := newAPI(auth.Options{Source: source})
		for range 600 { // a minute of ten requests a second
			_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
			var failed *auth.Error
			require.ErrorAs(t, err, &failed)
			require.ErrorIs(t, err, errDown)
			require.Equal(t, "token", failed.Op)
			require.False(t, failed.Until.IsZero())
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 6, source.asked()) // after 0, 1, 3, 7, 15, 31 seconds
		require.Zero(t, origin.Count())
		source.fail = func(call int) error {
			if call == 7 { // after which a failure is held for a second again
				return nil
			}
			return errDown
		}
		source.life = 10 * time.Second
		time.Sleep(time.Minute)
		_, token := get(t, rt, api)
		require.Equal(t, "t1", token)
		time.Sleep(time.Hour)
		get(t, rt, api)
		get(t, rt, api)
		require.Equal(t, 8, source.asked())
		time.Sleep(time.Second)
		get(t, rt, api)
		require.Equal(t, 9, source.asked())
	})
}

// A source that fails costs nothing as long as the old token is good, and an expired one is left to the server to judge.
func TestOldTokenServesWhileTheSourceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{life: 100 * time.Second, fail: func(call int) error {
			if call > 1 {
				return errDown
			}
			return nil
		}}
		began := time.Now()
		origin := plytest.NewHandlerOrigin(accepting(func(string) bool { return time.Since(began) < 120*time.Second }))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
		for time.Since(began) < 120*time.Second {
			status, token := get(t, rt, api)
			require.Equal(t, 200, status)
			require.Equal(t, "t1", token)
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, source.asked(), 10)
		_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
		require.ErrorIs(t, err, errDown)
	})
}

func TestSourceThatIsTooSlowFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		seen := make(chan auth.Refresh, 1)
		hook := func(r auth.Refresh) { seen <- r }
		_, rt := newAPI(auth.Options{RefreshTimeout: time.Second, OnRefresh: hook, Source: auth.SourceFunc(func(context.Context) (auth.Token, error) {
			<-release // though it should not
			return auth.Token{Value: "late"}, nil
		})})
		_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())
		close(release)
		require.ErrorContains(t, (<-seen).Err, "RefreshTimeout", "a token that came too late is taken for one")
	})
}

func TestSourceThatPanicsOrExitsFails(t *testing.T) {
	for name, source := range map[string]auth.SourceFunc{
		"panics": func(context.Context) (auth.Token, error) { panic("Authorization: Bearer s3cr3tt0k3n") },
		"exits":  func(context.Context) (auth.Token, error) { runtime.Goexit(); return auth.Token{}, nil },
		"empty":  func(context.Context) (auth.Token, error) { return auth.Token{}, nil },
		"unfit":  func(context.Context) (auth.Token, error) { return auth.Token{Value: "a\nb"}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			origin, rt := newAPI(auth.Options{Source: source})
			_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
			var failed *auth.Error
			require.ErrorAs(t, err, &failed)
			require.NotContains(t, err.Error(), "s3cr3t")
			require.Zero(t, origin.Count())
			var panicked *auth.PanicError
			require.Equal(t, name == "panics", errors.As(err, &panicked))
			require.NotContains(t, fmt.Sprintf("%v %#v", panicked, panicked), "s3cr3t")
			require.Equal(t, name == "exits", strings.Contains(err.Error(), "ended its goroutine"), err)
		})
	}
}

// Who gives up is free at once, and the others get the token.
func TestCanceledCallerLeavesTheRefreshToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{took: 10 * time.Second}
		_, rt := newAPI(auth.Options{Source: source})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		var others sync.WaitGroup
		gone := make(chan error, 1)
		go func() {
			_, err := rt.RoundTrip(newRequest(t, ctx, "GET", api, "")) // the one for whom the source is asked
			gone <- err
		}()
		synctest.Wait()
		for range 10 {
			others.Go(func() { get(t, rt, api) })
		}
		require.ErrorIs(t, <-gone, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		others.Wait()
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, 1, source.asked())
	})
}

type userKey struct{}

func accountOf(r *http.Request) (string, error) {
	user, ok := r.Context().Value(userKey{}).(string)
	if !ok {
		return "", errors.New("no user")
	}
	return user, nil
}

func as(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

func TestEachAccountHasItsToken(t *testing.T) {
	var asked atomic.Int32
	_, rt := newAPI(auth.Options{MaxAccounts: 2, Account: accountOf, Source: auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
		asked.Add(1)
		if ctx.Value(userKey{}) != nil {
			t.Error("the source sees the context of a caller")
		}
		return auth.Token{Value: "of " + auth.AccountFromContext(ctx)}, nil
	})})
	for range 3 {
		for _, user := range []string{"alice", "bob"} {
			_, token := send(t, rt, newRequest(t, as(t.Context(), user), "GET", api, ""))
			require.Equal(t, "of "+user, token)
		}
	}
	require.EqualValues(t, 2, asked.Load())
	send(t, rt, newRequest(t, as(t.Context(), "carol"), "GET", api, "")) // and alice's token goes
	send(t, rt, newRequest(t, as(t.Context(), "alice"), "GET", api, ""))
	require.EqualValues(t, 4, asked.Load())
	_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
	var failed *auth.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "account", failed.Op)
}

// A source may use the client that it has the tokens for: what it sends needs none.
func TestSourceUsesItsOwnClient(t *testing.T) {
	var client *http.Client
	source := auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
		r, err := http.NewRequestWithContext(ctx, "POST", api+"/token", nil)
		if err != nil {
			return auth.Token{}, err
		}
		resp, err := client.Do(r)
		if err != nil {
			return auth.Token{}, err
		}
		defer resp.Body.Close()
		return auth.Token{Value: "t"}, nil
	})
	origin, rt := newAPI(auth.Options{Source: source})
	client = &http.Client{Transport: rt}
	_, token := get(t, rt, api)
	require.Equal(t, "t", token)
	require.Empty(t, origin.Exchanges()[0].Header.Get("Authorization"))
}

// A call that had to wait for a token says so in its notes.
func TestWaitForATokenIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, rt := newAPI(auth.Options{Source: &issuer{took: time.Second}})
		ctx, notes := note.Collect(t.Context())
		send(t, rt, newRequest(t, ctx, "GET", api, ""))
		send(t, rt, newRequest(t, ctx, "GET", api, ""))
		require.Len(t, notes(), 1)
		require.Equal(t, "auth waited for a token, 1s", notes()[0].String())
	})
}

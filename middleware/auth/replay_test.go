package auth_test

import (
	"context"
	"io"
	"net/http"
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

// newer accepts all tokens but the first.
func newer(token string) bool { return token != "t1" }

func TestReplayAfter401(t *testing.T) {
	const post = "POST"
	for _, test := range []struct {
		name      string
		method    string
		body      string
		unsized   bool // the body has no GetBody
		same      bool // the source has but one token
		fail      bool // the source fails after the first token
		challenge []string
		accepts   func(string) bool

		status   int
		sent     int
		asked    int
		authWord string
		reason   string
	}{
		{name: "without a body", status: 200, sent: 2, asked: 2, authWord: auth.StatusReplayed},
		{name: "with a body", method: post, body: "content", status: 200, sent: 2, asked: 2, authWord: auth.StatusReplayed},
		{name: "with a body that is gone", method: post, body: "content", unsized: true, status: 401, sent: 1, asked: 2, authWord: auth.StatusRejected, reason: "the body cannot be sent again"},
		{name: "no other token", same: true, status: 401, sent: 1, asked: 2, authWord: auth.StatusRejected, reason: "the source has no other token"},
		{name: "the source fails", fail: true, status: 401, sent: 1, asked: 2, authWord: auth.StatusRejected, reason: "the source has failed"},
		{name: "refused again", accepts: func(string) bool { return false }, status: 401, sent: 2, asked: 2, authWord: auth.StatusRejected, reason: "another token was refused as well"},
		{name: "invalid_token", challenge: []string{`Basic realm="a, b"`, `bearer realm="x", error="invalid_token"`}, status: 200, sent: 2, asked: 2, authWord: auth.StatusReplayed},
		{name: "invalid_request", challenge: []string{`Bearer error="invalid_request"`}, status: 401, sent: 1, asked: 1, authWord: auth.StatusRejected, reason: "invalid_request"},
		{name: "insufficient_scope", challenge: []string{`Bearer realm="x", scope="a b", error="insufficient_scope"`}, status: 401, sent: 1, asked: 1, authWord: auth.StatusRejected, reason: "insufficient_scope"},
		{name: "another scheme", challenge: []string{`Basic realm="Bearer"`, "Negotiate"}, status: 401, sent: 1, asked: 1, authWord: auth.StatusRejected, reason: "the server asks for another scheme"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &issuer{same: test.same, fail: func(call int) error {
					if test.fail && call > 1 {
						return errDown
					}
					return nil
				}}
				accepts := newer
				if test.accepts != nil {
					accepts = test.accepts
				}
				origin := plytest.NewHandlerOrigin(accepting(accepts, test.challenge...))
				rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
				ctx, info := auth.WithInfo(t.Context())
				r := newRequest(t, ctx, test.method, api, test.body)
				if test.unsized {
					r.Body, r.GetBody, r.ContentLength = io.NopCloser(strings.NewReader(test.body)), nil, -1
				}
				status, text := send(t, rt, r)
				synctest.Wait()
				require.Equal(t, test.status, status)
				if status == 401 {
					require.True(t, strings.HasPrefix(text, "no: "), "the answer of the server is not whole: %q", text)
				}
				seen := origin.Exchanges()
				require.Len(t, seen, test.sent)
				for _, x := range seen {
					require.Equal(t, test.body, string(x.Body))
					require.True(t, x.BodyClosed)
				}
				require.Equal(t, test.asked, source.asked())
				i, ok := info()
				require.True(t, ok)
				require.Equal(t, auth.Info{Status: test.authWord, Reason: test.reason}, i)
				require.Empty(t, r.Header, "the request was changed")
			})
		})
	}
}

// A request whose body is gone has the token renewed for those who come after it.
func TestBodyThatIsGoneRenewsForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewHandlerOrigin(accepting(newer))
		rt := auth.New(auth.Options{Source: &issuer{}, Origins: []string{api}})(origin)
		upload := func() int {
			r := newRequest(t, t.Context(), "POST", api, "")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), -1
			status, _ := send(t, rt, r)
			return status
		}
		require.Equal(t, 401, upload())
		synctest.Wait()
		require.Equal(t, 200, upload())
	})
}

// Of a thousand requests that meet a 401 with one token, in any order, one has it renewed.
func TestHerdThatIsRefusedRenewsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{took: time.Second}
		answer := accepting(newer)
		n := 0
		var mu sync.Mutex
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			n++
			late := time.Duration(n%7) * 400 * time.Millisecond // some hear of it when the new token is there already
			mu.Unlock()
			time.Sleep(late)
			answer(w, r)
		}))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
		var herd sync.WaitGroup
		for range 1000 {
			herd.Go(func() {
				if status, token := get(t, rt, api); status != 200 || token != "t2" {
					t.Errorf("%d %q", status, token)
				}
			})
		}
		herd.Wait()
		require.Equal(t, 2, source.asked())
		require.Equal(t, 2000, origin.Count())
	})
}

// A URL that answers 401 to each token does not have the source asked for each request.
func TestRenewalInVainIsNotRepeatedAtOnce(t *testing.T) {
	for name, same := range map[string]bool{"new tokens": false, "one token": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &issuer{same: same}
				origin := plytest.NewHandlerOrigin(accepting(func(string) bool { return false }))
				rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
				for range 600 {
					status, _ := get(t, rt, api)
					require.Equal(t, 401, status)
					time.Sleep(100 * time.Millisecond)
				}
				require.LessOrEqual(t, source.asked(), 8)
				require.GreaterOrEqual(t, source.asked(), 6)
			})
		})
	}
}

// The source is told which token was refused, so that one that keeps tokens does not yield it again.
func TestSourceLearnsWhatWasRefused(t *testing.T) {
	var refused []string
	source := auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
		if t, ok := auth.RejectedFromContext(ctx); ok {
			refused = append(refused, t.Value)
			return auth.Token{Value: "t2"}, nil
		}
		return auth.Token{Value: "t1"}, nil
	})
	seen := make(chan auth.Refresh, 2)
	hook := func(r auth.Refresh) { seen <- r }
	rt := auth.New(auth.Options{Source: source, OnRefresh: hook, Origins: []string{api}})(plytest.NewHandlerOrigin(accepting(newer)))
	status, _ := get(t, rt, api)
	require.Equal(t, 200, status)
	require.Equal(t, []string{"t1"}, refused)
	rejected := 0
	for range 2 {
		if (<-seen).Rejected {
			rejected++
		}
	}
	require.Equal(t, 1, rejected)
}

func TestCallerWhoGoesDuringAReplayIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
			if _, ok := auth.RejectedFromContext(ctx); ok {
				<-ctx.Done()
				return auth.Token{}, ctx.Err()
			}
			return auth.Token{Value: "t1"}, nil
		})
		origin := plytest.NewHandlerOrigin(accepting(newer))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		ctx, info := auth.WithInfo(ctx)
		ctx, notes := note.Collect(ctx)
		_, err := rt.RoundTrip(newRequest(t, ctx, "GET", api, ""))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		i, _ := info()
		require.Equal(t, auth.Info{Status: auth.StatusFailed, Reason: "the caller has gone"}, i)
		require.Len(t, notes(), 1)
		require.True(t, origin.Exchanges()[0].BodyClosed)
		time.Sleep(time.Minute)
	})
}

// However many requests were refused in vain, and over whatever time, that counts once: the next renewal is not far.
func TestHerdThatIsRefusedInVainCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{took: time.Second} // so that all of them begin with the first
		answer := accepting(func(token string) bool { return token == "t3" })
		var n atomic.Int64
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if i := n.Add(1); r.Header.Get("Authorization") == "Bearer t2" && i <= 100 {
				time.Sleep(time.Duration(i) * time.Minute)
			}
			answer(w, r)
		}))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
		var herd sync.WaitGroup
		for range 50 {
			herd.Go(func() { get(t, rt, api) })
		}
		herd.Wait()
		require.Equal(t, 2, source.asked())
		time.Sleep(time.Second)
		status, _ := get(t, rt, api)
		require.Equal(t, 200, status)
	})
}

// A renewal that has helped makes the next one in vain as good as the first.
func TestRenewalThatHelpsEndsTheHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := map[string]bool{}
		origin := plytest.NewHandlerOrigin(accepting(func(token string) bool { return good[token] }))
		source := &issuer{}
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
		for range 5 { // in vain, with a longer hold each time
			get(t, rt, api)
			time.Sleep(time.Minute)
		}
		good["t7"] = true
		status, _ := get(t, rt, api)
		require.Equal(t, 200, status)
		good["t7"] = false
		get(t, rt, api) // in vain again, for a second
		time.Sleep(time.Second)
		asked := source.asked()
		get(t, rt, api)
		require.Equal(t, asked+1, source.asked())
	})
}

package auth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest"
)

// closing counts how often a body is closed.
type closing struct {
	io.Reader
	closed atomic.Int32
}

func (c *closing) Close() error { c.closed.Add(1); return nil }

// A request that fails in a layer has its body closed, once, and the word for what happened is "failed".
func TestFailuresCloseTheBodyAndSayWhy(t *testing.T) {
	refusing := plytest.NewOrigin(plytest.Status(http.StatusUnauthorized))
	signer := auth.SignerFunc(func(*http.Request) error { return errDown })
	fails := 0
	second := &challenger{}
	tokens := func(s auth.Source) http.RoundTripper {
		return auth.New(auth.Options{Source: s, Origins: []string{api}})(refusing)
	}
	signs := func(s auth.Signer) http.RoundTripper {
		return auth.Sign(auth.SignOptions{Signer: s, Origins: []string{api}})(refusing)
	}
	for name, test := range map[string]struct {
		rt     http.RoundTripper
		gone   bool
		reason string // "" for none at all
	}{
		"wrong options":            {rt: auth.New(auth.Options{})(refusing)},
		"wrong options to sign":    {rt: auth.Sign(auth.SignOptions{})(refusing)},
		"no token":                 {rt: tokens(auth.SourceFunc(func(context.Context) (auth.Token, error) { return auth.Token{}, errDown })), reason: "no token"},
		"a caller who has gone":    {rt: tokens(&issuer{took: time.Hour}), gone: true, reason: "the caller has gone"},
		"no signature":             {rt: signs(signer), reason: "no signature"},
		"no second signature":      {rt: signs(struct{ auth.Challenger }{&failing{second, &fails}}), reason: "no signature"},
		"a challenge that is none": {rt: signs(&challenger{err: errDown}), reason: "no signature"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, info := auth.WithInfo(t.Context())
				if test.gone {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Second)
					defer cancel()
				}
				var bodies []*closing
				fresh := func() (io.ReadCloser, error) {
					bodies = append(bodies, &closing{Reader: strings.NewReader("content")})
					return bodies[len(bodies)-1], nil
				}
				r := newRequest(t, ctx, "POST", api, "content")
				r.Body, _ = fresh()
				r.GetBody = fresh
				_, err := test.rt.RoundTrip(r)
				require.Error(t, err)
				synctest.Wait()
				for i, b := range bodies {
					require.EqualValues(t, 1, b.closed.Load(), "body %d", i)
				}
				i, known := info()
				require.Equal(t, test.reason != "", known)
				if known {
					require.Equal(t, auth.Info{Status: auth.StatusFailed, Reason: test.reason}, i)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// failing signs once and not again.
type failing struct {
	*challenger
	signed *int
}

func (f *failing) Sign(r *http.Request) error {
	if *f.signed++; *f.signed > 1 {
		return errDown
	}
	return f.challenger.Sign(r)
}

// The words of requests that were sent: each is told when the layer is done.
func TestWordsOfSentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{life: 100 * time.Second}
		_, rt := newAPI(auth.Options{Source: source})
		word := func(ctx context.Context, rt http.RoundTripper, url string) auth.Info {
			ctx, info := auth.WithInfo(ctx)
			send(t, rt, newRequest(t, ctx, "GET", url, ""))
			i, _ := info()
			return i
		}
		require.Equal(t, auth.Info{Status: auth.StatusRenewed}, word(t.Context(), rt, api))
		require.Equal(t, auth.Info{Status: auth.StatusAdded}, word(t.Context(), rt, api))
		require.Equal(t, auth.Info{Status: auth.StatusSkipped, Reason: "disabled"}, word(auth.Disable(t.Context()), rt, api))
		require.Equal(t, auth.Info{Status: auth.StatusSkipped, Reason: "another origin"}, word(t.Context(), rt, "https://b.test"))
		sign := auth.Sign(auth.SignOptions{Signer: signer("s"), Origins: []string{api}})(plytest.NewOrigin())
		require.Equal(t, auth.Info{Status: auth.StatusSigned}, word(t.Context(), sign, api))
		require.Equal(t, auth.Info{Status: auth.StatusSkipped, Reason: "another origin"}, word(t.Context(), sign, "https://b.test"))
		both := auth.New(auth.Options{Source: source, Origins: []string{api}})(sign)
		require.Equal(t, auth.Info{Status: auth.StatusRenewed}, word(t.Context(), both, api), "what the layer above did counts")
	})
}

// An expired token that is refused while the issuer is down ends in the issuer's error, with the answer closed.
func TestExpiredTokenThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{life: time.Minute, fail: func(call int) error {
			if call > 1 {
				return errDown
			}
			return nil
		}}
		origin := plytest.NewOrigin(plytest.Text("x"), plytest.Status(401))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(origin)
		get(t, rt, api)
		time.Sleep(time.Hour)
		ctx, info := auth.WithInfo(t.Context())
		_, err := rt.RoundTrip(newRequest(t, ctx, "GET", api, ""))
		require.ErrorIs(t, err, errDown)
		i, _ := info()
		require.Equal(t, auth.Info{Status: auth.StatusFailed, Reason: "the token has expired, and there is no newer one"}, i)
		require.True(t, origin.Exchanges()[1].BodyClosed)
	})
}

// What ends a replay on its way is the error of the request.
func TestReplayThatBreaks(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Status(401), plytest.ResetConnection())
	rt := auth.New(auth.Options{Source: &issuer{}, Origins: []string{api}})(origin)
	ctx, info := auth.WithInfo(t.Context())
	r := newRequest(t, ctx, "GET", api, "")
	r.Body, r.GetBody = http.NoBody, nil // which can be sent again
	resp, err := rt.RoundTrip(r)
	require.Error(t, err)
	require.Nil(t, resp)
	i, _ := info()
	require.Equal(t, auth.StatusReplayed, i.Status)
	require.True(t, origin.Exchanges()[0].BodyClosed)
	var failed *auth.Error
	require.False(t, errors.As(err, &failed))

	rt = auth.Sign(auth.SignOptions{Signer: &challenger{}, Origins: []string{api}})(plytest.NewOrigin(plytest.Status(401), plytest.ResetConnection()))
	_, err = rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
	require.Error(t, err)
}

// A challenger learns from the second 401 of a request, too, though that is not sent again.
func TestChallengerSeesEach401(t *testing.T) {
	c := &challenger{}
	origin := plytest.NewOrigin(plytest.Status(401, "X-Nonce", "1"), plytest.Status(401, "X-Nonce", "2"))
	get(t, auth.Sign(auth.SignOptions{Signer: c, Origins: []string{api}})(origin), api)
	require.Equal(t, "2", c.nonce.Load())
	require.True(t, origin.Exchanges()[0].BodyClosed)
}

// A signer that does not say for whom it signs is not covered by one that does.
func TestUndeclaredSignerBesideADeclaredOne(t *testing.T) {
	origin := numbered("Cache-Control", "max-age=60")
	other := auth.SignerFunc(func(r *http.Request) error { r.Header.Set("X-Api-Key", "of another user"); return nil })
	declared := auth.Sign(auth.SignOptions{Signer: signer("s"), Origins: []string{api}, Principal: "service"})
	undeclared := auth.Sign(auth.SignOptions{Signer: other, Origins: []string{api}})
	rt := newCache(t, cache.Options{}).Middleware(declared(undeclared(origin)))
	get(t, rt, api)
	_, body := get(t, rt, api)
	require.Equal(t, "2", body)
}

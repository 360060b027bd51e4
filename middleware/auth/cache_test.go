package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func newCache(t testing.TB, o cache.Options) *cache.Cache {
	t.Helper()
	c, err := cache.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// numbered answers with the number of the request.
func numbered(fields ...string) *plytest.Origin {
	var n atomic.Int64
	return plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		fmt.Fprint(w, n.Add(1))
	}))
}

// A new token of a principal finds what the old one has stored, also where the server says that answers vary on it.
func TestNewTokenFindsWhatIsCached(t *testing.T) {
	for name, test := range map[string]struct {
		vary    string
		options auth.Options
	}{
		"authorization":            {},
		"vary on it":               {vary: "Authorization"},
		"a field of the program's": {vary: "X-Acme", options: auth.Options{Field: "X-Acme"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := &issuer{life: time.Minute, principal: "alice"}
				test.options.Source, test.options.Origins = source, []string{api}
				origin := numbered("Cache-Control", "max-age=86400", "Vary", test.vary)
				c := newCache(t, cache.Options{})
				rt := auth.New(test.options)(c.Middleware(origin))
				for range 10 {
					_, body := get(t, rt, api)
					require.Equal(t, "1", body)
					time.Sleep(time.Hour)
				}
				require.Equal(t, 10, source.asked())
				require.Equal(t, 1, origin.Count())

				require.NoError(t, c.DeletePrincipal(t.Context(), "alice"))
				_, body := get(t, rt, api)
				require.Equal(t, "2", body)
				bare := newRequest(t, cache.WithPrincipal(t.Context(), "alice"), "GET", api, "")
				require.Equal(t, test.vary == "", c.Contains(bare), "a program can name what is stored without a token, unless it varies on that")
			})
		})
	}
}

// Two principals never share, whatever the strategy, nor do tokens whose owners are not named.
func TestPrincipalsNeverShare(t *testing.T) {
	fixed := func(value, principal string) auth.Source {
		return auth.Static(auth.Token{Value: value, Principal: principal})
	}
	for name, test := range map[string]struct {
		options cache.Options
		sources []auth.Source // whose answers are all different
		in      auth.Options
	}{
		"two principals":              {sources: []auth.Source{fixed("a", "alice"), fixed("b", "bob"), fixed("a", "carol")}},
		"for a single user":           {options: cache.Options{Key: keying.SingleUser()}, sources: []auth.Source{fixed("a", "alice"), fixed("b", "bob")}},
		"in a shared cache":           {options: cache.Options{Shared: true}, sources: []auth.Source{fixed("a", "alice"), fixed("b", "bob")}},
		"two unnamed tokens":          {sources: []auth.Source{fixed("a", ""), fixed("b", "")}},
		"two unnamed keys in a field": {in: auth.Options{Field: "X-Acme"}, sources: []auth.Source{fixed("a", ""), fixed("b", "")}},
		"two unnamed keys in a query": {in: auth.Options{Query: "acme"}, options: cache.Options{Key: keying.New(keying.URL(keying.URLOptions{Ignore: []string{"acme"}}))}, sources: []auth.Source{fixed("a", ""), fixed("b", "")}},
	} {
		t.Run(name, func(t *testing.T) {
			origin := numbered("Cache-Control", "public, max-age=60", "No-Vary-Search", "params")
			c := newCache(t, test.options)
			for round := range 2 {
				for i, source := range test.sources {
					o := test.in
					o.Source, o.Origins = source, []string{api}
					_, body := get(t, auth.New(o)(c.Middleware(origin)), api)
					require.Equal(t, fmt.Sprint(i+1), body, "round %d", round)
				}
			}
			_, body := get(t, c.Middleware(origin), api) // and without a token
			require.Equal(t, fmt.Sprint(len(test.sources)+1), body)
		})
	}
}

// The principal that the program names counts beside that of the token.
func TestProgramsPrincipalCountsAsWell(t *testing.T) {
	origin := numbered("Cache-Control", "max-age=60")
	c := newCache(t, cache.Options{Key: keying.SingleUser()})
	service := auth.New(auth.Options{Source: auth.APIKey("service", "k"), Origins: []string{api}})(c.Middleware(origin))
	for range 2 {
		for i, tenant := range []string{"acme", "initech", ""} {
			_, body := send(t, service, newRequest(t, cache.WithPrincipal(t.Context(), tenant), "GET", api, ""))
			require.Equal(t, fmt.Sprint(i+1), body)
		}
	}
	require.NoError(t, c.DeletePrincipal(t.Context(), "acme"))
	_, body := send(t, service, newRequest(t, cache.WithPrincipal(t.Context(), "initech"), "GET", api, ""))
	require.Equal(t, "2", body)
	require.NoError(t, c.DeletePrincipal(t.Context(), "service"))
	for i, tenant := range []string{"acme", "initech", ""} {
		_, body := send(t, service, newRequest(t, cache.WithPrincipal(t.Context(), tenant), "GET", api, ""))
		require.Equal(t, fmt.Sprint(i+4), body)
	}
}

// The context of an old request, used again with credentials of its own, shares nothing with that.
func TestOldContextVouchesForItsTokenAlone(t *testing.T) {
	origin := numbered("Cache-Control", "max-age=60")
	c := newCache(t, cache.Options{})
	rt := auth.New(auth.Options{Source: auth.APIKey("alice", "k"), Origins: []string{api}})(c.Middleware(origin))
	resp, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
	require.NoError(t, err)
	resp.Body.Close()
	r := newRequest(t, resp.Request.Context(), "GET", api, "")
	r.Header.Set("Authorization", "Bearer of bob")
	_, body := send(t, rt, r)
	require.Equal(t, "2", body)
	_, body = send(t, rt, newRequest(t, cache.WithPrincipal(resp.Request.Context(), ""), "GET", api, ""))
	require.Equal(t, "1", body)
}

// A 401 is about the token: it is neither stored for the principal, nor does one from the store have requests sent again for ever.
func TestCached401EndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{principal: "alice"}
		var n atomic.Int64
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			w.Header().Set("Cache-Control", "max-age=86400")
			accepting(newer)(w, r)
		}))
		c := newCache(t, cache.Options{})
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(c.Middleware(origin))
		status, token := get(t, rt, api)
		require.Equal(t, 200, status)
		require.Equal(t, "t2", token)
		get(t, rt, api)
		require.EqualValues(t, 2, n.Load())

		// One that the program has stored under the principal's name, without this layer.
		below := c.Middleware(plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=86400")
			w.WriteHeader(http.StatusUnauthorized)
		})))
		send(t, below, newRequest(t, cache.WithPrincipal(t.Context(), "alice"), "GET", api+"/other", ""))
		for range 600 {
			status, _ = get(t, rt, api+"/other")
			require.Equal(t, 401, status)
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, source.asked(), 10)
	})
}

// Hits need no token that is good: they are served while the issuer is down.
func TestHitsAreServedWhileTheIssuerIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{life: time.Minute, principal: "alice", fail: func(call int) error {
			if call > 1 {
				return errDown
			}
			return nil
		}}
		began := time.Now()
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=86400")
			accepting(func(string) bool { return time.Since(began) < time.Minute })(w, r)
		}))
		rt := auth.New(auth.Options{Source: source, Origins: []string{api}})(newCache(t, cache.Options{}).Middleware(origin))
		get(t, rt, api)
		time.Sleep(time.Hour)
		status, _ := get(t, rt, api)
		require.Equal(t, 200, status)
		_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api+"/miss", ""))
		require.ErrorIs(t, err, errDown)
	})
}

func signer(prefix string) auth.Signer {
	var n atomic.Int64
	return auth.SignerFunc(func(r *http.Request) error {
		r.Header.Set("Authorization", fmt.Sprintf("ACME %s%d", prefix, n.Add(1))) // a scheme that nothing is known of
		return nil
	})
}

// A declared signer below is no identity of its own: answers belong to its principal, and another signer's are others.
func TestSignaturesBelowAreNoIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		options   cache.Options
		principal string // of the signer
		above     string // named above the cache
		hits      bool
	}{
		"declared":                   {principal: "service", hits: true},
		"declared, in a shared one":  {principal: "service", options: cache.Options{Shared: true}, hits: true},
		"not declared":               {},
		"not declared, shared":       {options: cache.Options{Shared: true}},
		"not declared, named above":  {above: "alice", hits: true},
		"declared, also named above": {principal: "service", above: "alice", hits: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, test.options)
			client := func(principal, signs string) (*plytest.Origin, *ply.Client) {
				origin := numbered("Cache-Control", "public, max-age=60", "X-Signed-By", signs)
				client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{
					c.Middleware,
					retry.New(retry.Options{}),
					auth.Sign(auth.SignOptions{Signer: signer(signs), Origins: []string{api}, Principal: principal}),
				}})
				require.NoError(t, err)
				return origin, client
			}
			ctx := cache.WithPrincipal(t.Context(), test.above)
			origin, one := client(test.principal, "one")
			for range 3 {
				resp, err := one.Get(ctx, api)
				require.NoError(t, err)
				resp.Body.Close()
			}
			want := 3
			if test.hits {
				want = 1
			}
			require.Equal(t, want, origin.Count())
			if test.principal == "" {
				return
			}
			_, two := client("another "+test.principal, "two")
			resp, err := two.Get(ctx, api)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, "two", resp.Header.Get("X-Signed-By"))
		})
	}
}

// A request that the signer leaves alone gets no answer of the signer's principal, whatever the strategy, nor does the principal get the answer to that request.
func TestDisabledSignerSharesNothing(t *testing.T) {
	for name, o := range map[string]cache.Options{"each": {}, "a single user": {Key: keying.SingleUser()}, "shared": {Shared: true}} {
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			fmt.Fprint(w, r.Header.Get("Authorization"))
		}))
		rt := newCache(t, o).Middleware(auth.Sign(auth.SignOptions{Signer: signer("s"), Origins: []string{api}, Principal: "service"})(origin))
		for range 2 {
			_, body := get(t, rt, api)
			require.Equal(t, "ACME s1", body, name)
			_, body = send(t, rt, newRequest(t, auth.Disable(t.Context()), "GET", api, ""))
			require.Empty(t, body, name)
			_, body = send(t, rt, newRequest(t, auth.Enable(auth.Disable(t.Context())), "GET", api, ""))
			require.Equal(t, "ACME s1", body, name)
		}
		require.Equal(t, 2, origin.Count(), name)
	}
}

// A signer that the cache cannot see, or that only some requests pass, is in no key: what it has signed for is stored for no one.
func TestSignersOfSomeRequestsShareNothing(t *testing.T) {
	sign := func(name string) ply.Middleware {
		return auth.Sign(auth.SignOptions{Signer: signer(name), Origins: []string{api}, Principal: name})
	}
	user := func(name string) func(*http.Request) bool {
		return func(r *http.Request) bool { got, _ := accountOf(r); return got == name }
	}
	hide := func(next http.RoundTripper) http.RoundTripper { return roundTripper(next.RoundTrip) }
	for name, o := range map[string]cache.Options{"each": {}, "a single user": {Key: keying.SingleUser()}, "shared": {Shared: true}} {
		c := newCache(t, o)
		for way, below := range map[string]ply.Middleware{
			"a signer for each": ply.Chain(ply.When(user("alice"), sign("alice")), ply.When(user("bob"), sign("bob"))),
			"hidden":            ply.Chain(hide, ply.When(user("alice"), sign("alice")), ply.When(user("bob"), sign("bob"))),
			"hidden, below one": ply.Chain(sign("service"), hide, ply.When(user("alice"), sign("alice")), ply.When(user("bob"), sign("bob"))),
		} {
			origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				fmt.Fprint(w, r.Header.Get("Authorization"))
			}))
			rt := c.Middleware(below(origin))
			for range 2 {
				for _, who := range []string{"alice", "bob"} {
					_, body := send(t, rt, newRequest(t, as(t.Context(), who), "GET", api+"/"+url.PathEscape(way), ""))
					require.Contains(t, body, "ACME "+who, "%s, %s", name, way)
				}
			}
		}
	}
}

// What others add below a cache beside a declared signature is still unseen by the key, and not stored.
func TestOtherCredentialsBelowAreStillForeign(t *testing.T) {
	for name, stranger := range map[string]func(*http.Request){
		"outside the signer": func(r *http.Request) { r.Header.Set("X-Api-Key", "stranger") },
		"a cookie":           func(r *http.Request) { r.Header.Add("Cookie", "session=stranger") },
	} {
		for place, inside := range map[string]bool{"above the signer": false, "below the signer": true} {
			t.Run(name+", "+place, func(t *testing.T) {
				origin := numbered("Cache-Control", "max-age=60")
				adds := func(next http.RoundTripper) http.RoundTripper {
					return &adder{next, stranger}
				}
				signs := auth.Sign(auth.SignOptions{Signer: signer("s"), Origins: []string{api}, Principal: "service"})
				c := newCache(t, cache.Options{})
				chain := c.Middleware(adds(signs(origin)))
				if inside {
					chain = c.Middleware(signs(adds(origin)))
				}
				get(t, chain, api)
				_, body := get(t, chain, api)
				require.Equal(t, "2", body)
			})
		}
	}
}

type adder struct {
	next http.RoundTripper
	add  func(*http.Request)
}

func (a *adder) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	a.add(r)
	return a.next.RoundTrip(r)
}

func (a *adder) Unwrap() http.RoundTripper { return a.next }

// A retry of a signed request has a signature of its own, and the principal of all attempts is one.
func TestEachAttemptIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := plytest.NewOrigin(plytest.Status(503), plytest.Text("x", "Cache-Control", "max-age=60"))
		c := newCache(t, cache.Options{})
		rt := c.Middleware(retry.New(retry.Options{})(auth.Sign(auth.SignOptions{Signer: signer("s"), Origins: []string{api}, Principal: "service"})(origin)))
		get(t, rt, api)
		get(t, rt, api)
		seen := origin.Exchanges()
		require.Len(t, seen, 2)
		require.Equal(t, "ACME s1", seen[0].Header.Get("Authorization"))
		require.Equal(t, "ACME s2", seen[1].Header.Get("Authorization"))
	})
}

// challenger learns a nonce from a 401.
type challenger struct {
	nonce atomic.Value
	err   error
}

func (c *challenger) Sign(r *http.Request) error {
	if nonce, ok := c.nonce.Load().(string); ok {
		r.Header.Set("Authorization", "Nonce "+nonce)
	}
	return nil
}

func (c *challenger) Challenged(_ *http.Request, resp *http.Response) (bool, error) {
	c.nonce.Store(resp.Header.Get("X-Nonce"))
	return true, c.err
}

func TestChallengeIsAnsweredOnce(t *testing.T) {
	signed := func(c auth.Signer, accept string) (*plytest.Origin, http.RoundTripper) {
		origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Nonce", "n")
			if r.Header.Get("Authorization") != accept {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		return origin, auth.Sign(auth.SignOptions{Signer: c, Origins: []string{api}})(origin)
	}
	word := func(rt http.RoundTripper, r *http.Request) (int, auth.Info) {
		ctx, info := auth.WithInfo(r.Context())
		status, _ := send(t, rt, r.WithContext(ctx))
		i, _ := info()
		return status, i
	}
	origin, rt := signed(&challenger{}, "Nonce n")
	status, i := word(rt, newRequest(t, t.Context(), "POST", api, "content"))
	require.Equal(t, 200, status)
	require.Equal(t, auth.StatusReplayed, i.Status)
	status, i = word(rt, newRequest(t, t.Context(), "POST", api, "content"))
	require.Equal(t, 200, status)
	require.Equal(t, auth.StatusSigned, i.Status)
	require.Equal(t, 3, origin.Count())
	for _, x := range origin.Exchanges() {
		require.Equal(t, "content", string(x.Body))
	}

	origin, rt = signed(&challenger{}, "never")
	status, i = word(rt, newRequest(t, t.Context(), "GET", api, ""))
	require.Equal(t, 401, status)
	require.Equal(t, auth.StatusRejected, i.Status)
	require.Equal(t, 2, origin.Count())

	origin, rt = signed(&challenger{err: errDown}, "never")
	_, err := rt.RoundTrip(newRequest(t, t.Context(), "GET", api, ""))
	require.ErrorIs(t, err, errDown)
	require.True(t, origin.Exchanges()[0].BodyClosed)

	_, rt = signed(signer("x"), "never")
	status, i = word(rt, newRequest(t, context.Background(), "GET", api, ""))
	require.Equal(t, 401, status)
	require.Equal(t, auth.StatusRejected, i.Status)
}

// A key whose owner is not named keeps requests apart, and vouches for nothing that others add below.
func TestKeyOfNobodyVouchesForNothingBelow(t *testing.T) {
	users := 0
	origin := numbered("Cache-Control", "max-age=60")
	below := &adder{origin, func(r *http.Request) {
		users++
		r.Header.Set("Authorization", fmt.Sprint("Bearer user", users))
	}}
	rt := auth.New(auth.Options{Source: auth.APIKey("", "k"), Field: "X-Acme", Origins: []string{api}})(newCache(t, cache.Options{}).Middleware(below))
	get(t, rt, api)
	_, body := get(t, rt, api)
	require.Equal(t, "2", body, "one user got the answer of another")
}

package resilience_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/store/file"
)

// vault is a server whose answers belong to the account of the token, and which invalidates tokens now and then. Its answers tempt a cache:
// one entity tag for what differs by account, marked as public.
type vault struct {
	mu     sync.Mutex
	serial map[string]int // of the token that is good, by account

	renewed, ranges, validated, streams atomic.Int64
}

// issue is a source of tokens for an account.
func (v *vault) issue(ctx context.Context, account string) auth.Token {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, rejected := auth.RejectedFromContext(ctx); rejected {
		v.serial[account]++
		v.renewed.Add(1)
	}
	return auth.Token{Value: fmt.Sprintf("%s-%d", account, v.serial[account])}
}

// account is whose token a request has, or empty if it is no longer good.
func (v *vault) account(r *http.Request) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	account, serial, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "-")
	if serial != fmt.Sprint(v.serial[account]) || rand.IntN(6) == 0 {
		return ""
	}
	return account
}

// deposit is what an account has at a path: every part of it says whose it is.
func deposit(account, path string) string {
	sum := sha256.Sum256([]byte(account + " " + path))
	return strings.Repeat(fmt.Sprintf("%s %s %x\n", account, path, sum[:8]), 100)
}

// heardBy is the stream of an account at a path.
func heardBy(account, path string) string {
	return "data: " + strings.ReplaceAll(deposit(account, path), "\n", "\n\ndata: ") + "[DONE]\n\n"
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(rand.N(50 * time.Millisecond))
	switch rand.IntN(20) {
	case 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		time.Sleep(time.Second)
	}
	account := v.account(r)
	if account == "" {
		w.Header().Set("Www-Authenticate", `Bearer error="invalid_token"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=2, stale-while-revalidate=1, stale-if-error=60")
	w.Header().Set("Etag", `"same for all"`)
	if strings.HasPrefix(r.URL.Path, "/stream") {
		v.streams.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		text := heardBy(account, r.URL.Path)
		for half := range 2 {
			io.WriteString(w, text[half*len(text)/2:(half+1)*len(text)/2])
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		return
	}
	if r.Header.Get("If-None-Match") != "" {
		v.validated.Add(1)
	}
	if r.Header.Get("Range") != "" {
		v.ranges.Add(1)
	}
	http.ServeContent(w, r, "deposit.txt", time.Time{}, strings.NewReader(deposit(account, r.URL.Path)))
}

// For each way of saying who asks, the layers for a cache and what stands above it.
var askers = map[string]func(t *testing.T, v *vault) (layer func(account string) ply.Middleware, with func(ctx context.Context, account string) context.Context){
	"accounts of one layer": func(t *testing.T, v *vault) (func(string) ply.Middleware, func(context.Context, string) context.Context) {
		type key struct{}
		layer := auth.New(auth.Options{
			Origins: []string{"http://vault.test"},
			Source:  auth.SourceFunc(func(ctx context.Context) (auth.Token, error) { return v.issue(ctx, auth.AccountFromContext(ctx)), nil }),
			Account: func(r *http.Request) (string, error) { return r.Context().Value(key{}).(string), nil },
		})
		return func(string) ply.Middleware { return layer }, func(ctx context.Context, account string) context.Context {
			return context.WithValue(ctx, key{}, account)
		}
	},
	"a layer for each": func(t *testing.T, v *vault) (func(string) ply.Middleware, func(context.Context, string) context.Context) {
		return func(account string) ply.Middleware {
			return auth.New(auth.Options{
				Origins: []string{"http://vault.test"},
				Source: auth.SourceFunc(func(ctx context.Context) (auth.Token, error) {
					token := v.issue(ctx, account)
					token.Principal = account
					return token, nil
				}),
			})
		}, func(ctx context.Context, _ string) context.Context { return ctx }
	},
	"a layer for each, without a name": func(t *testing.T, v *vault) (func(string) ply.Middleware, func(context.Context, string) context.Context) {
		return func(account string) ply.Middleware {
			return auth.New(auth.Options{
				Origins: []string{"http://vault.test"},
				Source:  auth.SourceFunc(func(ctx context.Context) (auth.Token, error) { return v.issue(ctx, account), nil }),
			})
		}, func(ctx context.Context, _ string) context.Context { return ctx }
	},
}

// Two principals share a cache over files, with retries, hedges, ranges, validations, stale answers, refreshes ahead and stored event streams,
// while tokens end and the server is in trouble. Neither gets a byte of the other's.
func TestPrincipalsNeverMeet(t *testing.T) {
	renewed := int64(0)
	for name, asker := range askers {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", shared ", shared), func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					s, err := file.Open(dir, file.Options{})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					v := &vault{serial: map[string]int{}}
					refreshed := atomic.Int64{}
					o := cache.Options{
						Store: s, EventStreams: cache.EventStreamsPaced, Expiry: expiry.Ahead(nil, 0.5),
						Trace: &cache.Trace{Refreshed: func(*http.Request, error) { refreshed.Add(1) }},
					}
					if shared {
						o.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), s)
						o.Lease = 5 * time.Second
					}
					c, err := cache.New(o)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					chain, err := resilience.New(resilience.Options{Retry: retry.Options{MaxAttempts: 4}, Hedge: hedge.Options{Delay: 100 * time.Millisecond}, NoBreaker: true})
					if err != nil {
						t.Fatal(err)
					}
					layer, with := asker(t, v)
					var callers sync.WaitGroup
					var good, fromStore atomic.Int64
					origin := plytest.NewHandlerOrigin(v)
					for _, account := range []string{"alice", "bob"} {
						h := ply.Chain(append([]ply.Middleware{layer(account), c.Middleware}, chain.Layers()...)...)(origin)
						for range 8 {
							callers.Go(func() {
								for range 60 {
									time.Sleep(rand.N(500 * time.Millisecond))
									if ok, hit := visit(t, h, with(t.Context(), account), account); ok {
										good.Add(1)
										if hit {
											fromStore.Add(1)
										}
									}
								}
							})
						}
					}
					callers.Wait()
					time.Sleep(2 * time.Minute) // refreshes and copies that lost end
					renewed += v.renewed.Load()
					t.Logf("%d good of %d, %d from the store, %d requests, %d refreshed, %d tokens renewed, %d ranges, %d validated, %d streams, %d hedges",
						good.Load(), 2*8*60, fromStore.Load(), origin.Count(), refreshed.Load(), v.renewed.Load(), v.ranges.Load(), v.validated.Load(), v.streams.Load(), chain.Budget.Stats().Hedges)
					for what, n := range map[string]int64{
						"answers from the store": fromStore.Load(), "refreshes": refreshed.Load(), "ranges": v.ranges.Load(),
						"validations": v.validated.Load(), "streams": v.streams.Load(), "good answers beyond 800": good.Load() - 800,
					} {
						if n <= 0 {
							t.Errorf("no %s: a layer had nothing to do", what)
						}
					}
				})
			})
		}
	}
	if renewed == 0 {
		t.Error("no token was renewed")
	}
}

// visit asks for one thing or another, and checks that it is the account's to the last byte. It reports whether there was an answer, and whether that was from the store.
func visit(t *testing.T, h http.RoundTripper, ctx context.Context, account string) (ok, hit bool) {
	path := fmt.Sprintf("/item/%d", rand.IntN(12))
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://vault.test"+path, nil)
	want := deposit(account, path)
	switch rand.IntN(4) {
	case 0:
		path = fmt.Sprintf("/stream/%d", rand.IntN(4))
		r.URL.Path, want = path, heardBy(account, path)
	case 1:
		first := rand.IntN(len(want) / 2)
		last := first + rand.IntN(len(want)/2)
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, last))
		want = want[first : last+1]
	}
	resp, err := h.RoundTrip(r)
	if err != nil {
		return false, false
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent:
		return false, false
	case err != nil && strings.HasPrefix(want, string(got)):
		return false, false // cut short
	case resp.StatusCode == http.StatusOK && r.Header.Get("Range") != "":
		want = deposit(account, path)
	}
	s, _ := cache.StatusOf(resp)
	if string(got) != want {
		t.Errorf("%s at %s (%v) gets %.60q, not %.60q", account, path, s, got, want)
	}
	return true, s.Hit
}

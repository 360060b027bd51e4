package cache_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// countedCloses counts how often a body is closed.
type countedCloses struct {
	io.Reader
	n int
}

func (c *countedCloses) Close() error { c.n++; return nil }

func TestSavedResponseAnswersRequests(t *testing.T) {
	for name, size := range map[string]int{"no body": 0, "small": 10, "in chunks": 300 << 10} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("of the origin"), cache.Options{})
				defer g.Close()
				body := &countedCloses{Reader: strings.NewReader(numbers(size)[:size])}
				resp := &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}, "X": {"y"}}, Body: body}
				require.NoError(t, g.Save(t.Context(), g.request(url), resp))
				if body.n != 1 {
					t.Errorf("the body was closed %d times", body.n)
				}
				have, answer := g.get(url)
				g.want(have, 200, numbers(size)[:size], "hit", 0)
				if answer.Status != "200 OK" || answer.Header.Get("X") != "y" || answer.Proto != "HTTP/1.1" {
					t.Errorf("%q, X: %q, %s", answer.Status, answer.Header.Get("X"), answer.Proto)
				}
			})
		})
	}
}

func TestSaveObeysTheRulesOfTheCache(t *testing.T) {
	fresh := http.Header{"Cache-Control": {"max-age=60"}}
	for name, c := range map[string]struct {
		options cache.Options
		request func(*http.Request) *http.Request
		header  http.Header
		want    cache.NotStoredError
	}{
		"no-store":     {header: http.Header{"Cache-Control": {"no-store"}}, want: cache.NotStoredError{Reason: "no-store", Source: "RFC 9111 §5.2.2.5"}},
		"Vary: *":      {header: http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"*"}}, want: cache.NotStoredError{Reason: "vary *", Source: "RFC 9111 §4.1"}},
		"private":      {options: cache.Options{Shared: true}, header: http.Header{"Cache-Control": {"private, max-age=60"}}, want: cache.NotStoredError{Reason: "private", Source: "RFC 9111 §5.2.2.7"}},
		"a filter":     {options: cache.Options{Filter: func(*http.Request, *http.Response) bool { return false }}, header: fresh, want: cache.NotStoredError{Reason: "filter", Source: "Options.Filter"}},
		"another body": {options: cache.Options{FilterBody: func(*http.Request, *http.Response, []byte) bool { return false }}, header: fresh, want: cache.NotStoredError{Reason: "filter of the body", Source: "Options.Filter"}},
		"too large":    {options: cache.Options{MaxEntryBytes: 3}, header: fresh, want: cache.NotStoredError{Reason: "body exceeds MaxEntryBytes", Source: "Options.MaxEntryBytes"}},
		"a mode": {header: fresh, want: cache.NotStoredError{Reason: "mode read-only", Source: "WithMode, Options.Mode"}, request: func(r *http.Request) *http.Request {
			return r.WithContext(cache.WithMode(r.Context(), cache.ModeReadOnly))
		}},
		"a scope": {header: fresh, want: cache.NotStoredError{Reason: "disabled", Source: "Disable"}, request: func(r *http.Request) *http.Request {
			return r.WithContext(cache.Disable(r.Context()))
		}},
		"HEAD": {header: fresh, want: cache.NotStoredError{Reason: "an answer to HEAD has no content", Source: "RFC 9110 §9.3.2"}, request: func(r *http.Request) *http.Request {
			r.Method = "HEAD"
			return r
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("of the origin"), c.options)
				defer g.Close()
				r := g.request(url)
				if c.request != nil {
					r = c.request(r)
				}
				body := &countedCloses{Reader: strings.NewReader("0123456789")}
				err := g.Save(t.Context(), r, &http.Response{StatusCode: 200, Header: c.header.Clone(), Body: body})
				var not *cache.NotStoredError
				require.ErrorAs(t, err, &not)
				if diff := cmp.Diff(c.want, *not); diff != "" {
					t.Errorf("error (-want +got)\n%s", diff)
				}
				synctest.Wait()
				if body.n != 1 || g.entries() != 0 {
					t.Errorf("closed %d times, %d entries", body.n, g.entries())
				}
			})
		})
	}
}

// A response that cannot be saved leaves what is stored as it is: the origin has not replaced it.
func TestFailedSaveKeepsWhatIsStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("first", "Cache-Control: max-age=60"), cache.Options{MaxEntryBytes: 100})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		for name, resp := range map[string]*http.Response{
			"no-store":   reply(200, "second", "Cache-Control: no-store"),
			"too large":  {StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader(numbers(101)))},
			"breaks off": {StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(failing{errors.New("cut")}), ContentLength: -1},
			"an error":   reply(500, "second", "Cache-Control: max-age=60"),
			"too short":  {StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader("x")), ContentLength: 2},
		} {
			var not *cache.NotStoredError
			if err := g.Save(t.Context(), g.request(url), resp); !errors.As(err, &not) {
				t.Errorf("%s: error %v", name, err)
			}
			synctest.Wait()
			have, _ := g.get(url)
			g.want(have, 200, "first", "hit", 1)
		}
	})
}

func TestSaveOfABodyAsLargeAsTheBound(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{MaxEntryBytes: 10})
		defer g.Close()
		for body, stored := range map[string]bool{"0123456789": true, "0123456789x": false} {
			err := g.Save(t.Context(), g.request(url), &http.Response{
				StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1,
			})
			if (err == nil) != stored {
				t.Errorf("%d bytes: %v", len(body), err)
			}
		}
	})
}

func TestSaveSaysWhyABodyBrokeOff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{})
		defer g.Close()
		cut := errors.New("cut")
		err := g.Save(t.Context(), g.request(url), &http.Response{
			StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(failing{cut}), ContentLength: 10,
		})
		if !errors.Is(err, cut) || !strings.Contains(err.Error(), "broke off") {
			t.Errorf("error %v", err)
		}
	})
}

// stuck is a body that blocks until it is closed.
type stuck chan struct{}

func (s stuck) Read([]byte) (int, error) { <-s; return 0, errors.New("closed") }
func (s stuck) Close() error             { close(s); return nil }

func TestSaveEndsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{})
		defer g.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := g.Save(ctx, g.request(url), &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: make(stuck), ContentLength: -1})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}

// Whichever call of the store fails, the error says so and has the store's.
func TestSaveReportsAFailingStore(t *testing.T) {
	down := errors.New("down")
	failed := 0
	for calls := int64(0); calls < 10; calls++ {
		inBubble(t, func(t *testing.T) {
			s := &faulty{Map: storetest.NewMap(0)}
			g := newRig(t, says("x"), cache.Options{Store: s})
			defer g.Close()
			g.get(url + "/before") // the store has been set up
			synctest.Wait()
			at := s.calls.Load() + calls
			s.set(func(_ context.Context, n int64) error {
				if n > at {
					return down
				}
				return nil
			})
			err := g.Save(t.Context(), g.request(url), reply(200, "x", "Cache-Control: max-age=60"))
			if err == nil {
				return
			}
			failed++
			var not *cache.NotStoredError
			if !errors.As(err, &not) || not.Source != "Options.Store" || !errors.Is(err, down) {
				t.Errorf("after %d calls: %v", calls, err)
			}
			if want := "cache: save: not stored: the store failed (Options.Store): down"; err.Error() != want {
				t.Errorf("text %q, want %q", err, want)
			}
			if g.Stats().StoreErrors == 0 {
				t.Error("the fault is not counted")
			}
		})
	}
	if failed < 3 {
		t.Errorf("%d calls of the store failed a Save, want those of reading and of writing", failed)
	}
}

// An entry is found by what its key is made of: as for a request, that is the principal, the variant, and the connection of each chain.
func TestSaveGoesByPrincipalAndVariant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("of the origin"), cache.Options{})
		defer g.Close()
		ada := cache.WithPrincipal(t.Context(), "ada")
		r := g.request(url, "Accept: text/plain").WithContext(ada)
		require.NoError(t, g.Save(t.Context(), r, reply(200, "ada's", "Cache-Control: max-age=60", "Vary: Accept")))
		have, _ := g.send(g.request(url, "Accept: text/plain").WithContext(ada))
		g.want(have, 200, "ada's", "hit", 0)
		have, _ = g.send(g.request(url, "Accept: text/html").WithContext(ada))
		g.want(have, 200, "of the origin", "miss", 1)
		have, _ = g.send(g.request(url, "Accept: text/plain"))
		g.want(have, 200, "of the origin", "miss", 2)
	})
}

func TestSaveStoresForEachChain(t *testing.T) {
	fresh := func(body io.Reader) *http.Response {
		return &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: io.NopCloser(body), ContentLength: -1}
	}
	for name, c := range map[string]struct {
		body   io.Reader
		reason string
	}{
		"a body within the bound": {strings.NewReader("0123456789"), ""},
		"one of a byte more":      {strings.NewReader("0123456789x"), "body exceeds MaxEntryBytes"},
		"one that breaks off":     {io.MultiReader(strings.NewReader("0"), failing{io.ErrUnexpectedEOF}), "the body broke off"},
		"one without any bytes":   {strings.NewReader(""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("of the origin"), cache.Options{MaxEntryBytes: 10})
				defer g.Close()
				other := g.Middleware(cache.NamedConnection("another")(g.origin))
				err := g.Save(t.Context(), g.request(url), fresh(c.body))
				if c.reason != "" {
					var not *cache.NotStoredError
					if !errors.As(err, &not) || not.Reason != c.reason || g.entries() != 0 {
						t.Errorf("%v, %d entries", err, g.entries())
					}
					return
				}
				require.NoError(t, err)
				first, _ := g.get(url)
				g.rt = other
				second, _ := g.get(url)
				if first.Outcome != "hit" || second != first || len(g.origin.asked) != 0 {
					t.Errorf("%v and %v, the origin saw %d requests", first, second, len(g.origin.asked))
				}
			})
		})
	}
}

// A store of several processes holds nothing for a connection that only this process knows. A chain with such a one does not keep the others from theirs.
func TestSaveByConnectionsWithoutAName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		unnamed := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("not to be dialed") }}
		c, err := cache.New(cache.Options{Store: storetest.NewMap(0)})
		require.NoError(t, err)
		defer c.Close()
		first := c.Middleware(unnamed)
		var not *cache.NotStoredError
		err = c.Save(t.Context(), must(http.NewRequest("GET", url, nil)), reply(200, "x", "Cache-Control: max-age=60"))
		if !errors.As(err, &not) || !strings.HasPrefix(not.Reason, "no name for the connection") {
			t.Errorf("error %v", err)
		}
		named := c.Middleware(cache.NamedConnection("gateway")(unnamed))
		require.NoError(t, c.Save(t.Context(), must(http.NewRequest("GET", url, nil)), reply(200, "x", "Cache-Control: max-age=60")))
		resp, err := named.RoundTrip(must(http.NewRequest("GET", url, nil)))
		require.NoError(t, err)
		readAll(resp)
		if s, _ := cache.StatusOf(resp); !s.Hit {
			t.Errorf("%+v", s)
		}
		runtime.KeepAlive(first)
	})
}

// What a response leaves out is what net/http would have filled in.
func TestSavedResponseIsCompleted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("of the origin"), cache.Options{Expiry: expiry.After(time.Minute)})
		defer g.Close()
		require.NoError(t, g.Save(t.Context(), g.request(url), &http.Response{StatusCode: 204}))
		have, resp := g.get(url)
		g.want(have, 204, "", "hit", 0)
		if resp.Status != "204 No Content" || resp.Proto != "HTTP/1.1" || resp.ProtoMajor != 1 || resp.ProtoMinor != 1 || resp.Header.Get("Date") == "" {
			t.Errorf("%q, %s, %d.%d, %v", resp.Status, resp.Proto, resp.ProtoMajor, resp.ProtoMinor, resp.Header)
		}
	})
}

// An error is no reason to forget what can still be served, and is refused as such.
func TestSaveOfAnErrorBesideWhatCanBeServed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("good", "Cache-Control: max-age=60"), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		err := g.Save(t.Context(), g.request(url), reply(500, "bad", "Cache-Control: max-age=60"))
		var not *cache.NotStoredError
		if !errors.As(err, &not) || *not != (cache.NotStoredError{Reason: "an error, and what is stored can still be served", Source: "RFC 5861 §4"}) {
			t.Errorf("error %v", err)
		}
	})
}

func TestSaveOfAnAnswerToAnUnsafeRequestInvalidatesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("first", "Cache-Control: max-age=60"), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		r := g.request(url)
		r.Method = "DELETE"
		var not *cache.NotStoredError
		if err := g.Save(t.Context(), r, reply(200, "gone", "Cache-Control: max-age=60")); !errors.As(err, &not) || not.Source != "RFC 9111 §3, RFC 9110 §9.2.3" {
			t.Errorf("error %v", err)
		}
		synctest.Wait()
		have, _ := g.get(url)
		g.want(have, 200, "first", "hit", 1)
	})
}

func TestSaveWithoutWhatItNeedsIsAnError(t *testing.T) {
	c, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer c.Close()
	ok := must(http.NewRequest("GET", url, nil))
	for name, do := range map[string]func(*http.Response) error{
		"not mounted": func(resp *http.Response) error { return c.Save(t.Context(), ok, resp) },
		"no request":  func(resp *http.Response) error { return c.Save(t.Context(), nil, resp) },
		"no host": func(resp *http.Response) error {
			return c.Save(t.Context(), must(http.NewRequest("GET", "/x", nil)), resp)
		},
	} {
		body := &countedCloses{Reader: strings.NewReader("x")}
		if err := do(&http.Response{StatusCode: 200, Body: body}); err == nil || body.n != 1 {
			t.Errorf("%s: error %v, closed %d times", name, err, body.n)
		}
	}
	if err := c.Save(t.Context(), ok, nil); err == nil {
		t.Error("no response is no error")
	}
}

// What was asked for before the save is older, though its answer comes later.
func TestSavedResponseIsNotReplacedByAnOlderOneUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("older", "Cache-Control: max-age=60")
		o.delay = time.Minute
		g := newRig(t, o, cache.Options{})
		defer g.Close()
		go func() {
			time.Sleep(30 * time.Second)
			if err := g.Save(t.Context(), g.request(url), reply(200, "saved", "Cache-Control: max-age=600")); err != nil {
				t.Error(err)
			}
		}()
		have, _ := g.get(url)
		g.want(have, 200, "older", "miss", 1)
		synctest.Wait()
		have, _ = g.get(url)
		g.want(have, 200, "saved", "hit", 1)
	})
}

// A removal just before does not count against it: the response is of a later moment.
func TestSaveAfterADeletionIsStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		require.NoError(t, g.DeleteURL(t.Context(), url))
		require.NoError(t, g.Save(t.Context(), g.request(url), reply(200, "saved", "Cache-Control: max-age=60")))
		have, _ := g.get(url)
		g.want(have, 200, "saved", "hit", 1)
	})
}

func TestSaveWithALifetimeOfTheCaller(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x"), cache.Options{})
		defer g.Close()
		r := g.request(url)
		r = r.WithContext(cache.WithExpiry(r.Context(), expiry.After(time.Hour)))
		require.NoError(t, g.Save(t.Context(), r, reply(200, "saved", "Cache-Control: no-store")))
		time.Sleep(59 * time.Minute)
		have, _ := g.get(url)
		g.want(have, 200, "saved", "hit", 0)
	})
}

// The same where another process has removed it: its clock may differ, so what is known of a response before is what counts.
func TestSaveAfterADeletionByAnotherProcessIsStored(t *testing.T) {
	for name, tier := range map[string]bool{"store": false, "tiers": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				shared := storetest.NewMap(0)
				o := cache.Options{Store: shared}
				if tier {
					o.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), shared)
				}
				g := newRig(t, says("x", "Cache-Control: max-age=60"), o)
				defer g.Close()
				other := newRig(t, g.origin, cache.Options{Store: shared})
				defer other.Close()
				g.get(url)
				synctest.Wait()
				require.NoError(t, other.DeleteURL(t.Context(), url))
				require.NoError(t, g.Save(t.Context(), g.request(url), reply(200, "saved", "Cache-Control: max-age=60")))
				have, _ := other.get(url)
				other.want(have, 200, "saved", "hit", 1)
			})
		})
	}
}

// slow has each call of a store take a while.
func (f *faulty) slow(d time.Duration) {
	f.set(func(ctx context.Context, _ int64) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func TestSaveWaitsForASlowStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &faulty{Map: storetest.NewMap(0)}
		g := newRig(t, says("x"), cache.Options{Store: s, StoreTimeout: time.Second})
		defer g.Close()
		s.slow(60 * time.Millisecond)
		require.NoError(t, g.Save(t.Context(), g.request(url), reply(200, "saved", "Cache-Control: max-age=60")))
		s.set(nil)
		have, _ := g.get(url)
		g.want(have, 200, "saved", "hit", 0)
	})
}

// Whenever the cache is closed, Save returns: with the response stored, or with an error.
func TestSaveEndsWithTheCache(t *testing.T) {
	for closing := time.Duration(0); closing < 600*time.Millisecond; closing += 5 * time.Millisecond {
		inBubble(t, func(t *testing.T) {
			s := &faulty{Map: storetest.NewMap(0)}
			g := newRig(t, says("x"), cache.Options{Store: s, StoreTimeout: time.Second})
			s.slow(50 * time.Millisecond)
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				time.Sleep(closing)
				g.Close()
			}()
			began := time.Now()
			err := g.Save(t.Context(), g.request(url), reply(200, "saved", "Cache-Control: max-age=60"))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("closed after %v: %v after %v", closing, err, took)
			}
			<-closed
		})
	}
}

// A hook that panics does so in the caller of Save, and nothing waits for ever.
func TestSaveWithAPanickingHook(t *testing.T) {
	for name, o := range map[string]cache.Options{"memory": {Store: cache.NewMemory(cache.MemoryOptions{})}, "store": {Store: storetest.NewMap(0)}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o.Trace = &cache.Trace{Stored: func(*cache.Entry) { panic("of the hook") }}
				g := newRig(t, says("x"), o)
				defer g.Close()
				body := &countedCloses{Reader: strings.NewReader("x")}
				defer func() {
					if v := recover(); v != "of the hook" || body.n != 1 {
						t.Errorf("panic %v, the body was closed %d times", v, body.n)
					}
				}()
				err := g.Save(t.Context(), g.request(url), &http.Response{StatusCode: 200, Header: http.Header{"Cache-Control": {"max-age=60"}}, Body: body})
				t.Errorf("returned %v", err)
			})
		})
	}
}

func TestSavedEventStreamIsReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const events = "data: a\n\ndata: b\n\n"
		header := []string{"Content-Type: text/event-stream", "Cache-Control: max-age=60"}
		g := newRig(t, says("x"), cache.Options{EventStreams: cache.EventStreamsAtOnce})
		defer g.Close()
		require.NoError(t, g.Save(t.Context(), g.request(url), reply(200, events, header...)))
		have, _ := g.get(url)
		g.want(have, 200, events, "hit", 0)
		var not *cache.NotStoredError
		if err := g.Save(t.Context(), g.request(url+"/cut"), reply(200, events[:len(events)-1], header...)); !errors.As(err, &not) || not.Source != "Options.EventStreams" {
			t.Errorf("a stream that is cut: %v", err)
		}
	})
}

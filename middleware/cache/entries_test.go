package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// only returns the one entry that is stored.
func (g *rig) only() *cache.Entry {
	g.Helper()
	var all []*cache.Entry
	for e := range g.Entries(g.Context()) {
		all = append(all, e)
	}
	require.Len(g, all, 1)
	return all[0]
}

// opened reads the response of an entry to its end.
func opened(t *testing.T, e *cache.Entry) (*http.Response, string) {
	t.Helper()
	resp, err := e.Open(t.Context())
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, string(body)
}

func TestEntryHasTheTimesOfItsExchange(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("x", "Cache-Control: max-age=60", "Age: 5")
		o.delay = 3 * time.Second
		g := newRig(t, o, cache.Options{})
		began := time.Now()
		g.get(url)
		time.Sleep(10 * time.Second)
		e := g.only()
		if !e.Requested().Equal(began) || e.ResponseDelay() != 3*time.Second || !e.Received().Equal(began.Add(3*time.Second)) {
			t.Errorf("requested %v, received %v, a delay of %v", e.Requested(), e.Received(), e.ResponseDelay())
		}
		if got := e.Age(time.Now()); got != 18*time.Second {
			t.Errorf("age %v, want 18s: of 5s, 3s on its way, 10s in the cache", got)
		}
	})
}

// A validation is an exchange of its own, with times of its own.
func TestEntryHasTheTimesOfItsValidation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		version := "1"
		o := versions(&version)
		o.delay = time.Second
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(time.Minute)
		o.delay = 4 * time.Second
		began := time.Now()
		have, _ := g.get(url)
		synctest.Wait()
		g.want(have, 200, "1", "revalidated", 2)
		if e := g.only(); !e.Requested().Equal(began) || e.ResponseDelay() != 4*time.Second {
			t.Errorf("requested %v, a delay of %v", e.Requested(), e.ResponseDelay())
		}
	})
}

func TestLastUsedMovesWithEachHitInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{})})
		g.get(url)
		stored, e := time.Now(), g.only()
		time.Sleep(10 * time.Second)
		opened(t, e)
		if !e.LastUsed().Equal(stored) {
			t.Errorf("last used %v, want %v: Open is no use", e.LastUsed(), stored)
		}
		g.get(url)
		time.Sleep(10 * time.Second)
		if want := stored.Add(10 * time.Second); !e.LastUsed().Equal(want) {
			t.Errorf("last used %v, want %v", e.LastUsed(), want)
		}
	})
}

// A store is not written to with each hit, only where the time of use makes a difference.
func TestLastUsedInAByteStore(t *testing.T) {
	for name, c := range map[string]struct {
		vary string
		want time.Duration
	}{
		"one variant, as it was stored":      {"X: of no matter", 0},
		"several variants, the last by hour": {"Vary: Accept", 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, says("x", "Cache-Control: max-age=86400", c.vary), cache.Options{Store: storetest.NewMap(0)})
				defer g.Close()
				g.get(url)
				stored := time.Now()
				time.Sleep(2 * time.Hour)
				g.get(url)
				synctest.Wait()
				time.Sleep(30 * time.Minute)
				g.get(url)
				synctest.Wait()
				if got := g.only().LastUsed().Sub(stored); got != c.want {
					t.Errorf("last used %v after it was stored, want %v", got, c.want)
				}
			})
		})
	}
}

func TestOpenReturnsTheStoredResponse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := says("0123456789", "Cache-Control: max-age=60", `Etag: "1"`, "Age: 3")
		g := newRig(t, o, cache.Options{})
		g.get(url)
		time.Sleep(time.Hour) // stale by now
		before := g.Stats()
		e := g.only()
		resp, body := opened(t, e)
		want := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}, "Date": resp.Header["Date"]}
		if diff := cmp.Diff(want, resp.Header); diff != "" {
			t.Errorf("header (-want +got)\n%s", diff)
		}
		if resp.StatusCode != 200 || body != "0123456789" || resp.ContentLength != 10 || resp.Request.Method != "GET" || resp.Request.URL.String() != url {
			t.Errorf("%d %q of %d bytes for %s %s", resp.StatusCode, body, resp.ContentLength, resp.Request.Method, resp.Request.URL)
		}
		resp.Header.Set("Etag", "changed by the caller")
		if again, body := opened(t, e); body != "0123456789" || again.Header.Get("Etag") != `"1"` {
			t.Errorf("opened again: %q, %v", body, again.Header)
		}
		if diff := cmp.Diff(before, g.Stats()); diff != "" || len(o.asked) != 1 {
			t.Errorf("Open counts as a request; the origin saw %d (-before +after)\n%s", len(o.asked), diff)
		}
	})
}

func TestOpenReadsLargeBodiesOfAStore(t *testing.T) {
	const size = 3<<20 + 5
	g := newRig(t, &origin{answer: func(*http.Request) *http.Response {
		resp := reply(200, "", "Cache-Control: max-age=60")
		resp.Body, resp.ContentLength = &endless{0, size}, size
		return resp
	}}, cache.Options{Store: storetest.NewMap(0)})
	g.get(url)
	resp, err := g.only().Open(t.Context())
	require.NoError(t, err)
	require.NoError(t, matches(resp.Body, 0, size))
	require.NoError(t, resp.Body.Close())
}

// What was removed after it was listed has an error of its own: a program that walks the entries goes on.
func TestOpenOfABodyThatIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says(strings.Repeat("x", 100<<10), "Cache-Control: max-age=60"), cache.Options{Store: storetest.NewMap(0)})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		e := g.only()
		require.NoError(t, g.DeleteEntry(t.Context(), e))
		synctest.Wait()
		if _, err := e.Open(t.Context()); !errors.Is(err, cache.ErrBodyGone) {
			t.Errorf("error %v, want ErrBodyGone", err)
		}
	})
}

func TestOpenOfADamagedBody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		backend := storetest.NewMap(0)
		g := newRig(t, says(strings.Repeat("x", 100<<10), "Cache-Control: max-age=60"), cache.Options{Store: backend})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		e := g.only()
		var names []string
		require.NoError(t, backend.Range(t.Context(), store.KindBody, func(key string, _ store.Record) bool {
			names = append(names, key)
			return true
		}))
		for _, name := range names {
			r, err := backend.Get(t.Context(), name)
			require.NoError(t, err)
			r.Data = append([]byte(nil), r.Data...)
			r.Data[len(r.Data)-1] ^= 1
			require.NoError(t, backend.Put(t.Context(), name, r))
		}
		if resp, err := e.Open(t.Context()); err == nil || errors.Is(err, cache.ErrBodyGone) {
			t.Errorf("%v, error %v, want one for a damaged body", resp, err)
		}
	})
}

func TestOpenObeysItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says(strings.Repeat("x", 100<<10), "Cache-Control: max-age=60"), cache.Options{Store: storetest.NewMap(0)})
		g.get(url)
		synctest.Wait() // until it is stored
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := g.only().Open(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
}

// An event stream is kept with its pauses. One who looks at it does not wait for them.
func TestOpenOfAnEventStreamComesAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const events = "data: a\n\ndata: b\n\n"
		g := newRig(t, says(events, "Cache-Control: max-age=60", "Content-Type: text/event-stream"), cache.Options{EventStreams: cache.EventStreamsPaced})
		g.get(url)
		began := time.Now()
		if _, body := opened(t, g.only()); body != events || time.Since(began) != 0 {
			t.Errorf("%q after %v", body, time.Since(began))
		}
	})
}

// A key is the same in memory and in a byte store, so that a response can be found again where it was copied to. It holds no secret.
func TestEntryKeyIsTheSameInEachStore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		keys := make(map[string]bool)
		for _, s := range []store.Store{cache.NewMemory(cache.MemoryOptions{}), storetest.NewMap(0), cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), storetest.NewMap(0))} {
			var traced string
			g := newRig(t, says("x", "Cache-Control: private, max-age=60"), cache.Options{Store: s, Trace: &cache.Trace{Stored: func(e *cache.Entry) { traced = e.Key() }}})
			g.get(url+"?token=s3cret", "Authorization: Bearer s3cret")
			synctest.Wait()
			e := g.only()
			if len(e.Key()) != 64 || traced != e.Key() {
				t.Errorf("key %q, in the trace %q", e.Key(), traced)
			}
			n, err := g.DeleteFunc(t.Context(), func(asked *cache.Entry) bool { return asked.Key() == e.Key() })
			if n != 1 || err != nil {
				t.Errorf("DeleteFunc found %d by the key, %v", n, err)
			}
			keys[e.Key()] = true
			g.Close()
		}
		if len(keys) != 1 {
			t.Errorf("keys %v, want one", keys)
		}
	})
}

func TestEntryKeyPartsHoldNoSecret(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: private, max-age=60", "Vary: Cookie, Accept-Language"), cache.Options{})
		g.get(url+"?token=s3cret", "Cookie: session=s3cret", "Accept-Language: de")
		e := g.only()
		var names []string
		for _, part := range e.KeyParts() {
			names = append(names, part.Name)
			if strings.Contains(part.Value, "s3cret") {
				t.Errorf("%s: %s", part.Name, part.Value)
			}
			if part.Name == "Accept-Language" && part.Value != "de" {
				t.Errorf("language %q", part.Value)
			}
		}
		if diff := cmp.Diff([]string{"method", "URI", "Accept-Language", "Cookie", "key"}, names); diff != "" {
			t.Errorf("parts (-want +got)\n%s", diff)
		}
		r := must(http.NewRequestWithContext(t.Context(), "GET", url+"?token=s3cret", nil))
		r.Header = http.Header{"Cookie": {"session=s3cret"}, "Accept-Language": {"de"}}
		x := g.explained(r)
		if last := x.Key[len(x.Key)-1]; last != (cache.KeyPart{Name: "key", Value: e.Key()}) {
			t.Errorf("Explain has the key %v, the entry %q", last, e.Key())
		}
	})
}

// What had to go is still there for the one that is told of it.
func TestEvictedEntryCanBeOpened(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var evicted []string
		m := cache.NewMemory(cache.MemoryOptions{MaxEntries: 1, Evicted: func(e *cache.Entry) {
			_, body := opened(t, e)
			evicted = append(evicted, e.URL()+" "+body+e.Key())
		}})
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Store: m})
		g.get(url)
		g.get(url + "/2")
		if diff := cmp.Diff([]string{url + " x"}, evicted); diff != "" {
			t.Errorf("evicted (-want +got)\n%s", diff)
		}
	})
}

// An entry that a hook is told of can be read and removed like one that is listed.
func TestEntryOfATraceIsLikeOneOfTheList(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var told []*cache.Entry
		g := newRig(t, says(strings.Repeat("x", 100<<10), "Cache-Control: max-age=60"), cache.Options{
			Store: storetest.NewMap(0), Trace: &cache.Trace{Stored: func(e *cache.Entry) { told = append(told, e) }},
		})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		require.Len(t, told, 1)
		if _, body := opened(t, told[0]); len(body) != 100<<10 {
			t.Errorf("%d bytes", len(body))
		}
		require.NoError(t, g.RecomputeEntryExpiry(t.Context(), told[0]))
		require.NoError(t, g.DeleteEntry(t.Context(), told[0]))
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})
}

func TestOpenReturnsTrailersAndEmptyBodies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, &origin{answer: func(r *http.Request) *http.Response {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.Body = http.NoBody
			if r.URL.Path != "/empty" {
				resp = reply(200, "x", "Cache-Control: max-age=60")
				resp.ContentLength, resp.Trailer = -1, http.Header{"X-Sum": {"1"}}
			}
			return resp
		}}, cache.Options{})
		for path, want := range map[string]http.Header{"/empty": nil, "/trailers": {"X-Sum": {"1"}}} {
			g.get("http://a.test" + path)
			synctest.Wait()
			e, err := g.Entry(t.Context(), g.request("http://a.test"+path))
			require.NoError(t, err)
			resp, _ := opened(t, e)
			if diff := cmp.Diff(want, resp.Trailer); diff != "" {
				t.Errorf("%s: trailers (-want +got)\n%s", path, diff)
			}
			if empty := resp.Body == http.NoBody; empty != (path == "/empty") {
				t.Errorf("%s: the body is NoBody: %v", path, empty)
			}
		}
	})
}

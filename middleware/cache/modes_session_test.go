package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// The mode of the options does what the mode of a context does, for each request.
func TestModeOfTheOptionsIsThatOfEachRequest(t *testing.T) {
	for mode := range cache.ModeReadOnly + 1 {
		t.Run(mode.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				seen := func(options cache.Options, in func(context.Context) context.Context) (outcomes []string, asked int) {
					g := newRig(t, says("x", "Cache-Control: max-age=60"), options)
					defer g.Close()
					for _, wait := range []time.Duration{0, time.Second, time.Minute} {
						time.Sleep(wait)
						have, _ := g.send(g.request(url).WithContext(in(t.Context())))
						synctest.Wait()
						outcomes = append(outcomes, have.Outcome)
						g.send(g.request(url).WithContext(cache.WithMode(t.Context(), cache.ModeDefault)))
						synctest.Wait()
					}
					return outcomes, len(g.origin.asked)
				}
				want, wantAsked := seen(cache.Options{}, func(ctx context.Context) context.Context { return cache.WithMode(ctx, mode) })
				got, gotAsked := seen(cache.Options{Mode: mode}, func(ctx context.Context) context.Context { return ctx })
				if diff := cmp.Diff(want, got); diff != "" || gotAsked != wantAsked {
					t.Errorf("the origin saw %d requests, want %d; outcomes (-context +options)\n%s", gotAsked, wantAsked, diff)
				}
			})
		})
	}
}

// Who says more of a request counts before who says less: see the table in docs/scopes.md.
func TestPrecedenceOfModes(t *testing.T) {
	type scope = func(context.Context) context.Context
	mode := func(m cache.Mode) scope {
		return func(ctx context.Context) context.Context { return cache.WithMode(ctx, m) }
	}
	none := func(ctx context.Context) context.Context { return ctx }
	off := func(ctx context.Context) context.Context { return cache.Disable(ctx) }
	for name, c := range map[string]struct {
		session cache.Mode
		scope   scope
		fields  []string
		method  string
		fresh   string // the outcome with a fresh response stored
		stale   string // with a stale one
		empty   string // with none
	}{
		"only-if-cached":                            {cache.ModeOnlyIfCached, none, nil, "GET", "hit", "stale", "refused"},
		"only-if-cached, but default here":          {cache.ModeOnlyIfCached, mode(cache.ModeDefault), nil, "GET", "hit", "refreshed", "miss"},
		"only-if-cached, but reload here":           {cache.ModeOnlyIfCached, mode(cache.ModeReload), nil, "GET", "refreshed", "refreshed", "miss"},
		"only-if-cached, but disabled here":         {cache.ModeOnlyIfCached, off, nil, "GET", "bypassed", "bypassed", "bypassed"},
		"only-if-cached, of a request for no-cache": {cache.ModeOnlyIfCached, none, []string{"Cache-Control: no-cache"}, "GET", "hit", "stale", "refused"},
		"only-if-cached, of a request for no-store": {cache.ModeOnlyIfCached, none, []string{"Cache-Control: no-store"}, "GET", "refused", "refused", "refused"},
		"only-if-cached, an unsafe method":          {cache.ModeOnlyIfCached, none, nil, "DELETE", "bypassed", "bypassed", "bypassed"},
		"read-only":                                 {cache.ModeReadOnly, none, nil, "GET", "hit", "refreshed", "miss"},
		"read-only, of a request for no-cache":      {cache.ModeReadOnly, none, []string{"Cache-Control: no-cache"}, "GET", "refreshed", "refreshed", "miss"},
		"read-only, of a request for max-stale":     {cache.ModeReadOnly, none, []string{"Cache-Control: max-stale=90"}, "GET", "hit", "stale", "miss"},
		"read-only, of one for only-if-cached":      {cache.ModeReadOnly, none, []string{"Cache-Control: only-if-cached"}, "GET", "hit", "refused", "refused"},
		"force-cache":                               {cache.ModeForceCache, none, nil, "GET", "hit", "stale", "miss"},
		"no-store, but default here":                {cache.ModeNoStore, mode(cache.ModeDefault), nil, "GET", "hit", "refreshed", "miss"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				outcome := func(stored bool, age time.Duration) string {
					g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{})
					defer g.Close()
					if stored {
						g.get(url)
					}
					time.Sleep(age)
					synctest.Wait()
					g.SetMode(c.session)
					r := g.request(url, c.fields...).WithContext(c.scope(t.Context()))
					r.Method = c.method
					have, _ := g.send(r)
					return have.Outcome
				}
				got := []string{outcome(true, 0), outcome(true, 90*time.Second), outcome(false, 0)}
				if diff := cmp.Diff([]string{c.fresh, c.stale, c.empty}, got); diff != "" {
					t.Errorf("fresh, stale, nothing stored (-want +got)\n%s", diff)
				}
			})
		})
	}
}

func TestReadOnlyCacheStoresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Mode: cache.ModeReadOnly})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		var not *cache.NotStoredError
		err := g.Save(t.Context(), g.request(url), reply(200, "x", "Cache-Control: max-age=60"))
		if !errors.As(err, &not) || not.Reason != "mode read-only" || g.entries() != 0 {
			t.Errorf("Save: %v; %d entries", err, g.entries())
		}
		filling := cache.WithMode(t.Context(), cache.ModeDefault)
		g.send(g.request(url).WithContext(filling))
		synctest.Wait()
		have, _ := g.get(url)
		g.want(have, 200, "x", "hit", 2)
		g.do("DELETE", url) // which makes invalid what is stored, for it would be wrong otherwise
		synctest.Wait()
		if n := g.entries(); n != 0 {
			t.Errorf("%d entries after an unsafe request", n)
		}
	})
}

func TestModeIsSwitchedWhileTheCacheIsInUse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60"), cache.Options{Mode: cache.ModeOnlyIfCached})
		have, _ := g.get(url)
		if have.Outcome != "refused" || g.Mode() != cache.ModeOnlyIfCached || len(g.origin.asked) != 0 {
			t.Errorf("%v in mode %v", have, g.Mode())
		}
		if g.Contains(g.request(url)) {
			t.Error("something is stored")
		}
		g.SetMode(cache.ModeDefault)
		have, _ = g.get(url)
		g.want(have, 200, "x", "miss", 1)
		g.SetMode(cache.ModeNoStore)
		if have, _ = g.get(url); have.Outcome != "bypassed" || g.Contains(g.request(url)) {
			t.Errorf("%v; Contains looks into the store in that mode: %v", have, g.Contains(g.request(url)))
		}
		if g.SetMode(99); g.Mode() != cache.ModeDefault {
			t.Errorf("what is no mode became %v", g.Mode())
		}
	})
}

// A response that may be served stale while it is refreshed is served in a read-only cache, and not refreshed: the answer could not be stored.
func TestReadOnlyCacheDoesNotRefreshInTheBackground(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, says("x", "Cache-Control: max-age=60, stale-while-revalidate=60"), cache.Options{})
		defer g.Close()
		g.get(url)
		synctest.Wait()
		g.SetMode(cache.ModeReadOnly)
		time.Sleep(90 * time.Second)
		have, _ := g.get(url)
		synctest.Wait()
		g.want(have, 200, "x", "stale", 1)
	})
}

func TestModeOfTheOptionsIsChecked(t *testing.T) {
	_, err := cache.New(cache.Options{Mode: cache.ModeReadOnly + 1})
	var wrong *cache.OptionError
	require.ErrorAs(t, err, &wrong)
	if wrong.Option != "Mode" {
		t.Errorf("%v", err)
	}
}

package cache_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// sent and received add fields to the request and to the response of an archive.
func sent(lines ...string) func(*har.Entry) {
	return func(e *har.Entry) { e.Request.Headers = append(e.Request.Headers, pairs(lines)...) }
}

func received(lines ...string) func(*har.Entry) {
	return func(e *har.Entry) { e.Response.Headers = append(e.Response.Headers, pairs(lines)...) }
}

func pairs(lines []string) (all []har.Pair) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		all = append(all, har.Pair{Name: name, Value: value})
	}
	return all
}

// both makes several changes one.
func both(changes ...func(*har.Entry)) func(*har.Entry) {
	return func(e *har.Entry) {
		for _, change := range changes {
			change(e)
		}
	}
}

// Browsers leave Authorization and Cookie out, and nothing else: what the rest says is not enough to know whom an answer is for.
func TestArchiveWithoutCredentialsBringsNoAnswerOfAUserToOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*har.Entry)
		want   int
	}{
		"a program's key":                          {sent("apikey: of the program"), 0},
		"a program's key, and the user's":          {sent("apikey: of the program", "authorization: Bearer a"), 1},
		"a program's key, and cookies":             {sent("apikey: of the program", "cookie: session=a"), 1},
		"a program's key, for all":                 {both(sent("apikey: of the program"), received("cache-control: public")), 1},
		"for all, varies on cookies":               {received("cache-control: public", "vary: Accept, cookie"), 0},
		"for all, varies on Authorization":         {received("cache-control: s-maxage=9", "vary: Authorization"), 0},
		"for all, varies on cookies that it has":   {both(sent("cookie: theme=dark"), received("cache-control: public", "vary: cookie")), 1},
		"for all, varies on another field":         {received("cache-control: public", "vary: Accept-Language"), 1},
		"for all, varies on a key that it has":     {both(sent("x-api-key: a"), received("cache-control: public", "vary: X-Api-Key")), 1},
		"for all, varies on a key, without cookie": {both(sent("x-api-key: a"), received("cache-control: public", "vary: X-Api-Key, Cookie")), 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newPlainRig(t, numbered(), cache.Options{})
				report := b.importsHAR(browser(t, time.Now(), tt.change), cache.HARImport{})
				if report.Entries != tt.want || report.Skipped[cache.SkipUnknown] != 1-tt.want {
					t.Errorf("%+v, want %d", report, tt.want)
				}
			})
		})
	}
}

// The archive does not have the credentials that a response varies on: it must not come to answer those who send none.
func TestArchiveOfACacheBringsNoVariantOfAUserToOthers(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		for _, shared := range []bool{false, true} {
			a := newPlainRig(t, says("for one", "Cache-Control: public, max-age=100", "Vary: Cookie, Accept"), cache.Options{Store: from, Shared: shared})
			a.get("http://h/a", "Cookie: session=alice", "Accept: text/html")
			b := newPlainRig(t, says("of the origin"), cache.Options{Store: to, Shared: shared})
			for _, o := range []har.Options{{}, {KeepSecrets: true}} {
				report := b.importsHAR(a.archived(o), cache.HARImport{Complete: true})
				if report.Entries != 0 || report.Skipped[cache.SkipOtherKey] == 0 {
					t.Errorf("shared %v: %+v", shared, report)
				}
			}
			have, _ := b.get("http://h/a", "Accept: text/html")
			if have.Body != "of the origin" {
				t.Errorf("shared %v: without the cookie: %v", shared, have)
			}
		}
	})
}

func TestArchiveDoesNotReplaceANewerVariant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		archive := browser(t, time.Now(), both(sent("accept: a"), received("vary: Accept")), func(e *har.Entry) {
			both(sent("accept: b"), received("vary: Accept"))(e)
			e.Started = e.Started.Add(time.Second)
		})
		time.Sleep(10 * time.Second)
		b := newPlainRig(t, echo("Accept"), cache.Options{})
		b.get("http://h/a", "Accept: b")
		time.Sleep(time.Second)
		want := cache.MoveReport{Entries: 1, Bytes: 8, Skipped: map[cache.Skip]int{cache.SkipNewer: 1}}
		if diff := cmp.Diff(want, b.importsHAR(archive, cache.HARImport{Complete: true})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestArchiveDoesNotBringBackWhatATagOrAnotherProcessInvalidated(t *testing.T) {
	for name, invalidate := range map[string]func(*rig) error{
		"a group": func(g *rig) error { return g.DeleteGroup(g.Context(), "http://h/", "g") },
		"a URL":   func(g *rig) error { return g.DeleteURL(g.Context(), "http://h/a") },
	} {
		between(t, func(t *testing.T, _, to store.Store) {
			archive := browser(t, time.Now(), received(`cache-groups: "g"`))
			time.Sleep(time.Minute)
			o := says("of the origin", `Cache-Groups: "g"`, "Cache-Control: max-age=1")
			b := newPlainRig(t, o, cache.Options{Store: to})
			other := b
			if _, own := to.(*cache.Memory); to != nil && !own {
				other = newPlainRig(t, o, cache.Options{Store: to})
			}
			other.get("http://h/a")
			require.NoError(t, invalidate(other))
			if report := b.importsHAR(archive, cache.HARImport{Complete: true}); report.Skipped[cache.SkipInvalidated] != 1 {
				t.Errorf("%s: %+v", name, report)
			}
		})
	}
}

// A response that is requested while an import goes on may stand beside the one that is imported, until the next request.
func TestDeleteKeyDuringAnImportRemovesBoth(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newPlainRig(t, says("old", "Cache-Control: max-age=100", "Vary: Accept"), cache.Options{})
		a.get("http://h/a")
		out, in := io.Pipe()
		go func() {
			_, err := a.Export(t.Context(), in)
			in.CloseWithError(err)
		}()
		b := newPlainRig(t, says("new", "Cache-Control: max-age=100"), cache.Options{})
		_, err := b.Import(t.Context(), &atByte{Reader: out, n: 100, f: func() { b.get("http://h/a", "Accept: a") }})
		require.NoError(t, err)
		var key string
		for e := range b.Entries(t.Context()) {
			key = e.Key()
		}
		require.Equal(t, 2, b.entries())
		found, err := b.Get(t.Context(), key)
		require.NoError(t, err)
		n, err := b.DeleteKey(t.Context(), key)
		require.NoError(t, err)
		if len(found) != 2 || n != 2 || b.entries() != 0 {
			t.Errorf("found %d, deleted %d, %d are left", len(found), n, b.entries())
		}
	})
}

// atByte calls f once n bytes have been read.
type atByte struct {
	io.Reader
	n int
	f func()
}

func (r *atByte) Read(p []byte) (int, error) {
	if r.n <= 0 && r.f != nil {
		r.f()
		r.f = nil
	}
	n, err := r.Reader.Read(p[:min(len(p), 50)])
	r.n -= n
	return n, err
}

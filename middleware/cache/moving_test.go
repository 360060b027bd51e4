package cache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/storetest"
)

// exported is what a cache writes.
func (g *rig) exported() []byte {
	g.Helper()
	var b bytes.Buffer
	_, err := g.Export(g.Context(), &b)
	require.NoError(g, err)
	return b.Bytes()
}

// imports takes a stream in.
func (g *rig) imports(stream []byte) cache.MoveReport {
	g.Helper()
	report, err := g.Import(g.Context(), bytes.NewReader(stream))
	require.NoError(g, err)
	return report
}

// stores are the kinds of stores that entries move between.
var stores = map[string]func(*testing.T) store.Store{
	"memory": func(*testing.T) store.Store { return nil },
	"bytes":  func(*testing.T) store.Store { return storetest.NewMap(64 << 20) },
	"tiers": func(*testing.T) store.Store {
		return cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), storetest.NewMap(64<<20))
	},
}

// between runs a test for each pair of stores, in a bubble.
func between(t *testing.T, f func(t *testing.T, from, to store.Store)) {
	for from, first := range stores {
		for to, second := range stores {
			t.Run(from+" to "+to, func(t *testing.T) {
				inBubble(t, func(t *testing.T) { f(t, first(t), second(t)) })
			})
		}
	}
}

// newPlainRig is newRig without a store of the test run's choice.
func newPlainRig(t *testing.T, o *origin, options cache.Options) *rig {
	t.Helper()
	c, err := cache.New(options)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &rig{T: t, Cache: c, origin: o, rt: c.Middleware(o)}
}

// mute is an origin that must not be asked.
func mute(t *testing.T) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		t.Errorf("the origin is asked for %s", r.URL)
		return reply(500, "")
	}}
}

func TestImportedCacheAnswersAsTheExportingOneWithTheAgeOfToday(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := says("body", "Cache-Control: max-age=100, stale-while-revalidate=50", `ETag: "v"`, "Age: 7", "X-A: 1", "X-A: 2")
		a := newPlainRig(t, o, cache.Options{Store: from})
		a.get("http://h/a?secret=value")
		time.Sleep(10 * time.Second)
		stream := a.exported()
		time.Sleep(20 * time.Second)
		b := newPlainRig(t, mute(t), cache.Options{Store: to})
		if diff := cmp.Diff(cache.MoveReport{Entries: 1, Bytes: 4}, b.imports(stream)); diff != "" {
			t.Error(diff)
		}
		want, there := a.get("http://h/a?secret=value")
		have, resp := b.get("http://h/a?secret=value")
		if diff := cmp.Diff(want, have); diff != "" || have.Outcome != "hit" {
			t.Errorf("answer %v (-exporting +importing)\n%s", have, diff)
		}
		if diff := cmp.Diff(there.Header, resp.Header); diff != "" || resp.Header.Get("Age") != "37" {
			t.Errorf("Age %q, header (-exporting +importing)\n%s", resp.Header.Get("Age"), diff)
		}
		time.Sleep(70 * time.Second) // it is stale by 7 s
		o.asked, b.origin.answer = nil, o.answer
		if have, _ = b.get("http://h/a?secret=value"); have.Outcome != "stale" {
			t.Errorf("outcome %q once it is stale", have.Outcome)
		}
	})
}

func TestImportedVariantsAreSelectedByTheirFields(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(200, r.Header.Get("Accept-Language")+r.Header.Get("X-Tenant"), "Cache-Control: max-age=100", "Vary: Accept-Language, X-Tenant")
		}}
		a := newPlainRig(t, o, cache.Options{Store: from})
		a.get("http://h/", "Accept-Language: de", "X-Tenant: one")
		a.get("http://h/", "Accept-Language: en", "X-Tenant: two")
		b := newPlainRig(t, says("other"), cache.Options{Store: to})
		if report := b.imports(a.exported()); report.Entries != 2 {
			t.Errorf("%+v", report)
		}
		have, _ := b.get("http://h/", "Accept-Language: de", "X-Tenant: one")
		b.want(have, 200, "deone", "hit", 0)
		have, _ = b.get("http://h/", "Accept-Language: en", "X-Tenant: two")
		b.want(have, 200, "entwo", "hit", 0)
		if have, _ = b.get("http://h/", "Accept-Language: de", "X-Tenant: two"); have.Outcome != "miss" {
			t.Errorf("another variant: %v", have)
		}
	})
}

func TestImportedAnswersStayWithTheirPrincipal(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := numbered("Cache-Control: max-age=100")
		a := newPlainRig(t, o, cache.Options{Store: from})
		a.as("alice", "GET", "http://h/")
		a.get("http://h/", "Authorization: Bearer bob")
		a.get("http://h/")
		b := newPlainRig(t, says("other", "Cache-Control: max-age=100"), cache.Options{Store: to})
		if report := b.imports(a.exported()); report.Entries != 3 {
			t.Errorf("%+v", report)
		}
		b.want(b.as("alice", "GET", "http://h/"), 200, "1", "hit", 0)
		have, _ := b.get("http://h/", "Authorization: Bearer bob")
		b.want(have, 200, "2", "hit", 0)
		have, _ = b.get("http://h/")
		b.want(have, 200, "3", "hit", 0)
		b.want(b.as("carol", "GET", "http://h/"), 200, "other", "miss", 1)
		have, _ = b.get("http://h/", "Authorization: Bearer dave")
		b.want(have, 200, "other", "miss", 2)
		require.NoError(t, b.DeletePrincipal(t.Context(), "alice"))
		b.want(b.as("alice", "GET", "http://h/"), 200, "other", "miss", 3)
	})
}

func TestImportIsRefusedByACacheWhoseEntriesMeanSomethingElse(t *testing.T) {
	tenants := keying.Func(func(dst []byte, r *http.Request) ([]byte, error) {
		return append(append(dst, r.URL.String()...), r.Header.Get("X-Tenant")...), nil
	})
	for name, options := range map[string][2]cache.Options{
		"private into shared":         {{}, {Shared: true}},
		"private into shared, keys":   {{Key: keying.SingleUser()}, {Shared: true, Key: keying.SingleUser()}},
		"shared into private":         {{Shared: true}, {}},
		"one identity into several":   {{OneIdentityBelow: true}, {}},
		"several into one identity":   {{}, {OneIdentityBelow: true}},
		"single user into default":    {{Key: keying.SingleUser()}, {}},
		"default into single user":    {{}, {Key: keying.SingleUser()}},
		"without into with tenants":   {{Key: keying.New(keying.IgnoreCredentials())}, {Key: tenants}},
		"ignored into counted params": {{Key: keying.New(keying.URL(keying.URLOptions{Ignore: []string{"utm_source"}}))}, {Key: keying.New(keying.URL(keying.URLOptions{}))}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := newPlainRig(t, says("a", "Cache-Control: max-age=100"), options[0])
				a.get("http://h/")
				b := newPlainRig(t, says("b"), options[1])
				_, err := b.Import(t.Context(), bytes.NewReader(a.exported()))
				require.ErrorIs(t, err, cache.ErrOtherCache)
				_, err = cache.Copy(t.Context(), b.Cache, a.Cache)
				require.ErrorIs(t, err, cache.ErrOtherCache)
				if n := b.entries(); n != 0 {
					t.Errorf("%d entries came across", n)
				}
			})
		})
	}
}

func TestImportLeavesWhatIsNewer(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		a := newPlainRig(t, says("old", "Cache-Control: max-age=1000"), cache.Options{Store: from})
		a.get("http://h/a")
		a.get("http://h/b")
		stream := a.exported()
		time.Sleep(time.Second)
		b := newPlainRig(t, says("new", "Cache-Control: max-age=1000"), cache.Options{Store: to})
		b.get("http://h/a")
		want := cache.MoveReport{Entries: 1, Bytes: 3, Skipped: map[cache.Skip]int{cache.SkipNewer: 1}}
		if diff := cmp.Diff(want, b.imports(stream)); diff != "" {
			t.Error(diff)
		}
		again := cache.MoveReport{Skipped: map[cache.Skip]int{cache.SkipNewer: 2}}
		if diff := cmp.Diff(again, b.imports(stream)); diff != "" {
			t.Error(diff)
		}
		have, _ := b.get("http://h/a")
		b.want(have, 200, "new", "hit", 1)
		have, _ = b.get("http://h/b")
		b.want(have, 200, "old", "hit", 1)
	})
}

func TestImportReplacesWhatIsOlder(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		b := newPlainRig(t, says("old", "Cache-Control: max-age=1000"), cache.Options{Store: to})
		b.get("http://h/a")
		time.Sleep(time.Second)
		a := newPlainRig(t, says("new", "Cache-Control: max-age=1000"), cache.Options{Store: from})
		a.get("http://h/a")
		b.imports(a.exported())
		have, _ := b.get("http://h/a")
		b.want(have, 200, "new", "hit", 1)
		if n := b.entries(); n != 1 {
			t.Errorf("%d entries", n)
		}
	})
}

func TestWhatWasInvalidatedStaysSo(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := says("a", "Cache-Control: max-age=100000", `Cache-Groups: "g"`)
		a := newPlainRig(t, o, cache.Options{Store: from})
		b := newPlainRig(t, o, cache.Options{Store: to})
		for _, path := range []string{"gone", "posted", "grouped", "later"} {
			a.get("http://h/" + path)
		}
		a.get("http://other/grouped")
		stream := a.exported()
		time.Sleep(10 * time.Second)
		a.do("POST", "http://h/gone")
		b.do("POST", "http://h/posted")
		require.NoError(t, b.DeleteURL(t.Context(), "http://h/grouped"))
		if report := a.imports(stream); report.Skipped[cache.SkipInvalidated] != 1 {
			t.Errorf("into the cache itself: %+v", report)
		}
		want := cache.MoveReport{Entries: 3, Bytes: 3, Skipped: map[cache.Skip]int{cache.SkipInvalidated: 2}}
		if diff := cmp.Diff(want, b.imports(stream)); diff != "" {
			t.Error(diff)
		}
		asked := len(o.asked)
		for _, path := range []string{"posted", "grouped"} {
			if have, _ := b.get("http://h/" + path); have.Outcome != "miss" {
				t.Errorf("%s: %v", path, have)
			}
		}
		if have, _ := b.get("http://h/later"); have.Outcome != "hit" || len(o.asked) != asked+2 {
			t.Errorf("later: %v", have)
		}
		require.NoError(t, b.DeleteGroup(t.Context(), "http://h/", "g"))
		if have, _ := b.get("http://h/later"); have.Outcome != "miss" {
			t.Errorf("of a group that has been removed: %v", have)
		}
		if have, _ := b.get("http://other/grouped"); have.Outcome != "hit" {
			t.Errorf("of another origin's group: %v", have)
		}
	})
}

func TestImportedEntriesAreInvalidatedLikeOthers(t *testing.T) {
	for name, end := range map[string]func(*rig){
		"by an unsafe request": func(b *rig) { b.do("DELETE", "http://h/a?q=1") },
		"by their URL":         func(b *rig) { b.DeleteURL(b.Context(), "http://h/a?q=1") },
		"by their request": func(b *rig) {
			r, _ := http.NewRequest("GET", "http://h/a?q=1", nil)
			b.Delete(b.Context(), r)
		},
		"by their key": func(b *rig) {
			for e := range b.Entries(b.Context()) {
				b.DeleteKey(b.Context(), e.Key())
			}
		},
		"one by one": func(b *rig) {
			for e := range b.Entries(b.Context()) {
				b.DeleteEntry(b.Context(), e)
			}
		},
		"by a pattern": func(b *rig) { b.DeletePattern(b.Context(), "h/a") },
		"all":          func(b *rig) { b.Clear(b.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			between(t, func(t *testing.T, from, to store.Store) {
				a := newPlainRig(t, says("a", "Cache-Control: max-age=100"), cache.Options{Store: from})
				a.get("http://h/a?q=1")
				b := newPlainRig(t, says("b", "Cache-Control: max-age=100"), cache.Options{Store: to})
				b.imports(a.exported())
				end(b)
				if have, _ := b.get("http://h/a?q=1"); have.Body != "b" {
					t.Errorf("%v", have)
				}
			})
		})
	}
}

func TestImportOfWhatDoesNotVaryOnTheWholeQuery(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		a := newPlainRig(t, says("a", "Cache-Control: max-age=100", `No-Vary-Search: params=("x")`), cache.Options{Store: from})
		a.get("http://h/a?x=1&y=1")
		b := newPlainRig(t, says("b"), cache.Options{Store: to})
		b.imports(a.exported())
		have, _ := b.get("http://h/a?x=2&y=1")
		b.want(have, 200, "a", "hit", 0)
		have, _ = b.get("http://h/a?x=2&y=2")
		b.want(have, 200, "b", "miss", 1)
	})
}

func TestPartsMoveAsTheyAre(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := &origin{answer: func(r *http.Request) *http.Response {
			return reply(206, "2345", "Cache-Control: max-age=100", `ETag: "v"`, "Content-Range: bytes 2-5/10")
		}}
		a := newPlainRig(t, o, cache.Options{Store: from})
		a.get("http://h/a", "Range: bytes=2-5")
		b := newPlainRig(t, mute(t), cache.Options{Store: to})
		b.imports(a.exported())
		have, _ := b.get("http://h/a", "Range: bytes=3-4")
		b.want(have, 206, "34", "hit", 0)
	})
}

// What varies on credentials is found by hashes with a secret of the cache.
func TestSecretOfTheHashesMovesWhereNothingDependsOnTheOther(t *testing.T) {
	vary := []string{"Cache-Control: max-age=100", "Vary: X-Token"}
	between(t, func(t *testing.T, from, to store.Store) {
		a := newPlainRig(t, says("a", vary...), cache.Options{Store: from})
		a.get("http://h/a", "X-Token: secret")
		a.get("http://h/plain")
		stream := a.exported()
		time.Sleep(time.Second)

		fresh := newPlainRig(t, mute(t), cache.Options{Store: to})
		if report := fresh.imports(stream); report.Entries != 2 {
			t.Errorf("%+v", report)
		}
		have, _ := fresh.get("http://h/a", "X-Token: secret")
		fresh.want(have, 200, "a", "hit", 0)

		used := newPlainRig(t, says("b", vary...), cache.Options{})
		used.get("http://h/b", "X-Token: mine")
		want := cache.MoveReport{Entries: 1, Bytes: 1, Skipped: map[cache.Skip]int{cache.SkipSecret: 1}}
		if diff := cmp.Diff(want, used.imports(stream)); diff != "" {
			t.Error(diff)
		}
		have, _ = used.get("http://h/b", "X-Token: mine")
		used.want(have, 200, "b", "hit", 1)
	})
}

func TestSecretThatTheUserGivesIsNotInTheStream(t *testing.T) {
	vary := []string{"Cache-Control: max-age=100", "Vary: X-Token"}
	between(t, func(t *testing.T, from, to store.Store) {
		key := []byte("a key of the user's, 32 bytes or more")
		a := newPlainRig(t, says("a", vary...), cache.Options{Store: from, VaryHashKey: key})
		a.get("http://h/a", "X-Token: token-in-clear")
		stream := a.exported()
		sum := sha256.Sum256(key)
		if bytes.Contains(stream, key) || bytes.Contains(stream, sum[:]) || bytes.Contains(stream, []byte("token-in-clear")) {
			t.Error("the stream has a secret in it")
		}
		other := newPlainRig(t, says("b", vary...), cache.Options{})
		if report := other.imports(stream); report.Skipped[cache.SkipSecret] != 1 {
			t.Errorf("without the key: %+v", report)
		}
		b := newPlainRig(t, mute(t), cache.Options{Store: to, VaryHashKey: key})
		b.imports(stream)
		have, _ := b.get("http://h/a", "X-Token: token-in-clear")
		b.want(have, 200, "a", "hit", 0)
	})
}

func TestStreamHoldsNoSecretOfAQueryOrARequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newPlainRig(t, says("a", "Cache-Control: max-age=100"), cache.Options{})
		a.get("http://user:password@h/a?api_key=hidden1", "Authorization: Bearer hidden2", "Cookie: s=hidden3")
		stream := string(a.exported())
		for _, secret := range []string{"hidden1", "hidden2", "hidden3", "password"} {
			if strings.Contains(stream, secret) {
				t.Errorf("%s is in the stream", secret)
			}
		}
	})
}

// selfVerifying makes bodies that say what they should be.
func selfVerifying(n int) string {
	return strings.Repeat(strconv.Itoa(n)+" ", n%700+1)
}

func TestEntriesMoveFromStoreToStoreAndBack(t *testing.T) {
	for name, tt := range map[string]struct {
		n    int
		open func(*testing.T) store.Store
	}{
		"2,000 by way of bytes": {2000, func(*testing.T) store.Store { return storetest.NewMap(1 << 30) }},
		"500 by way of files": {500, func(t *testing.T) store.Store {
			files, err := file.Open(t.TempDir(), file.Options{MaxBytes: 1 << 30})
			require.NoError(t, err)
			t.Cleanup(func() { files.Close() })
			return files
		}},
	} {
		t.Run(name, func(t *testing.T) { moveThereAndBack(t, tt.n, tt.open(t)) })
	}
}

// moveThereAndBack fills a memory, copies it into a store, and streams that into another memory.
func moveThereAndBack(t *testing.T, n int, s store.Store) {
	o := &origin{answer: func(r *http.Request) *http.Response {
		i, _ := strconv.Atoi(r.URL.Path[1:])
		return reply(200, selfVerifying(i), "Cache-Control: max-age=1000000")
	}}
	first := newPlainRig(t, o, cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 30})})
	for i := range n {
		first.get("http://h/" + strconv.Itoa(i))
	}
	second := newPlainRig(t, mute(t), cache.Options{Store: s, StoreTimeout: 10 * time.Second})
	report, err := cache.Copy(t.Context(), second.Cache, first.Cache)
	require.NoError(t, err)
	if report.Entries != n || report.Skipped != nil {
		t.Errorf("into the store: %+v", report)
	}
	third := newPlainRig(t, mute(t), cache.Options{Store: cache.NewMemory(cache.MemoryOptions{MaxBytes: 1 << 30})})
	r, w := io.Pipe()
	go func() {
		_, err := second.Export(context.Background(), w)
		w.CloseWithError(err)
	}()
	report, err = third.Import(t.Context(), r)
	require.NoError(t, err)
	if report.Entries != n || report.Skipped != nil {
		t.Errorf("back into memory: %+v", report)
	}
	for i := range n {
		if have, _ := third.get("http://h/" + strconv.Itoa(i)); have.Body != selfVerifying(i) || have.Outcome != "hit" {
			t.Fatalf("%d: %v", i, have.Outcome)
		}
	}
}

func TestEntriesWhoseConnectionHasNoNameStayInTheProcess(t *testing.T) {
	o := over(says("a", "Cache-Control: max-age=100"), true)
	nameless := &http.Transport{TLSClientConfig: &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return nil }}}
	a := newPlainRig(t, o, cache.Options{})
	a.rt = a.Middleware(&seen{o, nameless})
	a.get("https://h/nameless")
	a.rt = a.Middleware(cache.NamedConnection("gateway")(&seen{o, nameless}))
	a.get("https://h/named")
	b := newPlainRig(t, mute(t), cache.Options{})
	report, err := cache.Copy(t.Context(), b.Cache, a.Cache)
	require.NoError(t, err)
	want := cache.MoveReport{Entries: 1, Bytes: 1, Skipped: map[cache.Skip]int{cache.SkipUnnamed: 1}}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	b.rt = b.Middleware(cache.NamedConnection("gateway")(&seen{b.origin, nameless}))
	have, _ := b.get("https://h/named")
	b.want(have, 200, "a", "hit", 0)
}

// The clock of the importing machine may be behind: then the age of a response cannot be known, and it is validated.
func TestImportedResponseOfTheFutureIsValidated(t *testing.T) {
	var stream []byte
	inBubble(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		a := newPlainRig(t, says("a", "Cache-Control: max-age=100000", `ETag: "v"`), cache.Options{})
		a.get("http://h/")
		stream = a.exported()
	})
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(*http.Request) *http.Response { return reply(304, "", `ETag: "v"`) }}
				b := newPlainRig(t, o, cache.Options{Store: open(t)})
				b.imports(stream)
				have, _ := b.get("http://h/")
				b.want(have, 200, "a", "revalidated", 1)
				require.Len(t, o.asked, 1)
				if o.asked[0].Header.Get("If-None-Match") != `"v"` {
					t.Errorf("asked with %v", o.asked[0].Header)
				}
			})
		})
	}
}

// Entries come and go, and are asked for, while they move. Whatever arrives is whole, and answers the request that it was stored for.
func TestEntriesMoveWhileBothCachesAreInUse(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			var version atomic.Int64
			answer := roundTripper(func(r *http.Request) (*http.Response, error) {
				body := strings.Repeat(r.URL.Path+" "+strconv.FormatInt(version.Add(1), 10)+"\n", 200)
				return reply(200, body, "Cache-Control: max-age=1000", "Date: "+time.Now().UTC().Format(http.TimeFormat)), nil
			})
			a, err := cache.New(cache.Options{Store: open(t), StoreTimeout: 10 * time.Second})
			require.NoError(t, err)
			defer a.Close()
			b, err := cache.New(cache.Options{Store: open(t), StoreTimeout: 10 * time.Second})
			require.NoError(t, err)
			defer b.Close()
			first, second := a.Middleware(answer), b.Middleware(answer)
			for i := range 20 {
				r, _ := http.NewRequest("GET", "http://h/first/"+strconv.Itoa(i), nil)
				readAll(roundTrip(t, first, r))
			}
			var users sync.WaitGroup
			for user := range 4 {
				users.Go(func() {
					for i := range 300 {
						rt := first
						if user%2 == 1 {
							rt = second
						}
						method := "GET"
						if i%17 == 0 {
							method = "DELETE"
						}
						r, _ := http.NewRequest(method, "http://h/"+strconv.Itoa((i*7+user)%40), nil)
						resp, err := rt.RoundTrip(r)
						if err != nil {
							t.Error(err)
							return
						}
						body, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						line, _, _ := bytes.Cut(body, []byte("\n"))
						if err != nil || !bytes.HasPrefix(line, []byte(r.URL.Path+" ")) || string(body) != strings.Repeat(string(line)+"\n", 200) {
							t.Errorf("%s: a wrong body, %v: %.40q", r.URL.Path, err, body)
						}
					}
				})
			}
			moved := 0
			for range 10 {
				report, err := cache.Copy(t.Context(), b, a)
				if err != nil {
					t.Error(err)
				}
				moved += report.Entries
			}
			users.Wait()
			if moved < 20 {
				t.Errorf("%d entries have moved", moved)
			}
		})
	}
}

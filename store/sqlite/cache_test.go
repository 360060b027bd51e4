package sqlite_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/sqlite"
)

// origin is a real server. /text/… varies on Accept-Language, /large/… streams as many bytes as its path says and ends with their sum.
type origin struct {
	*httptest.Server
	asked atomic.Int64
}

func newOrigin(t testing.TB) *origin {
	o := &origin{}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := o.asked.Add(1)
	w.Header().Set("Cache-Control", "max-age=600")
	switch size, isLarge := strings.CutPrefix(r.URL.Path, "/large/"); {
	case r.Method == http.MethodPost:
		w.Header().Del("Cache-Control")
		w.WriteHeader(http.StatusNoContent)
	case isLarge:
		bytes, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", size)
		_, _ = io.Copy(w, sealed(bytes, uint64(n)))
	default:
		w.Header().Set("Vary", "Accept-Language")
		fmt.Fprintf(w, "%s in %s, answer %d", r.URL.Path, r.Header.Get("Accept-Language"), n)
	}
}

// sealed returns size bytes of which the last are the sum of the others.
func sealed(size int64, seed uint64) io.Reader {
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}), size-sha256.Size), sum)
	return io.MultiReader(body, &tail{sum: sum})
}

// tail is the sum of what was read before.
type tail struct {
	sum  hash.Hash
	rest io.Reader
}

func (l *tail) Read(p []byte) (int, error) {
	if l.rest == nil {
		l.rest = bytes.NewReader(l.sum.Sum(nil))
	}
	return l.rest.Read(p)
}

// unseal reads such a body without keeping it, and returns its sum.
func unseal(body io.Reader, size int64) (string, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(body, size-sha256.Size))
	if err != nil {
		return "", err
	}
	end, err := io.ReadAll(io.LimitReader(body, 100))
	if err != nil {
		return "", err
	}
	if n+int64(len(end)) != size || !bytes.Equal(end, sum.Sum(nil)) {
		return "", fmt.Errorf("a wrong body of %d bytes", n+int64(len(end)))
	}
	return hex.EncodeToString(end), nil
}

// program is one that uses a cache in a file.
type program struct {
	file   *sqlite.Store
	cache  *cache.Cache
	client *http.Client
}

func start(t testing.TB, path string, o cache.Options) *program {
	t.Helper()
	p := &program{file: open(t, path, sqlite.Options{MaxBytes: 2 * max(*large, 16<<20), Sync: sqlite.SyncOff})}
	o.Store, o.StoreTimeout = p.file, 20*time.Second // nothing here is about a slow machine
	c, err := cache.New(o)
	require.NoError(t, err)
	p.cache, p.client = c, &http.Client{Transport: c.Middleware(http.DefaultTransport)}
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *program) stop(t testing.TB) {
	t.Helper()
	require.NoError(t, p.cache.Close())
	require.NoError(t, p.file.Close())
}

// get returns the body and whether it came from the cache.
func (p *program) get(t testing.TB, url, language string) (body string, hit bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("Accept-Language", language)
	resp, err := p.client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	if size, isLarge := strings.CutPrefix(r.URL.Path, "/large/"); isLarge {
		n, err := strconv.ParseInt(size, 10, 64)
		require.NoError(t, err)
		body, err = unseal(resp.Body, n)
		require.NoError(t, err)
	} else {
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		body = string(b)
	}
	s, _ := cache.StatusOf(resp)
	return body, s.Hit
}

// stored gets a body, and waits until it is stored, which happens behind the caller's back.
func (p *program) stored(t testing.TB, url, language string) string {
	t.Helper()
	before := p.cache.Stats().Stored
	body, hit := p.get(t, url, language)
	if !hit { // no other request is under way
		testutil.Eventually(t, url+" is stored", func() bool { return p.cache.Stats().Stored > before })
	}
	return body
}

// What was stored is there after a restart: all variants, large bodies, and what was invalidated is not.
func TestRestart(t *testing.T) {
	o, path := newOrigin(t), file(t)
	urls := []string{o.URL + "/text/a", o.URL + "/text/b", o.URL + "/large/3000000"}
	bodies := make(map[string]string)
	p := start(t, path, cache.Options{})
	for _, url := range urls {
		for _, language := range []string{"en", "de", "fr"} {
			bodies[url+language] = p.stored(t, url, language)
		}
	}
	invalidate(t, p, urls[1])
	p.stop(t)

	asked := o.asked.Load()
	p = start(t, path, cache.Options{})
	for _, url := range []string{urls[0], urls[2]} {
		for _, language := range []string{"en", "de", "fr"} {
			if body, hit := p.get(t, url, language); !hit || body != bodies[url+language] {
				t.Errorf("%s in %s after a restart: hit %t, %.60q, want %.60q from the file", url, language, hit, body, bodies[url+language])
			}
		}
	}
	if o.asked.Load() != asked {
		t.Errorf("the origin was asked %d times", o.asked.Load()-asked)
	}
	if _, hit := p.get(t, urls[1], "en"); hit {
		t.Error("what was invalidated before the restart is served after it")
	}
	p.stop(t)
	sound(t, path)
}

func invalidate(t testing.TB, p *program, url string) {
	t.Helper()
	resp, err := p.client.Post(url, "text/plain", strings.NewReader("x"))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
}

// Two caches on one file: what one stores the other one has, and what one invalidates the other one serves no more.
func TestTwoCaches(t *testing.T) {
	o, path := newOrigin(t), file(t)
	one, two := start(t, path, cache.Options{}), start(t, path, cache.Options{})
	for _, url := range []string{o.URL + "/text/a", o.URL + "/large/2000000"} {
		first := one.stored(t, url, "en")
		if body, hit := two.get(t, url, "en"); !hit || body != first {
			t.Errorf("%s: the second cache answers %.60q, hit %t", url, body, hit)
		}
		invalidate(t, two, url)
		next := one.stored(t, url, "en")
		if next == first {
			t.Errorf("%s: the first cache answers %.60q after the second one has invalidated it", url, next)
		}
		if body, hit := two.get(t, url, "en"); !hit || body != next {
			t.Errorf("%s: the second cache answers %.60q, hit %t, want what the first one fetched again", url, body, hit)
		}
	}
	require.NoError(t, two.cache.Clear(t.Context()))
	if _, hit := one.get(t, o.URL+"/text/a", "en"); hit {
		t.Error("the first cache serves what the second one has cleared")
	}
	one.stop(t)
	two.stop(t)
	sound(t, path)
}

// Many requests at once, over several caches on one file, while others invalidate: no request fails, and no body is wrong.
func TestManyAtOnce(t *testing.T) {
	o, path := newOrigin(t), file(t)
	faults := &cache.Trace{Fault: func(operation string, err error) {
		t.Errorf("%s: %v", operation, err)
	}}
	var programs []*program
	for range 3 {
		programs = append(programs, start(t, path, cache.Options{Trace: faults}))
	}
	var all sync.WaitGroup
	var hits atomic.Int64
	for g := range 12 {
		all.Go(func() {
			p := programs[g%len(programs)]
			for i := range 25 {
				url, language := fmt.Sprint(o.URL, "/text/", rand.N(6)), []string{"en", "de"}[i%2]
				if i%5 == 4 {
					url = o.URL + "/large/" + strconv.Itoa(400_000+100_000*rand.N(3))
				}
				if g == 0 && i%3 == 0 {
					invalidate(t, p, url)
				}
				body, hit := p.get(t, url, language)
				if hit {
					hits.Add(1)
				}
				if strings.Contains(url, "/text/") && !strings.HasPrefix(body, strings.TrimPrefix(url, o.URL)+" in "+language+",") {
					t.Errorf("%s in %s: %q", url, language, body)
				}
			}
		})
	}
	all.Wait()
	for _, p := range programs {
		p.stop(t)
	}
	t.Logf("%d of 300 requests were answered from the file", hits.Load())
	sound(t, path)
}

// An invalidation that meets a lock on the file reaches the other processes soon after it is free, though its process makes no other request.
func TestAnInvalidationDuringALock(t *testing.T) {
	o, path := newOrigin(t), file(t)
	reader := start(t, path, cache.Options{})
	c, err := cache.New(cache.Options{Store: open(t, path, sqlite.Options{})}) // with the deadlines that programs have
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	writer := &program{cache: c, client: &http.Client{Transport: c.Middleware(http.DefaultTransport)}}
	url := o.URL + "/text/a"
	old := reader.stored(t, url, "en")
	db := raw(t, path)
	_, err = db.Exec("BEGIN IMMEDIATE")
	require.NoError(t, err)
	begun := time.Now()
	invalidate(t, writer, url)
	if n := writer.cache.Stats().Owed; n != 1 {
		t.Errorf("%d are owed after %v", n, time.Since(begun))
	}
	<-time.After(50 * time.Millisecond)
	_, err = db.Exec("COMMIT")
	require.NoError(t, err)
	for deadline := time.Now().Add(10 * time.Second); writer.cache.Stats().Owed > 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the store is never told")
		}
	}
	if body, hit := reader.get(t, url, "en"); hit || body == old {
		t.Errorf("the other process answers %.60q, hit %t", body, hit)
	}
}

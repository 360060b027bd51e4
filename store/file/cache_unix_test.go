//go:build unix

package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// origin is a server whose resources have a generation, which a POST counts up. A body says which resource it is, in which generation, and whether it is whole.
type origin struct {
	*httptest.Server

	mu          sync.Mutex // guards the fields below
	generations map[string]int
	asked       int
}

func newOrigin(t *testing.T) *origin {
	o := &origin{generations: make(map[string]int)}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.asked++
	if r.Method == http.MethodPost {
		o.generations[r.URL.Path]++
	}
	generation := o.generations[r.URL.Path]
	o.mu.Unlock()
	w.Header().Set("Generation", strconv.Itoa(generation))
	if r.Method == http.MethodPost {
		return
	}
	w.Header().Set("Cache-Control", "max-age=600")
	w.Header().Set("Vary", "Accept-Language")
	size := 300
	if strings.HasPrefix(r.URL.Path, "/large") {
		size = 700_000 // more than one piece
	}
	w.Write(proof(bodyKey(r.URL.Path, r.Header.Get("Accept-Language"), generation), size))
}

func bodyKey(path, language string, generation int) string {
	return fmt.Sprint(path, " ", language, " ", generation)
}

// user is a client with a cache in a directory.
type user struct {
	files *Store
	cache *cache.Cache
	hc    *http.Client
}

func newUser(dir string) (*user, error) {
	files, err := Open(dir, Options{MaxBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	c, err := cache.New(cache.Options{Store: files, StoreTimeout: 20 * time.Second}) // nothing here is about a slow machine
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return &user{files, c, &http.Client{Transport: c.Middleware(http.DefaultTransport)}}, nil
}

func (u *user) close() error { return errors.Join(u.cache.Close(), u.files.Close()) }

var languages = []string{"en", "de"}

// get checks a body, which must be of a generation not before the given one, and reports whether it was a hit.
func (u *user) get(ctx context.Context, base, path, language string, least int) (hit bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept-Language", language)
	resp, err := u.hc.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, err
	}
	generation, err := strconv.Atoi(resp.Header.Get("Generation"))
	status, _ := cache.StatusOf(resp)
	switch {
	case err != nil:
		return false, err
	case !proven(bodyKey(path, language, generation), body):
		return false, fmt.Errorf("%s in %s: a wrong body of %d bytes", path, language, len(body))
	case generation < least:
		return false, fmt.Errorf("%s in %s: generation %d, which was invalidated by %d: %v", path, language, generation, least, resp.Header["Cache-Status"])
	}
	return status.Hit, nil
}

func (u *user) post(ctx context.Context, url string) (generation int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := u.hc.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return strconv.Atoi(resp.Header.Get("Generation"))
}

var resources = []string{"/a", "/b", "/c", "/d", "/large-a", "/large-b"}

// browse gets and posts until it is killed. It says which invalidations it knows to be done.
func browse(args []string) error {
	u, err := newUser(args[0])
	if err != nil {
		return err
	}
	fmt.Println("begun")
	var mu sync.Mutex // guards done
	done := make(map[string]int)
	failed := make(chan error)
	for range 4 {
		go func() {
			for ctx := context.Background(); ; {
				path := resources[rand.IntN(len(resources))]
				mu.Lock()
				least := done[path]
				mu.Unlock()
				if rand.IntN(8) > 0 {
					if _, err := u.get(ctx, args[1], path, languages[rand.IntN(len(languages))], least); err != nil {
						failed <- err
					}
					continue
				}
				generation, err := u.post(ctx, args[1]+path)
				if err != nil {
					failed <- err
				}
				mu.Lock()
				done[path] = max(done[path], generation)
				mu.Unlock()
				fmt.Println("done", path, generation)
			}
		}()
	}
	return <-failed
}

// TestCacheKilled kills a program with a cache, again and again. What the next one serves is whole, and nothing is served that an invalidation
// which the program knew to be done had removed.
func TestCacheKilled(t *testing.T) {
	kills := 10
	if *long {
		kills = 300
	}
	o, dir := newOrigin(t), t.TempDir()
	done := make(map[string]int)
	hits := 0
	// On a busy machine it may take more kills until one comes late enough.
	for i := 0; i < kills || len(done) == 0 && i < 30*kills; i++ {
		c := process(t, "browse", dir, o.URL)
		out, err := c.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan(), "the program did not begin")
		kill := time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { c.Process.Kill() })
		for lines.Scan() {
			var path string
			var generation int
			if n, _ := fmt.Sscanf(lines.Text(), "done %s %d", &path, &generation); n == 2 {
				done[path] = max(done[path], generation)
			}
		}
		require.NoError(t, lines.Err())
		c.Wait()
		kill.Stop()
		if c.ProcessState.Exited() {
			t.Fatalf("kill %d: the program ended by itself", i)
		}
		hits += lookAround(t, o, dir, done, fmt.Sprint("kill ", i))
	}
	invalidations := 0
	for _, n := range done {
		invalidations += n
	}
	t.Logf("%d kills: %d requests, %d hits afterwards, 0 wrong bodies; %d invalidations, 0 undone", kills, o.asked, hits, invalidations)
	if hits == 0 || invalidations == 0 {
		t.Error("nothing was stored or invalidated")
	}
}

// lookAround gets everything there is after a kill, and returns how much of it was there.
func lookAround(t *testing.T, o *origin, dir string, done map[string]int, what string) (hits int) {
	t.Helper()
	u, err := newUser(dir)
	require.NoError(t, err)
	for _, path := range resources {
		for _, language := range languages {
			hit, err := u.get(t.Context(), o.URL, path, language, done[path])
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if hit {
				hits++
			}
		}
	}
	require.NoError(t, u.close()) // what is stored behind the caller's back is stored then, or never
	s, err := Open(dir, Options{MaxBytes: 16 << 20})
	require.NoError(t, err)
	defer s.Close()
	checkDir(t, dir, s, what)
	return hits
}

// TestCachesSideBySide has four programs browse one directory at once; each checks what it gets.
func TestCachesSideBySide(t *testing.T) {
	o, dir := newOrigin(t), t.TempDir()
	var users []*user
	for range 4 {
		u, err := newUser(dir)
		require.NoError(t, err)
		defer u.close()
		users = append(users, u)
	}
	rounds := 40
	if *long {
		rounds = 2000
	}
	var mu sync.Mutex // guards the fields below
	done, hits := make(map[string]int), 0
	var wg sync.WaitGroup
	for _, u := range users {
		for range 2 {
			wg.Go(func() {
				for range rounds {
					path := resources[rand.IntN(len(resources))]
					mu.Lock()
					least := done[path]
					mu.Unlock()
					if rand.IntN(8) == 0 {
						generation, err := u.post(t.Context(), o.URL+path)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						done[path] = max(done[path], generation)
						mu.Unlock()
						continue
					}
					hit, err := u.get(t.Context(), o.URL, path, languages[rand.IntN(len(languages))], least)
					if err != nil {
						t.Error(err)
						return
					}
					if hit {
						mu.Lock()
						hits++
						mu.Unlock()
					}
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d requests to the origin, %d hits", o.asked, hits)
	if hits == 0 {
		t.Error("nothing was a hit")
	}
}

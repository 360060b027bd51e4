package auth_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// bodyOf is what a user gets for a path: no other user's is like it, and it shows if a part is missing.
func bodyOf(user, path string) string {
	sum := sha256.Sum256([]byte(user + path))
	return fmt.Sprintf("%s %s %s", user, path, strings.Repeat(fmt.Sprintf("%x", sum), 40))
}

// wallet issues tokens that are good for so many requests, and knows whose they are.
type wallet struct {
	uses int64

	mu     sync.Mutex
	issued int
	asked  map[string]int
	tokens map[string]*grant
}

type grant struct {
	user string
	left atomic.Int64
}

func (w *wallet) Token(ctx context.Context) (auth.Token, error) {
	user := auth.AccountFromContext(ctx)
	runtime.Gosched() // let others wait for this token
	w.mu.Lock()
	defer w.mu.Unlock()
	w.issued++
	w.asked[user]++
	value := fmt.Sprintf("t%d", w.issued)
	g := &grant{user: user}
	g.left.Store(w.uses)
	w.tokens[value] = g
	return auth.Token{Value: value, Principal: user}, nil
}

func (w *wallet) userOf(r *http.Request) (string, bool) {
	w.mu.Lock()
	g := w.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	w.mu.Unlock()
	if g == nil || g.left.Add(-1) < 0 {
		return "", false
	}
	return g.user, true
}

// Thousands of requests of several people go through one client with a cache, over sockets, while their tokens run out again and again.
// Each body says whose it is, and no user gets another's, nor a part of it.
func TestLoadOfSeveralPeopleNeverCrosses(t *testing.T) {
	const users, callers, each = 8, 64, 60
	w := &wallet{uses: 25, asked: map[string]int{}, tokens: map[string]*grant{}}
	var refused atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		user, ok := w.userOf(r)
		if !ok {
			refused.Add(1)
			rw.Header().Set("Www-Authenticate", `Bearer error="invalid_token"`)
			rw.Header().Set("Cache-Control", "max-age=3600")
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		upload, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost && string(upload) != bodyOf(user, r.URL.Path) {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		rw.Header().Set("Cache-Control", [...]string{"max-age=3600", "no-cache", "no-store"}[len(r.URL.Path)%3])
		rw.Header().Set("Etag", fmt.Sprintf("%q", user))
		rw.Header().Set("Vary", "Authorization")
		if r.Header.Get("If-None-Match") == fmt.Sprintf("%q", user) {
			rw.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(rw, bodyOf(user, r.URL.Path))
	}))
	defer server.Close()
	layer := auth.New(auth.Options{Source: w, Origins: []string{server.URL}, Account: accountOf, FailureHold: time.Microsecond})
	client, err := ply.New(ply.Options{BaseURL: server.URL, Use: []ply.Middleware{layer, newCache(t, cache.Options{}).Middleware, retry.New(retry.Options{})}})
	require.NoError(t, err)
	defer client.Close()
	var herd sync.WaitGroup
	var rejected atomic.Int64
	for caller := range callers {
		herd.Go(func() {
			user := fmt.Sprint("user", caller%users)
			for range each {
				path := "/" + strings.Repeat("p", 1+rand.IntN(9))
				var resp *http.Response
				var err error
				if rand.IntN(4) == 0 {
					resp, err = client.Post(as(t.Context(), user), path, ply.BodyString(bodyOf(user, path)))
				} else {
					resp, err = client.Get(as(t.Context(), user), path)
				}
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				switch {
				case err != nil:
					t.Error(err)
				case resp.StatusCode == http.StatusUnauthorized:
					rejected.Add(1) // the new token had been used up by others
				case resp.StatusCode != 200 || string(got) != bodyOf(user, path):
					t.Errorf("%s got %d %.80q", user, resp.StatusCode, got)
				}
			}
		})
	}
	herd.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Len(t, w.asked, users)
	require.Positive(t, refused.Load(), "no token has run out")
	require.Less(t, rejected.Load(), int64(callers*each/20), "requests that ended in a 401")
	t.Logf("%d requests, %d tokens, %d refused, %d ended so", callers*each, w.issued, refused.Load(), rejected.Load())
}

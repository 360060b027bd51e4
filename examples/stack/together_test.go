package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience"
	"github.com/plyhttp/ply/resilience/breaker"
	"github.com/plyhttp/ply/resilience/hedge"
	"github.com/plyhttp/ply/resilience/limit"
	"github.com/plyhttp/ply/store/file"
)

// lockedBuffer is a log that several clients write to.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pageOf is what the server has for a user under a path: a mix-up of users, paths or bytes shows.
func pageOf(user, path string) string { return strings.Repeat(user+" reads "+path+"\n", 150) }

// flaky is a server for several users that fails for every seventh request in one of three ways, and compresses for who takes it.
func flaky() http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer token-canary-")
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		turn := n.Add(1)
		switch turn % 21 {
		case 7:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 14:
			panic(http.ErrAbortHandler)
		case 20:
			w.Header().Set("Content-Length", "100000")
			io.WriteString(w, "cut off")
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Cache-Control", [...]string{"max-age=60", "max-age=0, stale-if-error=60", "no-store", "max-age=1, stale-while-revalidate=60"}[turn%4])
		w.Header().Set("Vary", "Accept-Encoding")
		w.Header().Set("Etag", fmt.Sprintf(`W/"%s%s"`, user, r.URL.Path))
		if strings.Contains(r.Header.Get("If-None-Match"), fmt.Sprintf(`"%s%s"`, user, r.URL.Path)) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			io.WriteString(w, pageOf(user, r.URL.Path))
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, pageOf(user, r.URL.Path))
		z.Close()
	})
}

// Two users share a cache on files below a chain of all layers, at a server in trouble. Each gets pages of its own, whole or with an error,
// and what may be secret stands in no log, no record, no error, no file and no list of URLs.
func TestAllLayersTogetherKeepUsersApartAndSecretsHidden(t *testing.T) {
	origin := plytest.NewHandlerOrigin(flaky())
	dir := t.TempDir()
	files, err := file.Open(dir, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	store, err := cache.New(cache.Options{Store: files, StoreTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var log lockedBuffer
	var told sync.Map // what callers were told: records and errors
	var whole, failed atomic.Int64
	var wg sync.WaitGroup
	for _, user := range []string{"ada", "bob"} {
		client, err := ply.New(ply.Options{Transport: origin, Use: append([]ply.Middleware{
			logging.New(logging.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Headers: true}),
			auth.New(auth.Options{Source: auth.SourceFunc(func(context.Context) (auth.Token, error) {
				return auth.Token{Value: "token-canary-" + user, Expires: time.Now().Add(time.Hour), Principal: user}, nil
			}), Origins: []string{"http://pages.test"}}),
			decode.New(decode.Options{}),
			store.Middleware,
		}, resilience.Standard(resilience.Options{
			Retry:   retry.Options{Backoff: retry.Constant(time.Millisecond)},
			Hedge:   hedge.Options{Delay: 50 * time.Millisecond},
			Breaker: breaker.Options{MinRequests: 1_000_000},
			Limit:   limit.Options{InFlight: 8},
		})...)})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		for worker := range 6 {
			wg.Go(func() {
				for i := range 60 {
					path := fmt.Sprintf("/page-%d", (worker*7+i)%12)
					ctx := ply.WithCallInfo(t.Context())
					text, err := ply.Text(client.Get(ctx, "http://pages.test"+path+"?api_key=query-canary", ply.SetHeader("X-Api-Key", "field-canary-"+user)))
					info, _ := ply.CallInfoFromContext(ctx)
					record, _ := json.Marshal(info)
					told.Store(fmt.Sprint(user, worker, i), info.String()+string(record)+fmt.Sprint(err))
					switch {
					case err != nil:
						failed.Add(1)
					case text != pageOf(user, path):
						t.Errorf("%s asked for %s and got %d bytes: %.60q", user, path, len(text), text)
					default:
						whole.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if n := whole.Load(); n < 600 || origin.Count() >= int(n) {
		t.Errorf("%d pages and %d errors of %d requests at the server: the layers were hardly at work", n, failed.Load(), origin.Count())
	}
	hidden := func(where, text string) {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("%s shows a secret: %.120q", where, text[max(0, i-60):])
		}
	}
	hidden("the log", log.String())
	told.Range(func(_, text any) bool { hidden("a record or an error", text.(string)); return !t.Failed() })
	for u := range store.URLs(t.Context()) {
		hidden("the list of URLs", u)
	}
	stored := 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		stored++
		hidden(path, string(content))
		return err
	})
	if err != nil || stored < 12 {
		t.Errorf("%d files, %v", stored, err)
	}
}

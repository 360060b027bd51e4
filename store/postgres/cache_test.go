//go:build unix

package postgres_test

import (
	"bytes"
	"context"
	"fmt"
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

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/postgres"
	"github.com/plyhttp/ply/store/postgres/internal/server"
)

// origin answers with bodies that prove whose they are; the path ends with how large they are. What is below /validated/ has to be validated each time.
type origin struct{ asked, validated atomic.Int64 }

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	seq := o.asked.Add(1)
	if r.Body != nil {
		r.Body.Close()
	}
	size, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Cache-Control", "max-age=600")
	if strings.HasPrefix(r.URL.Path, "/validated/") {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", `"one"`)
		seq = 1
	}
	if r.Method == http.MethodGet {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body(r.URL.Path, uint64(seq), size)))
	}
	if w.Code == http.StatusNotModified {
		o.validated.Add(1)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// process stands for one process of a fleet: a cache of its own, and a store of its own on the table of all.
type process struct {
	cache  *cache.Cache
	store  *postgres.Store
	client *http.Client
}

func startProcess(t testing.TB, s *postgres.Store, next http.RoundTripper, o cache.Options) *process {
	t.Helper()
	if o.Store == nil {
		o.Store = s
	}
	c, err := cache.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &process{cache: c, store: s, client: &http.Client{Transport: c.Middleware(next)}}
}

// get reports whether the answer came from the cache. Wrong bytes and failures are errors of the test.
func (p *process) get(t testing.TB, path string) (hit bool) {
	t.Helper()
	resp, err := p.client.Get("http://example.test" + path)
	if err != nil {
		t.Errorf("GET %s: %v", path, err)
		return false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil {
		err = proven(path, b)
	}
	if err != nil {
		t.Errorf("GET %s: %v", path, err)
	}
	s, _ := cache.StatusOf(resp)
	return s.Hit
}

func (p *process) post(t testing.TB, path string) {
	t.Helper()
	resp, err := p.client.Post("http://example.test"+path, "text/plain", strings.NewReader("x"))
	require.NoError(t, err)
	resp.Body.Close()
}

// hits waits until a path is answered from the cache.
func (p *process) hits(t testing.TB, path string) {
	t.Helper()
	testutil.Eventually(t, "a hit for "+path, func() bool { return p.get(t, path) })
}

func TestProcessesShareResponsesAndInvalidations(t *testing.T) {
	srv, schema, o := server.Shared(t), newSchema(), &origin{}
	options := cache.Options{StoreTimeout: patient, MaxEntryBytes: 32 << 20}
	one := startProcess(t, open(t, srv.URL(), postgres.Options{Schema: schema}), o, options)
	two := startProcess(t, open(t, srv.URL(), postgres.Options{Schema: schema}), o, options)
	for _, size := range []int{100, 20_000, 300_000, 5 << 20} {
		path := fmt.Sprintf("/a/%d", size)
		one.hits(t, path)
		asked := o.asked.Load()
		if !two.get(t, path) || o.asked.Load() != asked {
			t.Errorf("%s is fetched again by another process", path)
		}
		two.post(t, path)
		if one.get(t, path) {
			t.Errorf("%s is served after another process has invalidated it", path)
		}
		one.hits(t, path)
	}
	require.NoError(t, two.cache.Clear(t.Context()))
	if one.get(t, "/a/100") {
		t.Error("served after Clear")
	}
	const path = "/validated/100000"
	one.get(t, path)
	testutil.Eventually(t, "a validation by another process", func() bool {
		two.get(t, path)
		return o.validated.Load() > 0
	})
}

// A body of which a piece is missing is fetched again, and is whole for those who read it.
func TestLargeBodyWithoutAPieceHeals(t *testing.T) {
	srv, schema := server.Shared(t), newSchema()
	p := startProcess(t, open(t, srv.URL(), postgres.Options{Schema: schema}), &origin{}, cache.Options{StoreTimeout: patient, MaxEntryBytes: 32 << 20})
	const path = "/large/2621440"
	p.hits(t, path)
	c := raw(t, srv.URL())
	require.NotZero(t, exec(t, c, "DELETE FROM "+pgx.Identifier{schema, "records"}.Sanitize()+" WHERE key LIKE 'b1.%.3'"))
	testutil.Eventually(t, "healing", func() bool {
		resp, err := p.client.Get("http://example.test" + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && proven(path, b) == nil
	})
	p.hits(t, path)
}

// A copy in memory goes when another process changes the response, without a look at the table.
func TestTieredCopyGoesWhenAnotherProcessInvalidates(t *testing.T) {
	srv, schema, o := server.Shared(t), newSchema(), &origin{}
	options := cache.Options{StoreTimeout: patient, L1TTL: time.Hour}
	tiered := func() *process {
		s := open(t, srv.URL(), postgres.Options{Schema: schema})
		listen(t, s)
		options.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), s)
		return startProcess(t, s, o, options)
	}
	one, two := tiered(), tiered()
	const path = "/t/1000"
	one.hits(t, path)
	two.hits(t, path)
	one.post(t, path)
	asked := o.asked.Load()
	testutil.Eventually(t, "the copy is gone", func() bool {
		two.get(t, path)
		return o.asked.Load() > asked
	})
}

// crowd asks for paths until the context is done. Failures and wrong bodies are errors of the test.
func (p *process) crowd(t testing.TB, ctx context.Context) (all, hits int64, longest time.Duration) {
	t.Helper()
	var workers sync.WaitGroup
	var sum, hit, most atomic.Int64
	for range 16 {
		workers.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				began := time.Now()
				if p.get(t, fmt.Sprintf("/crowd/%d/%d", rand.IntN(20), 200+3000*rand.IntN(20))) {
					hit.Add(1)
				}
				sum.Add(1)
				for took := int64(time.Since(began)); ; {
					if now := most.Load(); took <= now || most.CompareAndSwap(now, took) {
						break
					}
				}
			}
		})
	}
	workers.Wait()
	return sum.Load(), hit.Load(), time.Duration(most.Load())
}

// Whatever happens to the server, every answer is whole and right and in time, and soon some come from the cache again.
func TestCacheOverServerThatIsHarmed(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, srv *server.Server, p *fault.Proxy) (undo func()){
		"killed": func(t *testing.T, srv *server.Server, p *fault.Proxy) func() {
			srv.Kill()
			return func() {
				if err := srv.Run(); err != nil {
					t.Error(err)
				}
			}
		},
		"hung": func(_ *testing.T, srv *server.Server, _ *fault.Proxy) func() {
			srv.Pause()
			return srv.Resume
		},
		"slow":      faults(fault.Faults{Delay: 30 * time.Millisecond}),
		"cut":       faults(fault.Faults{Cut: 60_000, How: fault.Reset}),
		"hole":      faults(fault.Faults{Hole: true}),
		"byte-wise": faults(fault.Faults{Slice: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := server.Start(t)
			proxy := fault.New(t, srv.Addr)
			const deadline = 100 * time.Millisecond
			p := startProcess(t, open(t, server.URL(proxy.Addr), postgres.Options{Timeout: time.Second}), &origin{}, cache.Options{StoreTimeout: deadline})
			p.hits(t, "/before/100")
			ctx, cancel := context.WithTimeout(t.Context(), max(*long, 1200*time.Millisecond))
			defer cancel()
			var harming sync.WaitGroup
			harming.Go(func() {
				for ctx.Err() == nil {
					undo := harm(t, srv, proxy)
					<-time.After(moment() / 2)
					undo()
					<-time.After(moment())
				}
			})
			all, hits, longest := p.crowd(t, ctx)
			harming.Wait()
			t.Logf("%d requests, %d from the cache, longest %v", all, hits, longest.Round(time.Millisecond))
			if longest > 2*deadline+lateness { // for the lookup, and for what follows
				t.Errorf("a request takes %v", longest)
			}
			p.hits(t, "/before/100")
		})
	}
}

func faults(f fault.Faults) func(*testing.T, *server.Server, *fault.Proxy) func() {
	return func(_ *testing.T, _ *server.Server, p *fault.Proxy) func() {
		p.Set(f)
		return func() {
			p.Set(fault.Faults{})
			p.Break()
		}
	}
}

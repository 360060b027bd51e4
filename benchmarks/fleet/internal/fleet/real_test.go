package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// caches is a scenario with caches that are real, over one store in memory, in the virtual time of a bubble.
type caches struct {
	Scenario
	began  time.Time
	shared *storetest.Map

	fetches, requests, calls atomic.Int64

	mu        sync.Mutex // guards the fields below
	all       []*member  // in their present form
	content   []int
	stale     map[[2]int]*invalidation // by key and content
	listeners []func(string)
	caches    []*cache.Cache
}

// member is a process: a cache with a transport of its own.
type member struct {
	cache  *cache.Cache
	client http.RoundTripper
}

// run runs a scenario. It must be called in a bubble.
func run(t *testing.T, s Scenario) Result {
	t.Helper()
	f := &caches{Scenario: s, began: time.Now(), shared: storetest.NewMap(1 << 30), content: make([]int, s.Keys), stale: make(map[[2]int]*invalidation)}
	for range s.Processes {
		f.all = append(f.all, f.start(t))
	}
	f.schedule(t)
	var all sync.WaitGroup
	s.Traffic(func(a Arrival) {
		time.Sleep(time.Until(f.began.Add(a.At)))
		f.mu.Lock()
		m := f.all[a.Process]
		f.mu.Unlock()
		all.Go(func() {
			if err := f.arrive(t.Context(), m, a); err != nil {
				t.Errorf("%+v: %v", a, err)
			}
		})
	})
	all.Wait()
	for _, c := range f.caches {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	r := Result{Requests: int(f.requests.Load()), Fetches: int(f.fetches.Load()), Calls: int(f.calls.Load())}
	for _, i := range f.stale {
		r.Stale = append(r.Stale, i.stale)
	}
	return r
}

func (f *caches) start(t *testing.T) *member {
	t.Helper()
	o := cache.Options{Lease: f.Lease, L1TTL: f.L1TTL}
	if f.Shared {
		var s store.Store = &slow{caches: f, Map: f.shared.Open()}
		if f.Notify {
			s = &notifying{s.(*slow)}
		}
		if o.Store = s; f.Tiered {
			o.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), s)
		}
	}
	c, err := cache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.caches = append(f.caches, c)
	f.mu.Unlock()
	return &member{c, c.Middleware(f)}
}

// schedule has happen what the scenario says beside the traffic.
func (f *caches) schedule(t *testing.T) {
	if f.Deploy > 0 {
		for i := range f.Processes {
			time.AfterFunc(f.Deploy+f.DeployTakes*time.Duration(i)/time.Duration(f.Processes), func() {
				m := f.start(t)
				f.mu.Lock()
				f.all[i] = m
				f.mu.Unlock()
			})
		}
	}
	if f.Down > 0 {
		time.AfterFunc(f.Down+f.Delay, func() { f.tell("") })
		time.AfterFunc(f.Up, func() {
			if f.Emptied {
				f.shared.Clear(context.Background())
			}
		})
	}
}

func (f *caches) tell(key string) {
	f.mu.Lock()
	listeners := f.listeners
	f.mu.Unlock()
	for _, listen := range listeners {
		listen(key)
	}
}

func (f *caches) arrive(ctx context.Context, m *member, a Arrival) error {
	url := fmt.Sprint("http://origin.test/", a.Key)
	if a.Write {
		f.mu.Lock()
		i := &invalidation{acknowledged: -1}
		f.stale[[2]int{a.Key, f.content[a.Key]}] = i
		f.content[a.Key]++
		f.mu.Unlock()
		err := m.cache.DeleteURL(ctx, url)
		f.mu.Lock()
		i.acknowledged = time.Since(f.began)
		f.mu.Unlock()
		if f.Down > 0 {
			return nil // it is retried
		}
		return err
	}
	f.requests.Add(1)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := m.client.RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	content, err := strconv.Atoi(string(body))
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.stale[[2]int{a.Key, content}]; i != nil && i.acknowledged >= 0 && a.At > i.acknowledged {
		i.stale = max(i.stale, a.At-i.acknowledged)
	}
	return err
}

// RoundTrip is the origin.
func (f *caches) RoundTrip(r *http.Request) (*http.Response, error) {
	f.fetches.Add(1)
	key, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	content := f.content[key]
	f.mu.Unlock()
	time.Sleep(f.Origin)
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: io.NopCloser(strings.NewReader(strconv.Itoa(content))),
		Header: http.Header{"Cache-Control": {fmt.Sprintf("max-age=%d", int(f.TTL.Seconds()))}},
	}, nil
}

// slow is an instance of the shared store behind a network.
type slow struct {
	*storetest.Map
	caches *caches
}

var errDown = errors.New("connection refused")

func (s *slow) call() error {
	f := s.caches
	f.calls.Add(1)
	time.Sleep(f.Call)
	if since := time.Since(f.began); f.Down > 0 && since >= f.Down && since < f.Up {
		return errDown
	}
	return nil
}

func (s *slow) Get(ctx context.Context, key string) (store.Record, error) {
	if err := s.call(); err != nil {
		return store.Record{}, err
	}
	return s.Map.Get(ctx, key)
}

func (s *slow) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	if err := s.call(); err != nil {
		return nil, err
	}
	return s.Map.GetMulti(ctx, keys)
}

func (s *slow) Put(ctx context.Context, key string, r store.Record) error {
	if err := s.call(); err != nil {
		return err
	}
	return s.Map.Put(ctx, key, r)
}

func (s *slow) Delete(ctx context.Context, key, version string) error {
	if err := s.call(); err != nil {
		return err
	}
	return s.Map.Delete(ctx, key, version)
}

// Notify hides that of the Map: a method of another type is no store.Notifier.
func (s *slow) Notify() {}

// notifying is slow with notifications.
type notifying struct{ *slow }

func (s *notifying) Notify(listen func(string)) (stop func()) {
	f := s.caches
	var stopped atomic.Bool
	late := func(key string) {
		time.AfterFunc(f.Delay, func() {
			if !stopped.Load() {
				listen(key)
			}
		})
	}
	f.mu.Lock()
	f.listeners = append(f.listeners, func(key string) { listen(key) })
	f.mu.Unlock()
	end := s.Map.Notify(late)
	return func() {
		stopped.Store(true)
		end()
	}
}

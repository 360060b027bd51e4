package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plyhttp/ply/benchmarks/fleet/internal/fleet"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// child does a job and reports.
func child(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	ctx := context.Background()
	s, err := store.OpenURL(ctx, j.URL)
	if err != nil {
		return err
	}
	defer s.Close()
	var r report
	if j.Sort == traffic {
		r, err = j.serve(ctx, s)
	} else {
		r, err = j.call(ctx, s)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// begin waits until all are ready.
func begin() error {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

// call makes calls of one sort. The records are those of this process.
func (j *job) call(ctx context.Context, s store.Store) (report, error) {
	keys := make([]string, 4)
	for i := range keys {
		keys[i] = fmt.Sprintf("measure-%d-%d", j.Process, i)
		record := store.Record{Data: make([]byte, 1024), Kind: store.KindEntry, Expires: time.Now().Add(time.Hour)}
		if err := errors.Join(s.Delete(ctx, keys[i], ""), s.Put(ctx, keys[i], record)); err != nil {
			return report{}, err
		}
	}
	multi, ok := store.As[store.MultiGetter](s)
	once := map[string]func(n int64) error{
		get: func(int64) error { _, err := s.Get(ctx, keys[0]); return err },
		getMulti: func(int64) error {
			if !ok {
				return errors.New("the store reads one record at a time")
			}
			_, err := multi.GetMulti(ctx, keys)
			return err
		},
		put: func(n int64) error {
			key := fmt.Sprintf("measure-%d-%d-%d", os.Getpid(), time.Now().UnixNano(), n)
			return s.Put(ctx, key, store.Record{Data: make([]byte, 1024), Kind: store.KindEntry, Expires: time.Now().Add(time.Minute)})
		},
	}[j.Sort]
	if err := once(0); err != nil {
		return report{}, err
	}
	if err := begin(); err != nil {
		return report{}, err
	}
	var all sync.WaitGroup
	var number atomic.Int64
	reports, errs := make([]report, j.Callers), make([]error, j.Callers)
	end := time.Now().Add(j.For)
	for i := range j.Callers {
		all.Go(func() {
			for r := &reports[i]; errs[i] == nil; r.Calls++ {
				began := time.Now()
				if began.After(end) {
					return
				}
				errs[i] = once(number.Add(1))
				r.Took = append(r.Took, time.Since(began))
			}
		})
	}
	all.Wait()
	return merged(reports), errors.Join(errs...)
}

// serve is a process of the fleet: a cache over the store, and its part of the traffic in real time.
func (j *job) serve(ctx context.Context, s store.Store) (report, error) {
	counted := &counting{Store: s}
	o := cache.Options{Store: counted, Lease: j.Scenario.Lease, L1TTL: j.Scenario.L1TTL, StoreTimeout: 5 * time.Second}
	if j.Scenario.Tiered {
		o.Store = cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), counted)
	}
	c, err := cache.New(o)
	if err != nil {
		return report{}, err
	}
	defer c.Close()
	client := &http.Client{Transport: c.Middleware(nil), Timeout: time.Minute}
	if err := begin(); err != nil {
		return report{}, err
	}
	var r report
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	began := time.Now()
	j.Scenario.Traffic(func(a fleet.Arrival) {
		if a.Process != j.Process {
			return
		}
		<-time.After(time.Until(began.Add(a.At)))
		if !a.Write {
			r.Requests++
		}
		all.Go(func() {
			if err := j.arrive(ctx, c, client, a); err != nil {
				failed.Store(&err)
			}
		})
	})
	all.Wait()
	if err := failed.Load(); err != nil {
		return report{}, *err
	}
	r.Calls = int(counted.calls.Load())
	return r, nil
}

func (j *job) arrive(ctx context.Context, c *cache.Cache, client *http.Client, a fleet.Arrival) error {
	url := fmt.Sprint(j.Origin, a.Key)
	if a.Write {
		return c.DeleteURL(ctx, url)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Want", fmt.Sprintf("max-age=%d", int(j.Scenario.TTL.Seconds())))
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// counting is a store whose calls are counted.
type counting struct {
	store.Store
	calls atomic.Int64
}

func (s *counting) Unwrap() store.Store { return s.Store }

func (s *counting) Get(ctx context.Context, key string) (store.Record, error) {
	s.calls.Add(1)
	return s.Store.Get(ctx, key)
}

func (s *counting) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	multi, ok := store.As[store.MultiGetter](s.Store)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	s.calls.Add(1)
	return multi.GetMulti(ctx, keys)
}

func (s *counting) Put(ctx context.Context, key string, r store.Record) error {
	s.calls.Add(1)
	return s.Store.Put(ctx, key, r)
}

func (s *counting) Delete(ctx context.Context, key, version string) error {
	s.calls.Add(1)
	return s.Store.Delete(ctx, key, version)
}

// Notify passes notifications on. A Tiered store is one with copies that hear of changes only where the wrapped store notifies.
func (s *counting) Notify(f func(key string)) (stop func()) {
	if n, ok := store.As[store.Notifier](s.Store); ok {
		return n.Notify(f)
	}
	return func() {}
}

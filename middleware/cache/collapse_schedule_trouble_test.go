package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// What a schedule has around its callers, as bits. The first three have the cache keep its entries in a byte store.
const (
	storeFails byte = 1 << iota
	storeIsSlow
	storeLies
	hooksPanic
	answersVary // some are not to be stored, some have to be validated, some are errors, and some do not declare their length
	twoKeys
	largeBodies // a byte store has them in pieces

	storeTrouble = storeFails | storeIsSlow | storeLies
)

// options make a cache with the hooks and the store that a schedule asks for.
func (s *schedule) options() cache.Options {
	var o cache.Options
	if s.around&storeTrouble != 0 {
		o.Store, o.StoreTimeout = &scheduledStore{Map: storetest.NewMap(1 << 24), schedule: s}, 20*time.Millisecond
	}
	if s.around&hooksPanic != 0 {
		o.Key = keying.Func(func(dst []byte, r *http.Request) ([]byte, error) {
			s.upset()
			return keying.Default().AppendKey(dst, r)
		})
		o.Expiry = upsetExpiry{s}
		o.Filter = func(*http.Request, *http.Response) bool { s.upset(); return true }
		o.FilterBody = func(*http.Request, *http.Response, []byte) bool { s.upset(); return true }
		o.Tags = func(*http.Response) []string { s.upset(); return []string{"tag"} }
		o.Trace = &cache.Trace{
			Answered:  func(*http.Request, cache.Status) { s.upset() },
			Stored:    func(*cache.Entry) { s.upset() },
			NotStored: func(*http.Request, string) { s.upset() },
		}
	}
	return o
}

// upset is called by each hook, and panics now and then.
func (s *schedule) upset() {
	if !s.over.Load() && s.n(12) == 0 {
		s.faults.Add(1)
		panic(errInjected)
	}
}

type upsetExpiry struct{ *schedule }

func (u upsetExpiry) Expiry(x expiry.Exchange) expiry.Verdict {
	u.upset()
	return expiry.Default().Expiry(x)
}

// asks makes a request for a key.
func (s *schedule) asks(t *testing.T, ctx context.Context, key string) *http.Request {
	r := ask(t, ctx)
	if key != "k" {
		r.URL.Path += key
	}
	return r
}

// content is what the origin has for a request, when it has no fault.
func (s *schedule) content(r *http.Request, n int) *http.Response {
	key := "k"
	if strings.HasSuffix(r.URL.Path, "l") {
		key = "l"
	}
	size := 1 + s.n(6000)
	if s.around&largeBodies != 0 {
		size *= 80
	}
	body := sealed(key, n, size)
	if s.around&answersVary == 0 || s.over.Load() {
		return sends(body, "Cache-Control: max-age=600")
	}
	tag := fmt.Sprintf("Etag: \"%s %d\"", key, n)
	if old := r.Header.Get("If-None-Match"); old != "" && s.n(2) == 0 {
		return reply(304, "", "Etag: "+old, "Cache-Control: max-age=0")
	}
	switch s.n(6) {
	case 0:
		return sends(body, "Cache-Control: no-store")
	case 1:
		return sends(body, "Cache-Control: max-age=0", tag)
	case 2:
		return sends(body, "Cache-Control: no-cache", tag)
	case 3:
		return reply(503, body)
	case 4:
		resp := sends(body, "Cache-Control: max-age=600", tag)
		resp.ContentLength = -1
		return resp
	}
	return sends(body, "Cache-Control: max-age=600", tag)
}

// mostAsked returns how often the callers may have the origin asked.
func (s *schedule) mostAsked(members []*member) int64 {
	if s.around&answersVary != 0 || s.around&storeTrouble != 0 {
		return int64(len(members)) + s.faults.Load() // not all of them can share, and what a store has forgotten is asked for again
	}
	most := s.faults.Load()
	for _, key := range []string{"k", "l"} {
		own := slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return m.key != key })
		if len(own) > 0 {
			most += 1 + ending(own, s.faults.Load() > 0)
		}
	}
	return most
}

// afterwards has two callers ask one after the other when the trouble is over.
func (s *schedule) afterwards(t *testing.T, rt http.RoundTripper) {
	s.over.Store(true)
	time.Sleep(time.Minute) // a store that was given up is tried again
	for range 2 {
		if _, _, err := reads(rt, s.asks(t, t.Context(), "k"), "k"); err != nil {
			t.Errorf("when the trouble is over: %v", err)
		}
		time.Sleep(time.Second)
	}
	before := s.asked.Load()
	if _, _, err := reads(rt, s.asks(t, t.Context(), "k"), "k"); err != nil || s.asked.Load() != before {
		t.Errorf("when the trouble is over, what was read twice is asked for again: %v", err)
	}
}

// scheduledStore is a byte store that fails, takes its time, or lies, as its schedule has decided.
type scheduledStore struct {
	*storetest.Map
	*schedule
	first sync.Map // of each key the first record that was read
}

// before is what happens before a call. It is an error if the call fails.
func (f *scheduledStore) before(ctx context.Context) error {
	if f.over.Load() {
		return nil
	}
	if f.around&storeIsSlow != 0 {
		switch f.n(8) {
		case 0: // it hears of nothing
			f.faults.Add(1)
			time.Sleep(time.Duration(f.takes(f.n(200))) * time.Millisecond)
		case 1:
			f.faults.Add(1)
			f.takes(200)
			<-ctx.Done()
			return context.Cause(ctx)
		case 2, 3, 4:
			time.Sleep(time.Duration(f.takes(f.n(5))) * time.Millisecond)
		}
	}
	if f.around&storeFails != 0 && f.n(5) == 0 {
		f.faults.Add(1)
		switch f.n(3) {
		case 0:
			f.takes(pausesFor)
			return store.ErrConflict
		case 1:
			panic(errInjected)
		}
		return errInjected
	}
	return nil
}

// lies reports whether this call does something else than it says.
func (f *scheduledStore) lies() bool {
	if f.over.Load() || f.around&storeLies == 0 || f.n(4) != 0 {
		return false
	}
	f.faults.Add(1)
	return true
}

func (f *scheduledStore) Get(ctx context.Context, key string) (store.Record, error) {
	if err := f.before(ctx); err != nil {
		return store.Record{}, err
	}
	r, err := f.Map.Get(ctx, key)
	if err != nil || r.Version == "" {
		return r, err
	}
	copied := r
	copied.Data = bytes.Clone(r.Data)
	first, _ := f.first.LoadOrStore(key, copied)
	if !f.lies() || len(r.Data) == 0 {
		return r, nil
	}
	switch f.n(6) {
	case 0:
		return store.Record{}, nil
	case 1:
		r.Data = r.Data[:f.n(len(r.Data))]
	case 2:
		r.Data[f.n(len(r.Data))] ^= 1 << f.n(8)
	case 3:
		r.Data = append(r.Data, 0)
	case 4: // what was there before
		r.Data = bytes.Clone(first.(store.Record).Data)
	case 5: // another key's
		f.first.Range(func(other, record any) bool {
			r.Data = bytes.Clone(record.(store.Record).Data)
			return other == key
		})
	}
	return r, nil
}

func (f *scheduledStore) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	return oneByOne(ctx, f.Get, keys)
}

func (f *scheduledStore) Put(ctx context.Context, key string, r store.Record) error {
	return f.change(ctx, func() error { return f.Map.Put(ctx, key, r) })
}

func (f *scheduledStore) Delete(ctx context.Context, key, version string) error {
	return f.change(ctx, func() error { return f.Map.Delete(ctx, key, version) })
}

// change makes a change. If it lies, it makes it and says that it has not, or the other way round.
func (f *scheduledStore) change(ctx context.Context, do func() error) error {
	if err := f.before(ctx); err != nil {
		return err
	}
	lies := f.lies()
	if lies && f.n(2) == 0 {
		return nil
	}
	err := do()
	switch {
	case errors.Is(err, store.ErrConflict):
		f.takes(pausesFor)
	case err == nil && lies:
		return errors.New("the reply was lost")
	}
	return err
}

// pausesFor is how many milliseconds a caller waits at most while the cache pauses before it tries again to make a change that another was in the way of.
const pausesFor = 10

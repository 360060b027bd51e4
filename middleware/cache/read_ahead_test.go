package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// A small body is read, and stored, before its caller asks for it, by the goroutine that has brought the header.
func TestSmallBodyIsReadAheadOfItsCaller(t *testing.T) {
	hears := &cache.Trace{NotStored: func(*http.Request, string) {}}
	for _, test := range []struct {
		name       string
		size       int
		undeclared bool
		endless    bool
		options    cache.Options
		fields     string
		ahead      bool
	}{
		{name: "small", size: 1000, ahead: true},
		{name: "small, of unknown length", size: 1000, undeclared: true, ahead: true},
		{name: "of 64 KiB", size: 64<<10 - len(sealed("k", 1, 0)), ahead: true},
		{name: "larger", size: 64<<10 + 1},
		{name: "larger, of unknown length", size: 64<<10 + 1, undeclared: true},
		{name: "where the caller carries the exchange out", size: 1000, endless: true},
		{name: "where a hook hears what is stored", size: 1000, options: cache.Options{Trace: hears}},
		{name: "where the program looks at bodies", size: 1000, options: cache.Options{FilterBody: func(*http.Request, *http.Response, []byte) bool { return true }}},
		{name: "an event stream", size: 1000, options: cache.Options{EventStreams: cache.EventStreamsAtOnce}, fields: "Content-Type: text/event-stream"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(_ *http.Request, n int) (*http.Response, error) {
					resp := sends(sealed("k", n, test.size), "Cache-Control: max-age=60")
					if test.fields != "" {
						resp.Header.Set("Content-Type", "text/event-stream")
					}
					if test.undeclared {
						resp.ContentLength = -1
					}
					return resp, nil
				}}
				c, rt := newBusy(t, o, test.options)
				ctx := t.Context()
				if test.endless {
					ctx = context.Background()
				}
				resp := roundTrip(t, rt, ask(t, ctx))
				synctest.Wait()
				if stored := c.Stats().Entries == 1; stored != test.ahead {
					t.Errorf("stored before it is read: %v, want %v", stored, test.ahead)
				}
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				_, _, broken := unsealed(string(body))
				require.NoError(t, broken)
				require.NoError(t, resp.Body.Close())
				synctest.Wait()
				if o.asked.Load() != 1 || o.leftOpen() != 0 {
					t.Errorf("%d requests, %d left open", o.asked.Load(), o.leftOpen())
				}
			})
		})
	}
}

// An origin that waits between its header and its body holds up neither the answer nor a caller that leaves.
func TestReadAheadHoldsUpNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := make(chan struct{})
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			resp := sends(sealed("k", n, 100), "Cache-Control: max-age=60")
			resp.Body = io.NopCloser(io.MultiReader(afterOrEnd{body, r.Context()}, resp.Body))
			return resp, nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		began := time.Now()
		leaving, leave := context.WithCancel(t.Context())
		first, second := roundTrip(t, rt, ask(t, leaving)), roundTrip(t, rt, ask(t, t.Context()))
		synctest.Wait()
		leave()
		if _, err := first.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that leaves reads %v", err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the callers were held up for %v", took)
		}
		close(body)
		got, err := io.ReadAll(second.Body)
		if _, _, broken := unsealed(string(got)); err != nil || broken != nil || o.asked.Load() != 1 {
			t.Errorf("the caller that stays: %v, %v, %d requests", err, broken, o.asked.Load())
		}
		second.Body.Close()
	})
}

// The last caller that leaves while the body is read ahead ends the exchange.
func TestLastCallerThatLeavesEndsAReadAhead(t *testing.T) {
	for name, leave := range map[string]func(*http.Response, context.CancelFunc){
		"by its context": func(_ *http.Response, cancel context.CancelFunc) { cancel() },
		"by Close":       func(resp *http.Response, _ context.CancelFunc) { resp.Body.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					resp := sends(sealed("k", n, 100), "Cache-Control: max-age=60")
					resp.Body = io.NopCloser(afterOrEnd{nil, r.Context()})
					return resp, nil
				}}
				c, rt := newBusy(t, o, cache.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				resp := roundTrip(t, rt, ask(t, ctx))
				synctest.Wait()
				began := time.Now()
				leave(resp, cancel)
				synctest.Wait()
				if flights, bytes := c.InFlight(); flights != 0 || bytes != 0 || o.leftOpen() != 0 {
					t.Errorf("%d exchanges, %d bytes, %d bodies are left", flights, bytes, o.leftOpen())
				}
				if took := time.Since(began); took > 100*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Once a body is there, the exchange ends, though no caller has read it. A caller whose context ends gets nothing of it.
func TestExchangeEndsWithTheEndOfItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exchange context.Context
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			exchange = r.Context()
			return sends(sealed("k", n, 100), "Cache-Control: max-age=60"), nil
		}}
		_, rt := newBusy(t, o, cache.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		resp := roundTrip(t, rt, ask(t, ctx))
		synctest.Wait()
		if !errors.Is(exchange.Err(), context.Canceled) || o.leftOpen() != 0 {
			t.Errorf("the exchange's context says %v, %d bodies are open", exchange.Err(), o.leftOpen())
		}
		cancel()
		if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
}

// What comes behind the declared length has room of the budget, which goes back with the caller, also if that never closes the body.
func TestBodyLongerThanDeclaredKeepsNoRoomOfACallerThatHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(*http.Request, int) (*http.Response, error) {
			resp := sends("declared", "Cache-Control: max-age=60")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("declared"), strings.NewReader("and more")))
			return resp, nil
		}}
		c, rt := newBusy(t, o, cache.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		resp := roundTrip(t, rt, ask(t, ctx))
		synctest.Wait()
		cancel()
		synctest.Wait()
		if flights, bytes := c.InFlight(); flights != 0 || bytes != 0 {
			t.Errorf("%d exchanges, %d bytes are left", flights, bytes)
		}
		runtime.KeepAlive(resp)
	})
}

// A panic while the body is read ahead happens again in the first caller that comes so far, and in no other.
func TestPanicOfAReadAheadReachesOneCaller(t *testing.T) {
	for name, upset := range map[string]func(){"panic": func() { panic("body") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := make(chan struct{})
				o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
					resp := sends(sealed("k", n, 100), "Cache-Control: max-age=60")
					resp.Body = io.NopCloser(io.MultiReader(io.LimitReader(resp.Body, 10), after{all}, upsets(upset)))
					return resp, nil
				}}
				_, rt := newBusy(t, o, cache.Options{})
				responses := []*http.Response{roundTrip(t, rt, ask(t, t.Context())), roundTrip(t, rt, ask(t, t.Context()))}
				close(all)
				synctest.Wait() // the read ahead is over before a caller has asked for anything
				var mu sync.Mutex
				var panicked, failed, ended int
				for _, resp := range responses {
					var wg sync.WaitGroup
					wg.Go(func() {
						defer resp.Body.Close()
						returned := false
						defer func() {
							value := recover()
							mu.Lock()
							defer mu.Unlock()
							switch {
							case value == "body":
								panicked++
							case !returned:
								ended++
							}
						}()
						body, err := io.ReadAll(resp.Body)
						returned = true
						mu.Lock()
						defer mu.Unlock()
						if err != nil && len(body) == 10 {
							failed++
						}
					})
					wg.Wait()
				}
				if panicked+ended != 1 || (ended == 1) != (name == "Goexit") || failed != 1 {
					t.Errorf("%d callers panicked, %d ended, %d failed", panicked, ended, failed)
				}
			})
		})
	}
}

// What a small body has brought is stored when Close returns, though its caller has not read it, and the store takes its time.
func TestCloseWaitsForWhatIsReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &busy{answer: func(r *http.Request, n int) (*http.Response, error) {
			return sends(sealed("k", n, 100), "Cache-Control: max-age=60"), nil
		}}
		c, rt := newBusy(t, o, cache.Options{Store: takesTime{storetest.NewMap(0)}})
		resp := roundTrip(t, rt, ask(t, t.Context()))
		synctest.Wait()
		resp.Body.Close()
		if n := c.Stats().Stored; n != 1 {
			t.Errorf("%d stored when Close returned", n)
		}
	})
}

// afterOrEnd has nothing to read, and ends once the channel is closed, or the context has ended.
type afterOrEnd struct {
	c   <-chan struct{}
	ctx context.Context
}

func (a afterOrEnd) Read([]byte) (int, error) {
	select {
	case <-a.c:
		return 0, io.EOF
	case <-a.ctx.Done():
		return 0, a.ctx.Err()
	}
}

type upsets func()

func (u upsets) Read([]byte) (int, error) { u(); return 0, io.EOF }

// takesTime is a byte store that is not as fast as a caller that closes its body.
type takesTime struct{ store.Store }

func (s takesTime) Put(ctx context.Context, key string, r store.Record) error {
	time.Sleep(time.Millisecond)
	return s.Store.Put(ctx, key, r)
}

//go:build unix

package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/fault"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
	"github.com/plyhttp/ply/store/s3/internal/fake"
)

// Whatever happens on the way to the server, every answer of a cache is whole, right and in time.
func TestCacheSurvivesFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	srv := start(t)
	for name, f := range map[string]fault.Faults{
		"latency":         {Delay: 30 * time.Millisecond},
		"small pieces":    {Slice: 100},
		"reset mid-reply": {Cut: 60_000, How: fault.Reset},
		"truncated":       {Cut: 60_000, How: fault.Close},
		"hung mid-reply":  {Cut: 60_000, How: fault.Hang},
		"hole":            {Hole: true},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := fault.New(t, srv.addr)
			survives(t, open(t, proxy.Addr, strings.ReplaceAll(name, " ", "-"), s3.Options{}), func() { proxy.Set(f) }, func() { proxy.Set(fault.Faults{}) })
		})
	}
}

func TestCacheSurvivesAServerThatIsAway(t *testing.T) {
	t.Parallel()
	t.Run("killed again and again", func(t *testing.T) {
		srv := start(t)
		stop, ended := make(chan struct{}), make(chan struct{})
		survives(t, open(t, srv.addr, "ply", s3.Options{}), func() {
			go func() {
				defer close(ended)
				for {
					select {
					case <-stop:
						return
					case <-time.After(max(min(*long/5, 2*time.Second), 100*time.Millisecond)):
						srv.kill()
						srv.start()
					}
				}
			}()
		}, func() {
			close(stop)
			<-ended
		})
	})
	t.Run("stopped", func(t *testing.T) {
		srv := start(t)
		survives(t, open(t, srv.addr, "ply", s3.Options{}), func() { srv.pause(true) }, func() { srv.pause(false) })
	})
	t.Run("refusing connections", func(t *testing.T) {
		srv := start(t)
		survives(t, open(t, srv.addr, "ply", s3.Options{}), srv.kill, srv.start)
	})
}

// answer is a fault of a server: an answer of its own to a request, or, if it returns false, none.
type answer = func(w http.ResponseWriter, r *http.Request) bool

func refusing(status int, code string) answer {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		fake.Fail(w, status, code)
		return true
	}
}

func changes(f answer) answer {
	return func(w http.ResponseWriter, r *http.Request) bool { return r.Method != http.MethodGet && f(w, r) }
}

// text answers every request with 200 and a text.
func text(contentType, body string) answer {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("ETag", `"x"`)
		io.WriteString(w, body)
		return true
	}
}

// badAnswers are what a server may answer. None of them may be taken for a record, or for a change that was made.
func badAnswers() map[string]answer {
	return map[string]answer{
		"503 SlowDown":      refusing(503, "SlowDown"),
		"500 InternalError": refusing(500, "InternalError"),
		"403 AccessDenied":  refusing(403, "AccessDenied"),
		"404 NoSuchBucket":  refusing(404, "NoSuchBucket"),
		"409 for ever":      refusing(409, "ConditionalRequestConflict"),
		"full, 507":         changes(refusing(507, "InsufficientStorage")),
		"quota, 400":        changes(refusing(400, "QuotaExceeded")),
		"read-only, 405":    changes(refusing(405, "MethodNotAllowed")),
		"301 elsewhere":     refusing(301, "PermanentRedirect"),
		"HTML, 200":         text("text/html", "<html>captive portal</html>"),
		"XML garbage, 200":  text("application/xml", "<Error><Code>"),
		"an error, 200":     text("application/xml", "<Error><Code>InternalError</Code></Error>"),
		"HTML, 404": func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<html>no page", http.StatusNotFound)
			return true
		},
		"XML garbage, 503": func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<Err<<", http.StatusServiceUnavailable)
			return true
		},
		"nothing and an end":  func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
		"truncated, too long": truncated(1 << 20),
		"truncated, shorter":  truncated(40),
	}
}

// truncated answers a GET with the beginning of a record, and says that it has so many bytes.
func truncated(length int) answer {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
			return false
		}
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Length", strconv.Itoa(length))
		io.WriteString(w, "ply1 00000000 nonce=0000000000000000 exp")
		return true
	}
}

func TestCacheSurvivesBadAnswers(t *testing.T) {
	t.Parallel()
	for name, bad := range badAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := fakeServer(t, s3.Options{})
			f.Config.ErrorLog = nil
			survives(t, s, func() { f.Fault(bad) }, func() { f.Fault(nil) })
		})
	}
}

// A bad answer is an error or nothing, never a record, and what is stored stays what it is.
func TestBadAnswersAreNoRecordsAndNoChanges(t *testing.T) {
	t.Parallel()
	for name, bad := range badAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := fakeServer(t, s3.Options{Timeout: 10 * time.Second})
			before := put(t, s, "k", "before")
			f.Fault(bad)
			if r, err := s.Get(t.Context(), "k"); r.Version != "" && string(r.Data) != "before" {
				t.Errorf("Get: %q, %v", r.Data, err)
			}
			if records, err := s.GetMulti(t.Context(), []string{"k", "l"}); err == nil && records[0].Version != "" && string(records[0].Data) != "before" {
				t.Errorf("GetMulti: %q", records[0].Data)
			}
			err := s.Range(t.Context(), store.KindEntry, func(key string, r store.Record) bool {
				if string(r.Data) != "before" {
					t.Errorf("Range: %q holds %q", key, r.Data)
				}
				return true
			})
			t.Logf("Range: %v", err)
			_, err = s.DeleteExpired(t.Context(), time.Now())
			t.Logf("DeleteExpired: %v", err)
			s.Size(t.Context())
			f.Fault(nil)
			if r := get(t, s, "k"); r.Version != before.Version {
				t.Errorf("afterwards %q is there, want what was there before", r.Data)
			}
		})
	}
}

// A change whose answer got lost is made once, and reported as made: the second attempt finds what the first has done.
func TestChangeWhoseAnswerIsLostIsMadeOnce(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	lost := 0
	lose := func() {
		lost = 1
		f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if lost == 0 || r.Method == http.MethodGet {
				return false
			}
			lost--
			f.Fault(nil)
			f.ServeHTTP(discard{http.Header{}}, r) // the body has been read by now: the fake keeps it
			panic(http.ErrAbortHandler)
		})
	}
	lose()
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("one")}))
	first := get(t, s, "k")
	require.Equal(t, "one", string(first.Data))
	lose()
	require.NoError(t, s.Put(t.Context(), "k", store.Record{Data: []byte("two"), Version: first.Version}))
	second := get(t, s, "k")
	require.Equal(t, "two", string(second.Data))
	lose()
	require.NoError(t, s.Delete(t.Context(), "k", second.Version))
	require.Empty(t, get(t, s, "k").Version)
	if err := s.Put(t.Context(), "k", store.Record{Data: []byte("three"), Version: second.Version}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Put in the place of what was deleted: %v, want ErrConflict", err)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// A request that meets another one for the same object (409) is made again, and no more than twice.
func TestConflictingRequestIsMadeAgain(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	for conflicts, want := range map[int]error{1: nil, 2: nil, 3: store.ErrConflict} {
		var left atomic.Int64
		left.Store(int64(conflicts))
		f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && left.Add(-1) >= 0 && refusing(409, "ConditionalRequestConflict")(w, r)
		})
		err := s.Put(t.Context(), fmt.Sprint("k-", conflicts), store.Record{Data: []byte("x")})
		if conflicts < 3 && err != nil || conflicts == 3 && err == nil {
			t.Errorf("%d conflicts: %v, want %v", conflicts, err, want)
		}
	}
}

// A server that wants fewer requests gets no more of them: a cache goes on without it.
func TestSlowDownIsNotTriedAgain(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	f.Fault(refusing(503, "SlowDown"))
	_, err := s.Get(t.Context(), "k")
	if err == nil || !strings.Contains(err.Error(), "503 SlowDown") {
		t.Errorf("Get: %v, want an error with the server's code", err)
	}
	if n := f.Counts()["GET"]; n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// An internal error is tried once more, and no more than once.
func TestInternalErrorIsTriedOnceMore(t *testing.T) {
	f, s := fakeServer(t, s3.Options{})
	put(t, s, "k", "v")
	for failures, want := range map[int64]int{1: 2, 9: 2} {
		var left atomic.Int64
		left.Store(failures)
		f.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			return left.Add(-1) >= 0 && refusing(500, "InternalError")(w, r)
		})
		f.Counts()
		_, err := s.Get(t.Context(), "k")
		if n := f.Counts()["GET"]; n != want || (err == nil) != (failures == 1) {
			t.Errorf("%d failures: %d requests, %v", failures, n, err)
		}
	}
}

// A server that hangs holds up no caller beyond its time, and leaves no goroutines behind.
func TestHungServerHoldsUpNoCall(t *testing.T) {
	f, s := fakeServer(t, s3.Options{Timeout: 300 * time.Millisecond})
	v := put(t, s, "k", "v").Version
	s.Close()
	base := runtime.NumGoroutine()
	release := make(chan struct{})
	f.Fault(func(http.ResponseWriter, *http.Request) bool { <-release; panic(http.ErrAbortHandler) })
	calls := map[string]func(context.Context) error{
		"Get":      func(ctx context.Context) error { _, err := s.Get(ctx, "k"); return err },
		"GetMulti": func(ctx context.Context) error { _, err := s.GetMulti(ctx, []string{"k", "l"}); return err },
		"Put":      func(ctx context.Context) error { return s.Put(ctx, "k", store.Record{Data: make([]byte, 1<<20)}) },
		"Delete":   func(ctx context.Context) error { return s.Delete(ctx, "k", v) },
		"Range": func(ctx context.Context) error {
			return s.Range(ctx, 0, func(string, store.Record) bool { return true })
		},
		"Clear":         s.Clear,
		"DeleteExpired": func(ctx context.Context) error { _, err := s.DeleteExpired(ctx, time.Now()); return err },
		"Size":          func(ctx context.Context) error { _, _, err := s.Size(ctx); return err },
		"Ping":          s.Ping,
	}
	var all sync.WaitGroup
	for name, f := range calls {
		for _, canceled := range []bool{false, true} {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				want := context.DeadlineExceeded
				if canceled {
					ctx, cancel = context.WithCancel(t.Context())
					time.AfterFunc(50*time.Millisecond, cancel)
					want = context.Canceled
				}
				defer cancel()
				began := time.Now()
				if err := f(ctx); !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("%s takes %v, want 50 ms", name, took)
				}
			})
		}
	}
	all.Wait()
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get without a deadline: %v, want an error after Options.Timeout", err)
	}
	close(release)
	f.Fault(nil)
	s.Close()
	f.CloseClientConnections()
	testutil.Eventually(t, "no goroutines are left", func() bool { return runtime.NumGoroutine() <= base+2 })
}

func TestCloseLeavesNothing(t *testing.T) {
	f := fake.New(t)
	plytest.CheckGoroutines(t)
	s := open(t, f.Listener.Addr().String(), "ply", s3.Options{})
	put(t, s, "k", "v")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	f.CloseClientConnections()
}

package cache_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

var largeBody = flag.Int64("large", 64<<20, "size of the body in TestChunkedBodyTakesBoundedMemory")

// page is text whose length has no common factor with any buffer's: a piece in a wrong place is a wrong piece.
var page = []byte(numbers(65_521))

// endless reads page again and again, from an offset on.
type endless struct{ off, end int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.off >= e.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.end-e.off)]
	n := copy(p, page[e.off%int64(len(page)):])
	e.off += int64(n)
	return n, nil
}

func (e *endless) Close() error { return nil }

// matches reports whether r reads the bytes from off up to end, and nothing else.
func matches(r io.Reader, off, end int64) error {
	got, want := make([]byte, 64<<10), make([]byte, 64<<10)
	text := &endless{off, end}
	for {
		n, err := r.Read(got)
		if _, failed := io.ReadFull(text, want[:n]); failed != nil || !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("wrong bytes before %d: %v", text.off, failed)
		}
		if err == io.EOF && text.off == end {
			return nil
		}
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", text.off-off, err)
		}
	}
}

// textStore is a store that knows the bodies which are put into it, and keeps only the first bytes of their records.
type textStore struct {
	*storetest.Map
	mu     sync.Mutex
	pieces map[string]store.Record
	gone   func(key string) bool
	reads  atomic.Int64
}

const beforeText = 9 + 16 + 8

func newTextStore() *textStore {
	return &textStore{Map: storetest.NewMap(1 << 20), pieces: make(map[string]store.Record)}
}

func (s *textStore) Get(ctx context.Context, key string) (store.Record, error) {
	if !strings.HasPrefix(key, "b1.") {
		return s.Map.Get(ctx, key)
	}
	s.reads.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.pieces[key]
	if !ok || s.gone != nil && s.gone(key) {
		return store.Record{}, nil
	}
	n, err := strconv.ParseInt(key[strings.LastIndexByte(key, '.')+1:], 10, 64)
	if err != nil {
		return store.Record{}, err
	}
	size, _ := strconv.Atoi(r.Label)
	data := make([]byte, size)
	copy(data, r.Data)
	_, err = io.ReadFull(&endless{n << 18, 1 << 60}, data[beforeText:])
	return store.Record{Data: data, Version: "1"}, err
}

func (s *textStore) GetMulti(ctx context.Context, keys []string) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		var err error
		if records[i], err = s.Get(ctx, key); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *textStore) Put(ctx context.Context, key string, r store.Record) error {
	if !strings.HasPrefix(key, "b1.") {
		return s.Map.Put(ctx, key, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pieces[key] = store.Record{Data: bytes.Clone(r.Data[:beforeText]), Label: strconv.Itoa(len(r.Data))}
	return nil
}

func (s *textStore) Delete(ctx context.Context, key, version string) error {
	s.mu.Lock()
	delete(s.pieces, key)
	s.mu.Unlock()
	return s.Map.Delete(ctx, key, version)
}

func (s *textStore) kept() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pieces)
}

// texts is an origin of text of a size, with ranges.
func texts(size int64, fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		var first, last int64 = 0, size - 1
		resp := reply(200, "", append(fields, "Cache-Control: max-age=60")...)
		n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
		if n > 0 {
			resp.StatusCode = 206
			resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, size))
		}
		resp.ContentLength, resp.Body = last+1-first, &endless{first, last + 1}
		return resp
	}}
}

// growth samples the heap until stop is called, and returns how far it grew.
func growth() (stop func() uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapInuse, m.HeapInuse
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-ended
		return most - before
	}
}

// A large body goes into the store while it is read, and comes out of it piece by piece: neither takes memory, whatever its size.
func TestChunkedBodyTakesBoundedMemory(t *testing.T) {
	size := *largeBody
	s := newTextStore()
	for _, collapse := range []bool{true, false} {
		c, err := cache.New(cache.Options{Store: s, MaxEntryBytes: 1 << 40, NoCollapse: !collapse, StoreTimeout: 10 * time.Second})
		require.NoError(t, err)
		o := texts(size, `Etag: "a"`)
		get := func(fields ...string) *http.Response {
			r, err := http.NewRequest("GET", fmt.Sprint(url, collapse), nil)
			require.NoError(t, err)
			if len(fields) > 0 {
				r.Header.Set("Range", fields[0])
			}
			return roundTrip(t, c.Middleware(o), r)
		}
		stop := growth()
		resp := get()
		require.NoError(t, matches(resp.Body, 0, size))
		resp.Body.Close()
		wrote := stop()
		stop = growth()
		resp = get()
		require.NoError(t, matches(resp.Body, 0, size))
		resp.Body.Close()
		read := stop()
		t.Logf("%d MiB, collapsed %t: heap grew by %d KiB while it was stored, by %d KiB while it was served", size>>20, collapse, wrote>>10, read>>10)
		if status, _ := cache.StatusOf(resp); !status.Hit || len(o.asked) != 1 {
			t.Fatalf("%v, asked %d times", status, len(o.asked))
		}
		if max(wrote, read) > 32<<20 {
			t.Errorf("the heap grew by %d and %d bytes", wrote, read)
		}
		s.reads.Store(0)
		resp = get("bytes=1000000-1000009")
		require.NoError(t, matches(resp.Body, 1_000_000, 1_000_010))
		if n := s.reads.Load(); resp.StatusCode != 206 || n > 1 {
			t.Errorf("%d, %d pieces read for ten bytes", resp.StatusCode, n)
		}
		require.NoError(t, c.Close())
	}
}

// A piece that is gone in the middle of a body is made good by the origin, from there on, if a strong tag, or what it begins with, proves that it sends the same.
func TestChunkMissingMidBodyIsFetchedFromTheOrigin(t *testing.T) {
	const size = 3 << 20
	for name, test := range map[string]struct {
		fields []string
		ranged string
		goesOn bool
	}{
		"strong tag":         {[]string{`Etag: "a"`}, "", true},
		"a range of it":      {[]string{`Etag: "a"`}, "bytes=100-2900000", true},
		"no tag":             {nil, "", true},
		"weak tag":           {[]string{`Etag: W/"a"`}, "", true},
		"no tag, a range":    {nil, "bytes=100-2900000", false},
		"no tag, other text": {nil, "", false},
		"it has changed":     {[]string{`Etag: "a"`}, "", false},
		"the origin is down": {[]string{`Etag: "a"`}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := newTextStore()
				o := texts(size, test.fields...)
				g := newRig(t, o, cache.Options{Store: s})
				readAll(roundTrip(t, g.rt, must(http.NewRequest("GET", url, nil))))
				s.gone = func(key string) bool { return strings.HasSuffix(key, ".7") }
				switch name {
				case "it has changed":
					o.answer = texts(size, `Etag: "b"`).answer
				case "no tag, other text":
					o.answer = func(r *http.Request) *http.Response {
						resp := texts(size).answer(r)
						resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("other"), &endless{5, size}))
						return resp
					}
				case "the origin is down":
					o.err = errors.New("down")
				}
				first, end := int64(0), int64(size)
				r := must(http.NewRequest("GET", url, nil))
				if test.ranged != "" {
					r.Header.Set("Range", test.ranged)
					first, end = 100, 2_900_001
				}
				resp := roundTrip(t, g.rt, r)
				err := matches(resp.Body, first, end)
				resp.Body.Close()
				if test.goesOn {
					require.NoError(t, err)
					want := ""
					if strings.HasPrefix(strings.Join(test.fields, ""), `Etag: "`) {
						want = "bytes=1835008-"
					}
					if asked := o.asked[1].Header.Get("Range"); len(o.asked) != 2 || !strings.HasPrefix(asked, want) {
						t.Errorf("asked %d times, for %q", len(o.asked), asked)
					}
				} else if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), strconv.FormatInt(1_835_008-first, 10)) {
					t.Errorf("error %v, want one at the piece that is missing", err)
				}
				s.gone, o.err = nil, nil
				synctest.Wait()
				if g.Contains(r) {
					t.Error("the response whose body is damaged is still there")
				}
			})
		})
	}
}

// A body that is not read to its end, or breaks off, leaves nothing in the store.
func TestChunksOfABrokenBodyAreRemoved(t *testing.T) {
	for _, alone := range []bool{false, true} {
		for name, use := range map[string]func(*http.Response){
			"closed early": func(resp *http.Response) { io.CopyN(io.Discard, resp.Body, 2<<20); resp.Body.Close() },
			"breaks off":   func(resp *http.Response) { readAll(resp) },
		} {
			t.Run(fmt.Sprint(name, ", alone ", alone), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					s := newTextStore()
					o := texts(4<<20, `Etag: "a"`)
					whole := o.answer
					o.answer = func(r *http.Request) *http.Response {
						resp := whole(r)
						if name == "breaks off" {
							resp.Body = io.NopCloser(io.MultiReader(&endless{0, 3 << 20}, broken{}))
						}
						return resp
					}
					g := newRig(t, o, cache.Options{Store: s, NoCollapse: alone})
					use(roundTrip(t, g.rt, must(http.NewRequest("GET", url, nil))))
					synctest.Wait()
					if n := s.kept(); n > 0 || g.Contains(must(http.NewRequest("GET", url, nil))) {
						t.Errorf("%d pieces are left", n)
					}
				})
			})
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("reset") }

// A store that is slow holds a fast reader for a bounded time, and costs the copy, not the body.
func TestChunksSlowStoreDoesNotDelayTheReader(t *testing.T) {
	for name, fault := range map[string]func(context.Context) error{
		"slow":  func(context.Context) error { time.Sleep(90 * time.Millisecond); return nil },
		"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"fails": func(context.Context) error { return errors.New("disk full") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &slowPieces{newTextStore(), fault}
				g := newRig(t, texts(16<<20, `Etag: "a"`), cache.Options{Store: s, MaxEntryBytes: 1 << 30})
				begun := time.Now()
				resp := roundTrip(t, g.rt, must(http.NewRequest("GET", url, nil)))
				require.NoError(t, matches(resp.Body, 0, 16<<20))
				resp.Body.Close()
				if took := time.Since(begun); took > 600*time.Millisecond {
					t.Errorf("the body took %v", took)
				}
				time.Sleep(10 * time.Second)
				if n := s.kept(); n > 0 {
					t.Errorf("%d pieces are left", n)
				}
			})
		})
	}
}

type slowPieces struct {
	*textStore
	fault func(context.Context) error
}

func (s *slowPieces) Put(ctx context.Context, key string, r store.Record) error {
	if strings.HasPrefix(key, "b1.") {
		if err := s.fault(ctx); err != nil {
			return err
		}
	}
	return s.textStore.Put(ctx, key, r)
}

// A large body that is replaced while a caller reads it is read to its end, and removed after a while.
func TestChunksReplacedDuringReadAreReadToTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const size = 4 << 20
		s := newTextStore()
		o := texts(size, `Etag: "a"`)
		g := newRig(t, o, cache.Options{Store: s})
		get := func() *http.Response { return roundTrip(t, g.rt, must(http.NewRequest("GET", url, nil))) }
		readAll(get())
		resp := get()
		_, err := io.CopyN(io.Discard, resp.Body, 1<<20)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		o.answer = texts(size, `Etag: "b"`).answer
		readAll(get())
		synctest.Wait()
		require.NoError(t, matches(resp.Body, 1<<20, size))
		resp.Body.Close()
		time.Sleep(10 * time.Minute)
		readAll(get())
		synctest.Wait()
		if n := s.kept(); n > 2*size>>18 {
			t.Errorf("%d pieces are left, of bodies of %d", n, size>>18)
		}
		require.NoError(t, g.Close())
		if n := s.kept(); n != size>>18 {
			t.Errorf("%d pieces are left, of a body of %d", n, size>>18)
		}
	})
}

// After Close the store is not called, though a caller still reads a body from it: the origin sends the rest.
func TestChunksAfterCloseComeFromTheOrigin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const size = 4 << 20
		s := newTextStore()
		o := texts(size, `Etag: "a"`)
		g := newRig(t, o, cache.Options{Store: s})
		get := func() *http.Response { return roundTrip(t, g.rt, must(http.NewRequest("GET", url, nil))) }
		readAll(get())
		resp := get()
		_, err := io.CopyN(io.Discard, resp.Body, 1<<20)
		require.NoError(t, err)
		require.NoError(t, g.Close())
		require.NoError(t, g.Close())
		calls := s.reads.Load()
		require.NoError(t, matches(resp.Body, 1<<20, size))
		resp.Body.Close()
		readAll(get())
		if s.reads.Load() != calls || len(o.asked) != 3 {
			t.Errorf("%d calls after Close, %d requests", s.reads.Load()-calls, len(o.asked))
		}
	})
}

// A part that a store has lost some of, after it was found, is still served, and becomes the whole: the origin sends what is missing.
func TestChunkMissingInPartIsFetchedFromTheOrigin(t *testing.T) {
	text := numbers(4_000_000)
	for _, x := range []struct {
		stored, asked string
		first, end    int // that the caller gets
	}{
		{"bytes=0-2999999", "", 0, 4_000_000},
		{"bytes=1000000-3999999", "", 0, 4_000_000},
		{"bytes=0-2999999", "bytes=1000-2500000", 1000, 2_500_001},
		{"bytes=1000000-3999999", "bytes=1000000-2500000", 1_000_000, 2_500_001},
	} {
		t.Run(x.stored+" "+x.asked, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(r *http.Request) *http.Response {
					fields := []string{"Cache-Control: max-age=60", `Etag: "a"`}
					asked := r.Header.Get("Range")
					if asked == "" {
						return reply(200, text, fields...)
					}
					first, last := 0, len(text)-1
					if n, _ := fmt.Sscanf(asked, "bytes=%d-%d", &first, &last); n == 0 {
						t.Errorf("range %q", asked)
					}
					return reply(206, text[first:last+1], append(fields, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(text)))...)
				}}
				m := storetest.NewMap(1 << 26)
				g := newRig(t, o, cache.Options{Store: m})
				g.get(url, "Range: "+x.stored)
				synctest.Wait()
				pieces := keys(t, m, store.KindBody)
				if len(pieces) != 12 {
					t.Fatalf("%d pieces", len(pieces))
				}
				for _, key := range pieces {
					if !strings.HasSuffix(key, ".0") && !strings.HasSuffix(key, ".1") {
						require.NoError(t, m.Delete(t.Context(), key, ""))
					}
				}
				var fields []string
				if x.asked != "" {
					fields = append(fields, "Range: "+x.asked)
				}
				have, _ := g.get(url, fields...)
				if have.Body != text[x.first:x.end] {
					t.Errorf("status %d, %d bytes", have.Status, len(have.Body))
				}
				for _, r := range o.asked {
					if r.Header.Get("Range") == "" {
						t.Error("the origin was asked for the whole")
					}
				}
			})
		})
	}
}

// A stored body that stands in for a failed exchange goes on from the origin, as any other does when the store has lost a piece of it.
func TestChunkMissingInStaleIfErrorBodyIsFetchedFromTheOrigin(t *testing.T) {
	const size = 3 << 20
	for name, ctx := range map[string]func(context.Context) context.Context{
		"shared": func(ctx context.Context) context.Context { return ctx }, "alone": cache.WithoutCollapsing,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s, o := newTextStore(), texts(size, `Etag: "a"`, "Cache-Control: stale-if-error=600")
				g := newRig(t, o, cache.Options{Store: s})
				readAll(roundTrip(t, g.rt, ask(t, t.Context())))
				time.Sleep(100 * time.Second)
				s.gone = func(key string) bool { return strings.HasSuffix(key, ".7") }
				answer := o.answer
				o.answer = func(r *http.Request) *http.Response {
					if len(o.asked) == 2 {
						return reply(503, "down")
					}
					return answer(r)
				}
				resp := roundTrip(t, g.rt, ask(t, ctx(t.Context())))
				defer resp.Body.Close()
				if err := matches(resp.Body, 0, size); err != nil || len(o.asked) != 3 {
					t.Errorf("%v, asked %d times", err, len(o.asked))
				}
			})
		})
	}
}

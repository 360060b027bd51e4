package cache_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// smallExport is a stream with three entries, and the answers that it holds.
func smallExport(t *testing.T) (stream []byte, answers map[string]string) {
	t.Helper()
	answers = map[string]string{"http://h/a": "answer a", "http://h/b": "", "http://h/c": "answer c"}
	o := &origin{answer: func(r *http.Request) *http.Response {
		return reply(200, answers["http://h"+r.URL.Path], "Cache-Control: max-age=1000", "Vary: X-Token")
	}}
	g := newPlainRig(t, o, cache.Options{})
	for url := range answers {
		g.get(url, "X-Token: t")
	}
	return g.exported(), answers
}

// importedInto checks that an import of a stream that is not what was written has an error, and that what it imported answers as it should.
func importedInto(t *testing.T, s store.Store, stream []byte, answers map[string]string) error {
	t.Helper()
	g := newPlainRig(t, says("of the origin"), cache.Options{Store: s})
	report, err := g.Import(t.Context(), bytes.NewReader(stream))
	hits := 0
	for url, want := range answers {
		have, _ := g.get(url, "X-Token: t")
		if have.Outcome == "hit" {
			hits++
		}
		if have.Body != want && have.Body != "of the origin" {
			t.Fatalf("%s: a wrong answer: %q", url, have.Body)
		}
	}
	if hits != report.Entries {
		t.Errorf("%d entries are reported, and %d answer", report.Entries, hits)
	}
	return err
}

func TestExportThatIsCutOffImportsWhatCameBefore(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				stream, answers := smallExport(t)
				for n := range stream {
					err := importedInto(t, open(t), stream[:n], answers)
					if n < len("plycache") && !errors.Is(err, cache.ErrNoExport) || n >= len("plycache") && !errors.Is(err, cache.ErrTruncatedExport) {
						t.Fatalf("%d of %d bytes: %v", n, len(stream), err)
					}
				}
				require.NoError(t, importedInto(t, open(t), stream, answers))
			})
		})
	}
}

func TestExportWithAFlippedBitIsRefusedFromThereOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stream, answers := smallExport(t)
		for n := range stream {
			for _, bit := range []byte{1, 1 << (n % 8)} {
				damaged := bytes.Clone(stream)
				damaged[n] ^= bit
				if err := importedInto(t, nil, damaged, answers); err == nil {
					t.Fatalf("byte %d of %d, bit %#x: no error", n, len(stream), bit)
				}
			}
		}
	})
}

func TestExportWhoseFramesAreMovedOrMissingIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		stream, answers := smallExport(t)
		frames := framesOf(stream)
		for i := range frames {
			without := join(frames[:i], frames[i+1:])
			twice := join(frames[:i+1], frames[i:])
			for name, damaged := range map[string][]byte{"without": without, "twice": twice} {
				if i == len(frames)-1 && name == "twice" {
					continue // the end, and more of the reader's
				}
				if err := importedInto(t, nil, damaged, answers); err == nil {
					t.Errorf("%s frame %d of %d: no error", name, i, len(frames))
				}
			}
		}
	})
}

// framesOf cuts a stream: what begins it, and its frames.
func framesOf(stream []byte) (all [][]byte) {
	all, stream = append(all, stream[:9]), stream[9:]
	for len(stream) > 0 {
		n := 5 + int(binary.LittleEndian.Uint32(stream[1:])) + 4
		all, stream = append(all, stream[:n]), stream[n:]
	}
	return all
}

func join(parts ...[][]byte) (all []byte) {
	for _, frames := range parts {
		all = append(all, bytes.Join(frames, nil)...)
	}
	return all
}

func TestNewerExportIsRefused(t *testing.T) {
	stream, answers := smallExport(t)
	stream[len("plycache")]++
	require.ErrorIs(t, importedInto(t, nil, stream, answers), cache.ErrNewerExport)
	require.ErrorIs(t, importedInto(t, nil, []byte(`{"log":{"version":"1.2"}}`), answers), cache.ErrNoExport)
}

func TestImportReadsNoByteBeyondTheEndOfTheStream(t *testing.T) {
	stream, _ := smallExport(t)
	r := bytes.NewReader(append(bytes.Clone(stream), "what follows"...))
	g := newPlainRig(t, mute(t), cache.Options{})
	_, err := g.Import(t.Context(), r)
	require.NoError(t, err)
	rest, _ := io.ReadAll(r)
	if string(rest) != "what follows" {
		t.Errorf("%q is left", rest)
	}
}

func TestImportTakesNoMemoryForALengthThatIsOnlySaid(t *testing.T) {
	stream, _ := smallExport(t)
	for name, at := range map[string]int{"of the header": 9, "of an entry": len(framesOf(stream)[0]) + len(framesOf(stream)[1])} {
		for _, length := range []uint32{1 << 20, 1 << 24, 1<<32 - 1} {
			hostile := bytes.Clone(stream)
			binary.LittleEndian.PutUint32(hostile[at+1:], length)
			g := newPlainRig(t, mute(t), cache.Options{})
			taken := allocated(func() {
				if _, err := g.Import(t.Context(), bytes.NewReader(hostile)); err == nil {
					t.Errorf("%s, %d: no error", name, length)
				}
			})
			if taken > 512<<10 {
				t.Errorf("%s, %d: %d bytes for a stream of %d", name, length, taken, len(stream))
			}
		}
	}
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// pattern is a body of a size whose bytes say where they are.
func pattern(size int64) io.Reader { return io.LimitReader(&patternReader{}, size) }

type patternReader struct{ n uint64 }

// It writes to what only its caller has; noted byte by byte, it would take seconds.
//
//go:norace
func (r *patternReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.n * 0x9e3779b97f4a7c15 >> 56)
		r.n++
	}
	return len(p), nil
}

// Of a body of 32 MiB, an export and an import hold some pieces at a time. The map keeps them, so it is what remains that is measured.
func TestLargeBodiesPassThroughInPieces(t *testing.T) {
	const size = 32 << 20
	o := &origin{answer: func(*http.Request) *http.Response {
		resp := reply(200, "", "Cache-Control: max-age=1000")
		resp.Body, resp.ContentLength = io.NopCloser(pattern(size)), size
		return resp
	}}
	options := cache.Options{Store: storetest.NewMap(200 << 20), MaxEntryBytes: size, StoreTimeout: 10 * time.Second}
	a := newPlainRig(t, o, options)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h/large", nil)
	resp := roundTrip(t, a.rt, r)
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	options.Store = storetest.NewMap(200 << 20)
	b := newPlainRig(t, mute(t), options)
	peak := &heapPeak{w: io.Discard}
	_, err := a.Export(t.Context(), peak)
	require.NoError(t, err)
	if peak.most > peak.first+8<<20 {
		t.Errorf("the export takes %d MiB", (peak.most-peak.first)>>20)
	}

	pr, pw := io.Pipe()
	go func() {
		_, err := a.Export(context.Background(), pw)
		pw.CloseWithError(err)
	}()
	report, err := b.Import(t.Context(), pr)
	require.NoError(t, err)
	if diff := cmp.Diff(cache.MoveReport{Entries: 1, Bytes: size}, report); diff != "" {
		t.Fatal(diff)
	}
	resp = roundTrip(t, b.rt, r)
	defer resp.Body.Close()
	if !sameBytes(resp.Body, pattern(size)) {
		t.Error("the body is another one")
	}
}

// heapPeak measures the heap while it is written to.
type heapPeak struct {
	w           io.Writer
	n           int
	first, most int64
}

func (p *heapPeak) Write(b []byte) (int, error) {
	if p.n++; p.n%100 == 1 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if p.most = max(p.most, int64(m.HeapAlloc)); p.first == 0 {
			p.first = int64(m.HeapAlloc)
		}
	}
	return p.w.Write(b)
}

func sameBytes(a, b io.Reader) bool {
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, failed := io.ReadFull(a, x)
		m, err := io.ReadFull(b, y)
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false
		}
		if failed != nil || err != nil {
			return failed == err && (err == io.EOF || err == io.ErrUnexpectedEOF)
		}
	}
}

// full fails after some bytes.
type full struct{ left int }

var errFull = errors.New("no space left")

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestExportSaysThatItsWriterFails(t *testing.T) {
	stream, _ := smallExport(t)
	g := newPlainRig(t, mute(t), cache.Options{})
	g.imports(stream)
	for n := range len(stream) {
		if _, err := g.Export(t.Context(), &full{left: n}); !errors.Is(err, errFull) {
			t.Fatalf("after %d of %d bytes: %v", n, len(stream), err)
		}
	}
}

func TestExportLeavesOutABodyThatTheStoreHasLost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, size := range map[string]int{"small": 100 << 10, "large": 3 << 20} {
			for chunk := range 2 {
				m := storetest.NewMap(64 << 20)
				o := says(strings.Repeat("x", size), "Cache-Control: max-age=1000")
				if size/(256<<10) < chunk {
					continue
				}
				a := newPlainRig(t, o, cache.Options{Store: m})
				a.get("http://h/lost")
				time.Sleep(time.Second)
				lose(t, m, chunk)
				o.answer = func(*http.Request) *http.Response { return reply(200, "small", "Cache-Control: max-age=1000") }
				a.get("http://h/there")
				b := newPlainRig(t, mute(t), cache.Options{})
				stream := a.exported()
				if report := b.imports(stream); report.Entries != 1 {
					t.Errorf("%s, chunk %d: %+v", name, chunk, report)
				}
				have, _ := b.get("http://h/there")
				b.want(have, 200, "small", "hit", 0)
			}
		}
	})
}

// lose removes a chunk of each body.
func lose(t *testing.T, m *storetest.Map, chunk int) {
	t.Helper()
	suffix := "." + string(rune('0'+chunk))
	for _, key := range keys(t, m, store.KindBody) {
		if strings.HasSuffix(key, suffix) {
			require.NoError(t, m.Delete(t.Context(), key, ""))
		}
	}
}

func TestFilteredExport(t *testing.T) {
	a := newPlainRig(t, says("a", "Cache-Control: max-age=100"), cache.Options{})
	a.get("http://h/a")
	a.get("http://h/b")
	var stream bytes.Buffer
	report, err := a.ExportFunc(t.Context(), &stream, func(e *cache.Entry) bool { return strings.HasSuffix(e.URL(), "a") })
	require.NoError(t, err)
	want := cache.MoveReport{Entries: 1, Bytes: 1, Skipped: map[cache.Skip]int{cache.SkipNotWanted: 1}}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	_, err = a.ExportFunc(t.Context(), &stream, nil)
	require.Error(t, err)
}

func TestImportEndsWithItsContext(t *testing.T) {
	stream, _ := smallExport(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := newPlainRig(t, mute(t), cache.Options{})
	_, err := g.Import(ctx, bytes.NewReader(stream))
	require.ErrorIs(t, err, context.Canceled)
	_, err = g.Export(ctx, io.Discard)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, g.Close())
	_, err = g.Import(t.Context(), bytes.NewReader(stream))
	require.ErrorContains(t, err, "closed")
	_, err = cache.Copy(t.Context(), g.Cache, g.Cache)
	require.Error(t, err)
}

package cache_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/storetest"
)

// lengthy is a stream of so many pieces, one each second, of so many bytes each.
func lengthy(pieces, bytes int) (texts []heard) {
	for i := range pieces {
		text := fmt.Sprintf("data: %d %s\n\n", i, strings.Repeat("x", bytes))
		texts = append(texts, heard{time.Duration(i+1) * time.Second, text})
	}
	return texts
}

// joinedAt puts together what was heard at the same time.
func joinedAt(all []heard) (joined []heard) {
	for _, h := range all {
		if n := len(joined); n > 0 && joined[n-1].At == h.At {
			joined[n-1].Text += h.Text
			continue
		}
		joined = append(joined, h)
	}
	return joined
}

// A stream whose body lies in pieces in a byte store keeps its pacing: within a record, beside it, and written while it came.
func TestEventStreamInByteStore(t *testing.T) {
	for _, size := range []int{1 << 10, 64 << 10, 500 << 10} {
		for _, collapse := range []bool{true, false} {
			t.Run(fmt.Sprint(4*size, " bytes, collapsing ", collapse), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					said := lengthy(4, size)
					g := newRig(t, speaks(io.EOF, said), cache.Options{Store: storetest.NewMap(64 << 20), EventStreams: cache.EventStreamsPaced, NoCollapse: !collapse})
					for _, outcome := range []string{"miss", "hit"} {
						all, got, _ := g.listen()
						if diff := cmp.Diff(said, joinedAt(all)); diff != "" || got != outcome {
							t.Fatalf("%s, %d pieces; the differences begin %.200s", got, len(all), diff)
						}
						synctest.Wait()
					}
				})
			})
		}
	}
}

// What a stream that is not whole has left in a byte store goes.
func TestEventStreamThatIsNotWholeLeavesNoChunks(t *testing.T) {
	for _, collapse := range []bool{true, false} {
		t.Run(fmt.Sprint("collapsing ", collapse), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				said := append(lengthy(4, 500<<10), heard{5 * time.Second, "data: and\n"})
				m := storetest.NewMap(64 << 20)
				g := newRig(t, speaks(io.EOF, said), cache.Options{Store: m, EventStreams: cache.EventStreamsPaced, NoCollapse: !collapse})
				g.listen()
				synctest.Wait()
				time.Sleep(time.Minute)
				if chunks, entries := keys(t, m, store.KindBody), keys(t, m, store.KindEntry); len(chunks)+len(entries) > 0 {
					t.Errorf("%v, %v are left", chunks, entries)
				}
			})
		})
	}
}

// Another process does not wait for the end of a stream that is on its way to the store, whatever the lease: it asks by itself.
func TestEventStreamHoldsUpNoOtherProcess(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		shared := storetest.NewMap(1 << 20)
		o := cache.Options{Store: shared, Lease: 30 * time.Second, EventStreams: cache.EventStreamsPaced}
		one, other := newRig(t, speaks(io.EOF, answer), o), newRig(t, speaks(io.EOF, answer), o)
		one.origin.delay = time.Second
		var callers sync.WaitGroup
		callers.Go(func() { one.listen() })
		for _, after := range []time.Duration{500 * time.Millisecond, 1200 * time.Millisecond} {
			callers.Go(func() {
				time.Sleep(after)
				began := time.Now()
				resp, err := other.rt.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
				require.NoError(t, err)
				defer resp.Body.Close()
				if took := time.Since(began); took > 700*time.Millisecond {
					t.Errorf("after %v, it waited %v for the header", after, took)
				}
				if all, err := hear(resp.Body); err != io.EOF || len(all) < 2 {
					t.Errorf("%v, %v", all, err)
				}
			})
		}
		callers.Wait()
	})
}

// A reader that stops at the last event, and closes, has the stream stored: its end is not far away.
func TestEventStreamWhoseReaderStopsAtTheLastEventIsStored(t *testing.T) {
	for _, collapse := range []bool{true, false} {
		t.Run(fmt.Sprint("collapsing ", collapse), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced, NoCollapse: !collapse})
				resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
				require.NoError(t, err)
				_, err = io.ReadFull(resp.Body, make([]byte, len(wholeStream)))
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				synctest.Wait()
				if _, outcome, _ := g.listen(); outcome != "hit" {
					t.Error(outcome)
				}
			})
		})
	}
}

// A warming cache does not sit through the replays of what it has.
func TestEventStreamsAreWarmed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		g := newRig(t, speaks(io.EOF, answer), cache.Options{EventStreams: cache.EventStreamsPaced})
		client := &http.Client{Transport: g.rt}
		for _, want := range []time.Duration{4 * time.Second, 0} {
			began := time.Now()
			require.NoError(t, cache.Warm(t.Context(), client, url))
			if took := time.Since(began).Truncate(time.Second); took != want {
				t.Errorf("took %v, want %v", took, want)
			}
			synctest.Wait()
		}
		if len(g.origin.asked) != 1 {
			t.Errorf("asked %d times", len(g.origin.asked))
		}
	})
}

// A body that the store has lost in the middle of a replay goes on from the origin, if that says the same.
func TestEventStreamReplayGoesOnAtTheOrigin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		said := lengthy(4, 500<<10)
		m := storetest.NewMap(64 << 20)
		g := newRig(t, speaks(io.EOF, said, `ETag: "1"`), cache.Options{Store: m, EventStreams: cache.EventStreamsPaced})
		g.listen()
		synctest.Wait()
		resp, err := g.rt.RoundTrip(must(http.NewRequestWithContext(t.Context(), "GET", url, nil)))
		require.NoError(t, err)
		defer resp.Body.Close()
		for _, key := range keys(t, m, store.KindBody) {
			require.NoError(t, m.Delete(context.Background(), key, ""))
		}
		var want strings.Builder
		for _, h := range said {
			want.WriteString(h.Text)
		}
		got, err := io.ReadAll(resp.Body)
		if string(got) != want.String() || err != nil {
			t.Errorf("%d bytes of %d, %v", len(got), want.Len(), err)
		}
	})
}

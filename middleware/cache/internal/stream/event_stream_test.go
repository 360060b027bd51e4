package stream

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// ticking gives one byte each time, after a pause.
type ticking struct {
	left  int
	pause time.Duration
}

func (b *ticking) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	b.left--
	time.Sleep(b.pause)
	p[0] = 'x'
	return 1, nil
}

func (b *ticking) Close() error { return nil }

// However many pieces a stream comes in, its pacing has a bound, takes as long, and no byte comes before its time.
func TestPacingOfLongStreamIsThinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, pause := range []time.Duration{time.Second, 2 * time.Millisecond, 100 * time.Microsecond} {
			const size = 3*stored.MaxPieces + 7
			s := NewEventStream(&ticking{size, pause}, time.Now())
			io.Copy(io.Discard, s)
			pacing := s.Pacing()
			if !pacing.Paces(size) {
				t.Fatalf("%v: %d bytes that are no pacing of the stream", pause, len(pacing))
			}
			if took, want := pacing.Duration(), size*pause; took > want || took < want-max(16*pause, 2*time.Millisecond) {
				t.Errorf("%v: %v, want %v", pause, took, want)
			}
			read, at := int64(0), time.Duration(0)
			for {
				n, after, rest, ok := pacing.Next()
				if !ok {
					break
				}
				read, at, pacing = read+n, at+after, rest
				if late := at - time.Duration(read)*pause; pause >= time.Millisecond && late < 0 {
					t.Fatalf("%v: byte %d comes %v early", pause, read, -late)
				}
			}
		}
	})
}

// A body that is shorter than its pacing ends where it ends.
func TestPacedBodyThatIsTooShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pacing := stored.Pacing(stored.AppendPiece(nil, 10, time.Second))
		body := NewPaced(t.Context(), io.NopCloser(strings.NewReader("short")), pacing)
		if got, err := io.ReadAll(body); string(got) != "short" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// The context of the request that the stream is read for counts, and not that of the one it was made for.
func TestPacedBodyIsReadForAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		body := NewPaced(ctx, io.NopCloser(strings.NewReader("x")), stored.Pacing(stored.AppendPiece(nil, 1, time.Second)))
		cancel()
		body.ReadFor(t.Context())
		if got, err := io.ReadAll(body); string(got) != "x" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

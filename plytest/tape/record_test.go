package tape_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/plytest/tape"
)

func TestRecordingKeepsTheContractOfALayer(t *testing.T) {
	mine(t)
	dir, n := t.TempDir(), 0
	plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
		n++
		return tape.Open(&test{TB: t}, filepath.Join(dir, fmt.Sprint(n)), tape.Options{}).Middleware(next)
	})
}

func TestBodyThatCanBeReadOnceIsOnTheTapeAsFarAsItWasSent(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	server := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", b, r.Trailer.Get("X-Sum"))
	}))
	for _, next := range []http.RoundTripper{server, noServer(t)} {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://h.example/", io.MultiReader(strings.NewReader("in "), strings.NewReader("pieces")))
			r.Trailer = http.Header{"X-Sum": {"7"}}
			resp, err := s.Middleware(next).RoundTrip(r)
			require.NoError(t, err)
			b, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, "in pieces 7", string(b))
		}))
	}
	tp, err := tape.Load(path)
	require.NoError(t, err)
	require.Equal(t, "in pieces", string(tp.Exchanges[0].Request.Body))
	require.Equal(t, "7", tp.Exchanges[0].Request.Trailer.Get("X-Sum"))
}

func TestRequestWhoseBodyCannotBeReadIsAFailure(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	lost := errors.New("the file is gone")
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://h.example/", strings.NewReader("x"))
		r.GetBody = func() (io.ReadCloser, error) { return nil, lost }
		_, err := s.Middleware(noServer(t)).RoundTrip(r)
		require.ErrorIs(t, err, lost)
	}))
	tp, err := tape.Load(path)
	require.NoError(t, err)
	require.Equal(t, &tape.Failure{Kind: tape.FailureOther, Text: lost.Error()}, tp.Exchanges[0].Failure)
}

func TestRequestsAtOnceAreRecordedAndReplayed(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	server := answers(func(r *http.Request) string { return strings.Repeat(r.URL.Path, 1000) })
	for _, next := range []http.RoundTripper{server, noServer(t)} {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			rt := s.Middleware(next)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					path := fmt.Sprintf("/%d", i%5)
					body, err := send(t, rt, "POST", "http://h.example"+path, "content")
					if err != nil || body != strings.Repeat(path, 1000) {
						t.Errorf("%s: %.20s (%v)", path, body, err)
					}
				})
			}
			all.Wait()
		}))
	}
	tp, err := tape.Load(path)
	require.NoError(t, err)
	require.Len(t, tp.Exchanges, 20)
}

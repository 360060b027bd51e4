package cache_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

// Whatever breaks a body off, the caller sees it and nothing is stored.
func TestBodyThatBreaksOffIsNotStored(t *testing.T) {
	reset := errors.New("connection reset")
	for _, test := range []struct {
		name   string
		body   func() io.Reader
		length int64
		close  bool // the connection ends with the body
		read   int  // bytes that the caller reads, -1 for all
		err    error
		stored bool
	}{
		{"complete", func() io.Reader { return strings.NewReader("hello") }, 5, false, -1, nil, true},
		{"complete, read no further", func() io.Reader { return strings.NewReader("hello") }, 5, false, 5, nil, true},
		{"complete, without a length", func() io.Reader { return strings.NewReader("hello") }, -1, false, -1, nil, true},
		{"reset", func() io.Reader { return io.MultiReader(strings.NewReader("hel"), failing{reset}) }, 5, false, -1, reset, false},
		{"reset, without a length", func() io.Reader { return io.MultiReader(strings.NewReader("hel"), failing{reset}) }, -1, false, -1, reset, false},
		{"short", func() io.Reader { return strings.NewReader("hel") }, 5, false, -1, nil, false},
		{"long", func() io.Reader { return strings.NewReader("hello world") }, 5, false, -1, nil, false},
		{"closed early, the rest is at hand", func() io.Reader { return strings.NewReader("hello") }, 5, false, 3, nil, true},
		{"never read, all is at hand", func() io.Reader { return strings.NewReader("hello") }, 5, false, 0, nil, true},
		{"closed early, the rest is broken", func() io.Reader { return io.MultiReader(strings.NewReader("hel"), failing{reset}) }, 5, false, 3, nil, false},
		{"closed early, too much is missing", func() io.Reader { return iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 70<<10))) }, 70 << 10, false, 3, nil, false},
		{"ended by the connection", func() io.Reader { return strings.NewReader("hello") }, -1, true, -1, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := &origin{answer: func(*http.Request) *http.Response {
					resp := reply(200, "", "Cache-Control: max-age=60")
					resp.Body, resp.ContentLength, resp.Close = io.NopCloser(test.body()), test.length, test.close
					return resp
				}}
				g := newRig(t, o, cache.Options{})
				r, _ := http.NewRequest("GET", url, nil)
				resp, err := g.rt.RoundTrip(r)
				require.NoError(t, err)
				if test.read < 0 {
					_, err = io.ReadAll(resp.Body)
				} else {
					_, err = io.ReadFull(resp.Body, make([]byte, test.read))
				}
				if !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
				resp.Body.Close()
				if got := g.entries() == 1; got != test.stored {
					t.Errorf("stored = %v, want %v", got, test.stored)
				}
			})
		})
	}
}

// A body that says it has read more than there is room for is broken. No caller hangs on it.
func TestBodyThatReturnsMoreThanTheBufferIsAnError(t *testing.T) {
	for _, n := range []int{-1, 1 << 30} {
		for _, length := range []int64{-1, 1 << 20} {
			synctest.Test(t, func(t *testing.T) {
				o := &busy{answer: func(r *http.Request, _ int) (*http.Response, error) {
					resp := sends("", "Cache-Control: max-age=60")
					resp.ContentLength, resp.Body = length, io.NopCloser(boasts(n))
					return resp, nil
				}}
				_, rt := newBusy(t, o, cache.Options{})
				for range 2 {
					resp := roundTrip(t, rt, ask(t, t.Context()))
					done := make(chan error, 1)
					go func() {
						defer close(done)
						defer func() { recover() }()
						_, err := resp.Body.Read(make([]byte, 10))
						done <- err
					}()
					select {
					case err := <-done:
						if err == nil {
							t.Error("no error")
						}
					case <-time.After(time.Hour):
						t.Fatal("the reader hangs")
					}
					resp.Body.Close()
				}
			})
		}
	}
}

// stalled is a body that returns neither bytes nor an error.
type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

// A body that returns nothing again and again is an error, not an endless loop.
func TestBodyWithoutProgressIsAnError(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := &origin{answer: func(*http.Request) *http.Response {
			resp := reply(200, "", "Cache-Control: max-age=60")
			resp.Body, resp.ContentLength = io.NopCloser(stalled{}), 10
			return resp
		}}
		g := newRig(t, o, cache.Options{})
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		resp := roundTrip(t, g.rt, r)
		defer resp.Body.Close()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("error %v", err)
		}
		if g.entries() != 0 {
			t.Error("it is stored")
		}
	})
}

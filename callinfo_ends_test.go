package ply_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/body"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/note"
)

// A server that redirects for ever must not make a record without bounds, nor one that says how the hundredth hop ended in place of the call.
func TestRecordOfManyHopsSaysHowTheCallEnded(t *testing.T) {
	hops := 0
	client := ply.Wrap(&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
		Transport: testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("done")), Request: r}
			if hops++; hops <= 150 {
				resp.StatusCode = 302
				resp.Header.Set("Location", fmt.Sprintf("/%d", hops))
			}
			return resp, nil
		}),
	})
	req, err := http.NewRequestWithContext(ply.WithCallInfo(t.Context()), "GET", "http://a.test/", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	info, _ := ply.CallInfoFrom(resp)
	assert.Equal(t, 200, info.Status)
	assert.True(t, info.Open)
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	info, _ = ply.CallInfoFrom(resp)
	assert.False(t, info.Open)
	assert.Len(t, info.Hops, 100)
	assert.Equal(t, 51, info.Omitted)
}

func TestRecordOfManyAttemptsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuses := func(http.RoundTripper) http.RoundTripper {
			return testutil.RoundTripFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		}
		client, err := ply.New(ply.Options{Transport: testutil.RoundTripFunc(nil), Use: []ply.Middleware{
			retry.New(retry.Options{MaxAttempts: 150, Budget: &retry.TokenBucket{Capacity: 1000}, Backoff: retry.FullJitter(time.Millisecond, time.Millisecond)}), refuses}})
		require.NoError(t, err)
		defer client.Close()
		ctx := ply.WithCallInfo(t.Context())
		_, err = client.Get(ctx, "http://a.test/")
		require.Error(t, err)
		info, _ := ply.CallInfoFromContext(ctx)
		assert.Len(t, info.Hops[0].Exchanges, 100)
		assert.Equal(t, 50, info.Hops[0].Omitted)
	})
}

func TestRecordOfACallWithoutAnswerHasEnded(t *testing.T) {
	for name, transport := range map[string]testutil.RoundTripFunc{
		"panic":   func(*http.Request) (*http.Response, error) { panic("secret") },
		"nothing": func(*http.Request) (*http.Response, error) { return nil, nil },
	} {
		for kind, client := range map[string]http.RoundTripper{
			"client": must(ply.New(ply.Options{Transport: transport})), "wrapped": ply.Wrap(&http.Client{Transport: transport}).Transport,
		} {
			ctx := ply.WithCallInfo(t.Context())
			req, err := http.NewRequestWithContext(ctx, "GET", "http://a.test/", nil)
			require.NoError(t, err)
			func() {
				defer func() { _ = recover() }()
				client.RoundTrip(req)
			}()
			info, _ := ply.CallInfoFromContext(ctx)
			assert.False(t, info.Open, name, kind)
			assert.Error(t, info.Err, name, kind)
			assert.Contains(t, info.String(), "\nfailed in ")
			assert.NotContains(t, info.String(), "secret")
		}
	}
}

// What is told after the end comes too late.
func TestRecordDoesNotChangeAfterItsEnd(t *testing.T) {
	var inside context.Context
	client := must(ply.New(ply.Options{Transport: testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		inside = r.Context()
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x")), Request: r}, nil
	})}))
	defer client.Close()
	resp, err := client.Get(ply.WithCallInfo(t.Context()), "http://a.test/")
	require.NoError(t, err)
	note.Tell(inside, note.Note{Layer: "one", Event: "came"})
	require.NoError(t, resp.Body.Close())
	note.Tell(inside, note.Note{Layer: "two", Event: "came late"})
	io.Copy(io.Discard, resp.Body) // this body can be read on
	info, _ := ply.CallInfoFrom(resp)
	assert.Len(t, info.Hops[0].Notes, 1)
	assert.Zero(t, info.Hops[0].Received)
}

// Layers inside decode give back what they hold for a body when the garbage collector finds that it was dropped. A program that keeps the record must not keep the body.
func TestKeptRecordKeepsNoDecodedBody(t *testing.T) {
	lost := make(chan struct{})
	watched := func(http.RoundTripper) http.RoundTripper {
		return testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			content := body.Watch(io.NopCloser(strings.NewReader("x")), body.Hooks{Lost: func() { close(lost) }})
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: gunzipped{content}, ContentLength: -1, Request: r}, nil
		})
	}
	client := must(ply.New(ply.Options{Transport: testutil.RoundTripFunc(nil), Use: []ply.Middleware{watched}}))
	defer client.Close()
	ctx := ply.WithCallInfo(t.Context())
	must(client.Get(ctx, "http://a.test/"))
	for deadline := time.Now().Add(10 * time.Second); ; {
		runtime.GC()
		select {
		case <-lost:
			info, _ := ply.CallInfoFromContext(ctx)
			assert.Equal(t, "gzip", info.Hops[0].Decoded)
			return
		default:
		}
		require.True(t, time.Now().Before(deadline), "the record keeps the body")
	}
}

// gunzipped is a body as a decode layer makes it.
type gunzipped struct{ io.ReadCloser }

func (gunzipped) DecodedFrom() (codings string, encoded int64) { return "gzip", 1 }

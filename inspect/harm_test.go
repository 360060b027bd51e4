package inspect_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
)

// A panic reaches the caller as it was, and the call is no longer shown as under way.
func TestPanicOfALayerBelowEndsItsCall(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	chain := in.Middleware(ply.HandlerFunc(func(*http.Request) (*http.Response, error) { panic("boom") }))
	req, err := http.NewRequest("GET", "http://a.test/", nil)
	require.NoError(t, err)
	require.PanicsWithValue(t, "boom", func() { chain.RoundTrip(req) })
	got := calls(t, in)
	require.Len(t, got, 1)
	require.False(t, got[0].Open)
	require.Equal(t, "error", got[0].Outcome)
	require.Contains(t, got[0].Error, "panicked")
}

type panickingBody struct{ io.Reader }

func (panickingBody) Close() error { panic("boom") }

func TestPanicOfABodyEndsItsCall(t *testing.T) {
	in := newInspector(t, inspect.Options{})
	chain := in.Middleware(ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: panickingBody{strings.NewReader("hello")}, ContentLength: 5, Request: req}, nil
	}))
	req, err := http.NewRequest("GET", "http://a.test/", nil)
	require.NoError(t, err)
	resp, err := chain.RoundTrip(req)
	require.NoError(t, err)
	require.PanicsWithValue(t, "boom", func() { resp.Body.Close() })
	require.False(t, calls(t, in)[0].Open)
}

// Calls that are under way grow after the last of them has begun: by what they send, and by the header of their response.
func TestCallsUnderWayStayWithinMaxBytes(t *testing.T) {
	const n, most = 50, 256 << 10
	for name, growing := range map[string]struct {
		sent   int
		header http.Header
	}{
		"request bodies":   {sent: 64 << 10},
		"response headers": {header: http.Header{"X-Large": {strings.Repeat("x", 64<<10)}}},
	} {
		in := newInspector(t, inspect.Options{MaxBytes: most})
		var begun, read, answered, ended sync.WaitGroup
		begun.Add(n)
		read.Add(n)
		answered.Add(1)
		chain := in.Middleware(ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			begun.Done()
			begun.Wait()
			io.Copy(io.Discard, req.Body)
			read.Done()
			answered.Wait()
			return nil, errors.New("down")
		}))
		if growing.header != nil {
			chain = in.Middleware(ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
				begun.Done()
				begun.Wait()
				return &http.Response{StatusCode: 200, Header: growing.header, Body: http.NoBody, Request: req}, nil
			}))
		}
		for range n {
			ended.Go(func() {
				req, _ := http.NewRequest("POST", "http://a.test/", strings.NewReader(strings.Repeat("x", growing.sent)))
				chain.RoundTrip(req)
			})
		}
		if growing.header == nil {
			read.Wait()
		} else {
			ended.Wait()
		}
		require.LessOrEqual(t, get[stats](t, in, "stats").Kept["bytes"], int64(most), name)
		answered.Done()
		ended.Wait()
	}
}

package ply_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// recordingOrigin redirects /old to /new, which answers at the second attempt.
func recordingOrigin() *plytest.Origin {
	return &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/old": {plytest.Status(http.StatusFound, "Location", "/new")},
		"/new": {plytest.Status(503), plytest.Text("hello")},
	}}
}

// inside returns a layer that keeps the record which layers see at the end of each request.
func inside(records *[]ply.CallInfo) ply.Middleware {
	return func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if info, ok := ply.CallInfoFromContext(req.Context()); ok {
				*records = append(*records, info)
			}
			return resp, err
		})
	}
}

func TestRecordCallsRecordsCallsThatAskForNoRecord(t *testing.T) {
	fast := retry.New(retry.Options{Backoff: retry.Constant(0)})
	for name, call := range map[string]func(origin *plytest.Origin, seen ply.Middleware) (*http.Response, error){
		"among the exchange layers": func(origin *plytest.Origin, seen ply.Middleware) (*http.Response, error) {
			client := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{ply.RecordCalls, seen, fast}})
			return client.Get(t.Context(), "http://a.test/old")
		},
		"among the call layers": func(origin *plytest.Origin, seen ply.Middleware) (*http.Response, error) {
			client := newClient(t, ply.Options{Transport: origin, UseCall: []ply.Middleware{ply.RecordCalls}, Use: []ply.Middleware{seen, fast}})
			return client.Get(t.Context(), "http://a.test/old")
		},
		"mounted by Wrap": func(origin *plytest.Origin, seen ply.Middleware) (*http.Response, error) {
			return ply.Wrap(&http.Client{Transport: origin}, ply.RecordCalls, seen, fast).Get("http://a.test/old")
		},
		"of a call that is recorded already": func(origin *plytest.Origin, seen ply.Middleware) (*http.Response, error) {
			client := newClient(t, ply.Options{Transport: origin, Use: []ply.Middleware{ply.RecordCalls, ply.RecordCalls, seen, fast}})
			return client.Get(ply.WithCallInfo(t.Context()), "http://a.test/old")
		},
		"at both places of a call that is recorded already": func(origin *plytest.Origin, seen ply.Middleware) (*http.Response, error) {
			client := newClient(t, ply.Options{Transport: origin, UseCall: []ply.Middleware{ply.RecordCalls}, Use: []ply.Middleware{ply.RecordCalls, seen, fast}})
			return client.Get(ply.WithCallInfo(t.Context()), "http://a.test/old")
		},
	} {
		t.Run(name, func(t *testing.T) {
			var records []ply.CallInfo
			resp, err := call(recordingOrigin(), inside(&records))
			require.NoError(t, ply.Discard(resp, err))
			info, ok := ply.CallInfoFrom(resp)
			require.True(t, ok)
			require.False(t, info.Open)
			require.Len(t, info.Hops, 2)
			require.Equal(t, []any{302, 1, 200, 2}, []any{info.Hops[0].Status, info.Hops[0].Requests, info.Hops[1].Status, info.Hops[1].Requests})
			require.Len(t, records, 2, "what layers see")
			require.Equal(t, []int{1, 2}, []int{len(records[0].Hops), len(records[1].Hops)})
		})
	}
}

func TestRecordCallsNextToATransportRecordsItsExchanges(t *testing.T) {
	hc := &http.Client{Transport: ply.RecordCalls(recordingOrigin())}
	resp, err := hc.Get("http://a.test/old")
	require.NoError(t, ply.Discard(ply.AnyStatus(resp, err)))
	info, ok := ply.CallInfoFrom(resp)
	require.True(t, ok)
	require.Equal(t, []int{1, 1}, []int{info.Hops[0].Requests, info.Hops[1].Requests})
}

// Each call has a record of its own.
func TestRecordCallsKeepsCallsApart(t *testing.T) {
	client := newClient(t, ply.Options{Transport: recordingOrigin(), Use: []ply.Middleware{ply.RecordCalls}})
	for range 2 {
		resp, err := client.Get(t.Context(), "http://a.test/old")
		require.NoError(t, ply.Discard(ply.AnyStatus(resp, err)))
		info, _ := ply.CallInfoFrom(resp)
		require.Len(t, info.Hops, 2)
	}
	next, err := client.Get(nextContext(t, client), "http://a.test/new")
	require.NoError(t, ply.Discard(ply.AnyStatus(next, err)))
	info, _ := ply.CallInfoFrom(next)
	require.Len(t, info.Hops, 1)
}

// nextContext is the context of a call that has ended.
func nextContext(t *testing.T, client *ply.Client) context.Context {
	resp, err := client.Get(t.Context(), "http://a.test/old")
	require.NoError(t, ply.Discard(ply.AnyStatus(resp, err)))
	return resp.Request.Context()
}

package ply_test

import (
	"net/http"
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
)

func TestRecordThatIsKeptKeepsNoRequestOfItsCall(t *testing.T) {
	var requests []weak.Pointer[http.Request]
	see := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			requests = append(requests, weak.Make(req))
			return next.RoundTrip(req)
		})
	}
	origin := see(testutil.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
	}))
	client, err := ply.New(ply.Options{Transport: origin, UseCall: []ply.Middleware{see}, Use: []ply.Middleware{see}})
	require.NoError(t, err)

	var record any
	func() {
		resp, err := client.Get(ply.WithCallInfo(t.Context()), "https://example.com/")
		require.NoError(t, err)
		resp.Body.Close()
		record = reqctx.Record(resp.Request.Context())
	}()
	require.Len(t, requests, 3)
	for i, name := range []string{"call", "hop", "exchange"} {
		testutil.Eventually(t, "the request of the "+name+" is collected", func() bool { runtime.GC(); return requests[i].Value() == nil })
	}
	runtime.KeepAlive(record)
}

func TestRecordSaysTheURLThatALayerPutInPlaceOfAnother(t *testing.T) {
	origin := &plytest.Origin{}
	change := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			req.URL.Path = "/changed" // in place, which a layer had better not do
			return next.RoundTrip(req)
		})
	}
	client, err := ply.New(ply.Options{Transport: origin, Use: []ply.Middleware{change}})
	require.NoError(t, err)
	resp, err := client.Get(ply.WithCallInfo(t.Context()), "https://example.com/given")
	require.NoError(t, err)
	resp.Body.Close()
	i, _ := ply.CallInfoFrom(resp)
	require.Equal(t, "https://example.com/given", i.Hops[0].URL)
	require.Equal(t, "https://example.com/changed", i.Hops[0].Exchanges[0].URL)
}

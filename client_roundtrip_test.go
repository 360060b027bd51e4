package ply_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func TestClientAsRoundTripper(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusFound, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	var calls int
	c := newClient(t, ply.Options{
		Header: http.Header{"X-A": {"1"}}, Transport: transport,
		UseCall: []ply.Middleware{func(next ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) { calls++; return next.RoundTrip(r) })
		}},
	})
	resp, err := exchangeRecord(t, c, "http://a.test/old")
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusFound || len(transport.got) != 1 {
		t.Errorf("status %d after %d requests: RoundTrip followed a redirect", resp.StatusCode, len(transport.got))
	}

	hc := &http.Client{Transport: c}
	resp, err = hc.Get("http://a.test/old")
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != 200 || len(ply.History(resp)) != 1 || transport.last().Header.Get("X-A") != "1" {
		t.Errorf("status %d, history %v, got %+v", resp.StatusCode, ply.History(resp), transport.last())
	}
	if calls != 3 {
		t.Errorf("call layers ran %d times, want once for each of 3 exchanges", calls)
	}
}

func TestRoundTripDoesNotJudgeTheStatus(t *testing.T) {
	c := newClient(t, ply.Options{
		Transport: redirects(map[string]string{"http://a.test/old": "/new"}),
		Defaults: []ply.RequestOption{ply.CheckStatus(func(resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return errors.New("not OK")
			}
			return nil
		})},
	})
	if err := ply.Discard((&http.Client{Transport: c}).Get("http://a.test/old")); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestRoundTripAddsNoCredentialsToARedirectOfUnknownOrigin(t *testing.T) {
	var got []http.Header
	c := newClient(t, ply.Options{
		Defaults: []ply.RequestOption{ply.Bearer("t")},
		Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.Header)
			if r.URL.Host == "a.test" {
				return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://b.test/"}}, Body: http.NoBody}, nil
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}),
	})
	require.NoError(t, ply.Discard((&http.Client{Transport: c}).Get("http://a.test/")))
	if got[0].Get("Authorization") == "" || got[1].Get("Authorization") != "" {
		t.Errorf("sent %v", got)
	}
}

func TestRoundTripAddsNoCredentialsAfterARedirectElsewhere(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusFound, http.Header{"Location": {"http://b.test/new"}}, "")
		}
		return nil
	}}
	c := newClient(t, ply.Options{Header: http.Header{"X-Api-Key": {"k"}}, Defaults: []ply.RequestOption{ply.Bearer("t"), ply.Query("token", "t")}, Transport: transport})
	resp, err := (&http.Client{Transport: c}).Get("http://a.test/old")
	require.NoError(t, err)
	resp.Body.Close()
	if h := transport.got[0].Header; h.Get("Authorization") == "" || h.Get("X-Api-Key") == "" {
		t.Errorf("the first request went without credentials: %v", h)
	}
	if got := transport.got[1]; got.Header.Get("Authorization") != "" || got.Header.Get("X-Api-Key") != "" || got.URL != "http://b.test/new" {
		t.Errorf("credentials went to another origin: %+v", got)
	}
}

func TestBodyFileCanBeSentAgainAroundRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusTemporaryRedirect, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	c := newClient(t, ply.Options{Transport: transport})
	req, err := c.NewRequest(t.Context(), http.MethodPut, "http://a.test/old", ply.BodyReader(file))
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: c}).Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last(); got.URL != "http://a.test/new" || got.Body != "content" {
		t.Errorf("got %+v", got)
	}
}

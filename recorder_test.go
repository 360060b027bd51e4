package ply_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// seen is what a server or a transport got.
type seen struct {
	Method, URL, Host string
	Header            http.Header
	Body              string
}

// recorder is a transport that answers 200 and remembers requests.
type recorder struct {
	got     []seen
	respond func(*http.Request) *http.Response
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	s := seen{Method: req.Method, URL: req.URL.String(), Host: req.Host, Header: req.Header.Clone()}
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		s.Body = string(b)
	}
	r.got = append(r.got, s)
	if r.respond != nil {
		if resp := r.respond(req); resp != nil {
			return resp, nil
		}
	}
	return reply(req, http.StatusOK, nil, "ok"), nil
}

func (r *recorder) last() seen { return r.got[len(r.got)-1] }

func reply(req *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

func newClient(t *testing.T, o ply.Options) *ply.Client {
	t.Helper()
	c, err := ply.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func get(t *testing.T, c *ply.Client, url string, opts ...ply.RequestOption) *http.Response {
	t.Helper()
	resp, err := c.Get(t.Context(), url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func basicAuth(s seen) (user, password string, ok bool) {
	return (&http.Request{Header: s.Header}).BasicAuth()
}

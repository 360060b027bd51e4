package ply_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// The server responds before it reads, so the client must not send the body.
func TestExpectContinue(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer server.Close()
	body := &stream{Reader: strings.NewReader("abc")}
	resp, err := newClient(t, ply.Options{Transport: &http.Transport{ExpectContinueTimeout: 1 << 40}}).
		Post(t.Context(), server.URL, ply.BodyReader(body), ply.ExpectContinue())
	require.NoError(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || body.reads.Load() != 0 {
		t.Errorf("status %d, %d reads", resp.StatusCode, body.reads.Load())
	}
}

func TestRedirectWithoutContentDropsExpect(t *testing.T) {
	transport := &recorder{respond: func(r *http.Request) *http.Response {
		if r.URL.Path == "/old" {
			return reply(r, http.StatusSeeOther, http.Header{"Location": {"/new"}}, "")
		}
		return nil
	}}
	resp, err := newClient(t, ply.Options{Transport: transport}).Post(t.Context(), "http://a.test/old", ply.BodyString("x"), ply.ExpectContinue())
	require.NoError(t, err)
	resp.Body.Close()
	if got := transport.last(); got.Method != http.MethodGet || got.Header.Get("Expect") != "" {
		t.Errorf("got %+v", got)
	}
}

// RFC 9110 §10.1.1.
func TestRefusedExpectationIsDroppedOnce(t *testing.T) {
	tests := []struct {
		name   string
		opts   []ply.RequestOption
		always bool // the server answers 417 to anything
		want   []string
		status int
	}{
		{"again", []ply.RequestOption{ply.BodyString("x"), ply.ExpectContinue()}, false, []string{"100-continue x", " x"}, 200},
		{"once", []ply.RequestOption{ply.BodyString("x"), ply.ExpectContinue()}, true, []string{"100-continue x", " x"}, 417},
		{"a stream", []ply.RequestOption{ply.BodyReader(io.MultiReader(strings.NewReader("x"))), ply.ExpectContinue()}, false, []string{"100-continue x"}, 417},
		{"nothing expected", []ply.RequestOption{ply.BodyString("x")}, true, []string{" x"}, 417},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			transport := &recorder{respond: func(r *http.Request) *http.Response {
				if tt.always || r.Header.Get("Expect") != "" {
					return reply(r, http.StatusExpectationFailed, nil, "what?")
				}
				return nil
			}}
			resp, err := newClient(t, ply.Options{Transport: transport}).Put(t.Context(), "http://a.test/", tt.opts...)
			require.NoError(t, err)
			resp.Body.Close()
			var got []string
			for _, s := range transport.got {
				got = append(got, s.Header.Get("Expect")+" "+s.Body)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || resp.StatusCode != tt.status {
				t.Errorf("status %d (-want +got):\n%s", resp.StatusCode, diff)
			}
		})
	}
}

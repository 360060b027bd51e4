package cli

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TRACE and OPTIONS go on as often as they say (RFC 9110 §7.6.2). At zero, the proxy answers for itself, and the origin hears nothing.
func TestProxyObeysMaxForwards(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET")
		io.WriteString(w, "origin got "+strings.Join(r.Header["Max-Forwards"], "|"))
	})
	p := startProxy(t, origin.URL)
	host := strings.TrimPrefix(p.url, "http://")
	traced := "TRACE /a?x=1 HTTP/1.1\r\nHost: " + host + "\r\nAccept-Encoding: gzip\r\nMax-Forwards: 0\r\nUser-Agent: Go-http-client/1.1\r\n\r\n"
	for _, test := range []struct {
		method   string
		forwards []string
		status   int
		body     string
	}{
		{"TRACE", []string{"0"}, 200, traced},
		{"OPTIONS", []string{"0"}, 204, ""},
		{"TRACE", []string{"1"}, 200, "origin got 0"},
		{"OPTIONS", []string{"10"}, 200, "origin got 9"},
		{"OPTIONS", nil, 200, "origin got "},
		{"OPTIONS", []string{"-1"}, 200, "origin got -1"},
		{"OPTIONS", []string{"0", "0"}, 200, "origin got 0|0"},
		{"OPTIONS", []string{"99999999999"}, 200, "origin got 99999999999"},
		{"GET", []string{"0"}, 200, "origin got 0"}, // other methods do not count
	} {
		r, err := http.NewRequestWithContext(t.Context(), test.method, p.url+"/a?x=1", nil)
		require.NoError(t, err)
		r.Header["Max-Forwards"] = test.forwards
		r.Header.Set("Authorization", "Bearer canary")
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		assert.Equal(t, test.status, resp.StatusCode, test)
		assert.Empty(t, cmp.Diff(test.body, string(body)), test)
		assert.Contains(t, resp.Header.Get("Via"), "ply-", test)
	}
}

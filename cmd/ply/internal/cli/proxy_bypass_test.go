package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
)

// send writes bytes to the proxy and returns the connection.
func (p *runningProxy) send(t *testing.T, text string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn.(*net.TCPConn)
}

// A client that has sent all it has and closes its side looks like one that has left. An empty 200 would be an answer that no one gave.
func TestProxyGivesAClientThatSendsNoMoreNoAnswerOfItsOwn(t *testing.T) {
	origin := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	p := startProxy(t, origin.URL)
	conn := p.send(t, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, conn.CloseWrite())
	got, _ := io.ReadAll(conn)
	assert.Empty(t, string(got))
	testutil.Eventually(t, "the log", func() bool { return strings.Contains(p.log.String(), "GET /slow 499 ") })
}

// What passes by the cache passes by none of the proxy's bounds, and what its origin says of a cache is not what this one did.
func TestProxyBoundsUpgradesAsItDoesOtherRequests(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
		w.Header().Set("Cache-Status", "ply; hit")
		io.Copy(io.Discard, r.Body)
	})
	p := startProxy(t, origin.URL, "--max-body", "10", "--origin-timeout", "50ms")
	for request, want := range map[string]int{
		"POST /large HTTP/1.1\r\nTransfer-Encoding: chunked\r\n%s\r\n14\r\n" + strings.Repeat("x", 20) + "\r\n0\r\n\r\n": http.StatusRequestEntityTooLarge,
		"GET /slow HTTP/1.1\r\n%s\r\n":  http.StatusGatewayTimeout,
		"GET /plain HTTP/1.1\r\n%s\r\n": http.StatusOK,
	} {
		conn := p.send(t, fmt.Sprintf(request, "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, request)
		assert.Equal(t, want, resp.StatusCode, request)
	}
	testutil.Eventually(t, "the log", func() bool { return strings.Contains(p.log.String(), "GET /plain 200 0 - ") })
}

// The version of a protocol may be left out (RFC 9110 §7.8), and some servers make an underscore of what is no letter or digit in the name of a field.
func TestProxyKnowsOtherSpellingsOfWhatItDrops(t *testing.T) {
	got := make(chan http.Header, 1)
	origin := serve(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	p := startProxy(t, origin.URL)
	conn := p.send(t, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: HTTP, echo\r\nX.Forwarded.Host: evil.test\r\nX-HTTP-Host-Override: evil.test\r\nClient_IP: evil\r\nCF-Connecting-IP: evil\r\n\r\n")
	_, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	header := <-got
	assert.NotContains(t, header, "Upgrade")
	for name, values := range header {
		assert.NotContains(t, strings.Join(values, ","), "evil", name)
	}
}

// Via names the version by which the answer came (RFC 9110 §7.6.3).
func TestProxySaysByWhichVersionAnAnswerCame(t *testing.T) {
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "max-age=60") }))
	origin.EnableHTTP2 = true
	origin.StartTLS()
	t.Cleanup(origin.Close)
	p := startProxy(t, origin.URL, "--insecure")
	for range 2 {
		resp, _ := ask(t, p.url)
		assert.Regexp(t, `^2\.0 ply-`, resp.Header.Get("Via"))
	}
}

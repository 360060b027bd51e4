package logging_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
)

func TestConnectionOptionLogsThePeer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var j journal
	h := logging.New(logging.Options{Logger: j.logger(), Connection: true})(transport)
	for _, want := range []string{"conn.reused=false", "conn.reused=true"} {
		j.Reset()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		resp, err := h.RoundTrip(req)
		require.NoError(t, err)
		testutil.ReadAll(resp.Body)
		_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
		if want := " network.peer.address=127.0.0.1 network.peer.port=" + port + " " + want + "\n"; !strings.HasSuffix(j.String(), want) {
			t.Errorf("no %sin %s", want, &j)
		}
	}
}

package inspect_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/inspect"
)

func newInspector(t testing.TB, o inspect.Options) *inspect.Inspector {
	t.Helper()
	in, err := inspect.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { in.Close() })
	return in
}

func newClient(t testing.TB, o ply.Options) *ply.Client {
	t.Helper()
	client, err := ply.New(o)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// ask sends a request from this machine, as the page does. fields are names and values of its header.
func ask(in http.Handler, method, target, content string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:7117/"+target, strings.NewReader(content))
	r.RemoteAddr = "127.0.0.1:50000"
	if content != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	if from := r.Header.Get("From-Addr"); from != "" {
		r.RemoteAddr = from
		r.Header.Del("From-Addr")
	}
	w := httptest.NewRecorder()
	in.ServeHTTP(w, r)
	return w
}

// get decodes what the inspector answers.
func get[T any](t testing.TB, in http.Handler, target string) T {
	t.Helper()
	w := ask(in, http.MethodGet, target, "")
	require.Equal(t, http.StatusOK, w.Code, "%s: %s", target, w.Body)
	var v T
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

// What the tests read of the answers.
type (
	span struct {
		StartMs, Ms float64
	}
	field struct{ Name, Value string }
	body  struct {
		Size                                     int64
		Text, Hidden, Encoding, MediaType, Error string
		Binary, Truncated, Open, ClosedEarly     bool
	}
	message struct {
		StatusText string
		Headers    []field
		Trailers   []field
		Body       *body
	}
	reason struct {
		Hop                       int
		Layer, Text, Section, URL string
	}
	hop struct {
		Method, URL, Error, Cache, Stop string
		Status, Requests                int
		Header                          span
		Exchanges                       []struct {
			Attempt, Status int
			WaitMs          float64
			Span            span
		}
		Notes             []struct{ Layer, Event string }
		Request, Response *message
	}
	call struct {
		ID, Version                                               int64
		Method, URL, Outcome, Reason, Error, MediaType, Waterfall string
		Incomplete                                                string
		Status, Hops, Attempts                                    int
		Size, RequestSize                                         int64
		HeaderMs, DurationMs, WaitMs                              float64
		Open                                                      bool
		Layers                                                    []string
		Chain                                                     []struct{ Name string }
		HopList                                                   []hop
		Why                                                       []reason
	}
	list struct {
		Instance        string
		Version, Oldest int64
		More            bool
		Calls           []call
	}
)

func calls(t testing.TB, in http.Handler) []call { return get[list](t, in, "calls").Calls }

// fetch makes a call and reads its body.
func fetch(t testing.TB, client *ply.Client, url string, opts ...ply.RequestOption) string {
	t.Helper()
	text, err := ply.Text(ply.AnyStatus(client.Get(t.Context(), url, opts...)))
	require.NoError(t, err)
	return text
}

func discard(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

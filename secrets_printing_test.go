package ply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// ways returns a value printed in all ways that programs and loggers use.
func ways(v any) map[string]string {
	encoded, _ := json.Marshal(map[string]any{"v": v})
	var text, asJSON bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
	slog.New(slog.NewJSONHandler(&asJSON, nil)).Info("x", "v", v)
	said := map[string]string{"JSON": string(encoded), "slog text": text.String(), "slog JSON": asJSON.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		said[verb] = fmt.Sprintf(verb, v)
	}
	return said
}

func checkHidden(t *testing.T, what string, v any) {
	t.Helper()
	for way, said := range ways(v) {
		if strings.Contains(said, "hush") || strings.Contains(said, fmt.Sprintf("%x", "hush")) {
			t.Errorf("%s as %s: %s", what, way, said)
		}
	}
}

func TestPrintedStatusErrorShowsNoSecret(t *testing.T) {
	c := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Reply{Status: 500, Header: http.Header{"Set-Cookie": {"s=hush"}, "X-Custom": {"hush"}, "Server": {"x"}}, Body: `{"token":"hush"}`})})
	_, err := ply.ErrorForStatus(c.Get(t.Context(), "http://u:hush@a.test/?token=hush"))
	var e *ply.StatusError
	require.ErrorAs(t, err, &e)
	require.Equal(t, "s=hush", e.Header.Get("Set-Cookie"), "the fields are there for those who ask")
	for what, v := range map[string]any{"the error": err, "its value": *e, "wrapped": fmt.Errorf("x: %w", err), "in a struct": struct{ Err error }{err}, "a list": []error{err}} {
		checkHidden(t, what, v)
	}
	encoded, err := json.Marshal(e)
	require.NoError(t, err)
	for _, part := range []string{`"URL":"http://REDACTED:REDACTED@a.test/?token=REDACTED"`, `"StatusCode":500`, `"Set-Cookie":["REDACTED"]`, `"X-Custom":["REDACTED"]`, `"Server":["x"]`} {
		require.Contains(t, string(encoded), part)
	}
}

func TestPrintedClientAndContextShowNoSecret(t *testing.T) {
	c := newClient(t, ply.Options{
		BaseURL: "https://a.test", Header: http.Header{"Authorization": {"Bearer hush"}},
		Defaults: []ply.RequestOption{ply.Cookies(&http.Cookie{Name: "s", Value: "hush"}), ply.Query("key", "hush"), ply.ProxyURL("http://u:hush@p.test")},
	})
	req, err := c.NewRequest(t.Context(), http.MethodGet, "/", ply.Bearer("hush"), ply.ProxyURL("http://u:hush@p.test"))
	require.NoError(t, err)
	for what, v := range map[string]any{"the client": c, "in a struct": struct{ Client *ply.Client }{c}, "its http.Client": c.HTTPClient(), "a context": req.Context()} {
		checkHidden(t, what, v)
	}
}

// fieldError is an error whose fields say more than its text.
type fieldError struct{ Token string }

func (fieldError) Error() string { return "refused" }

func TestPrintedRecordShowsNoSecret(t *testing.T) {
	for _, failing := range []error{
		textproto.ProtocolError(`malformed MIME header: missing colon: "Set-Cookie sid=hush"`),
		fieldError{"hush"},
		errors.New("joe:hush@db.test said Bearer hush4242"),
	} {
		ctx := ply.WithCallInfo(t.Context())
		c := newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Fail(failing)), Redactor: &redact.Redactor{Path: func(p string) string { return p }}})
		_, err := c.Get(ctx, "http://u:hush@a.test/?token=hush")
		require.ErrorIs(t, err, failing)
		i, ok := ply.CallInfoFromContext(ctx)
		require.True(t, ok)
		encoded, err := json.Marshal(i)
		require.NoError(t, err)
		require.Contains(t, string(encoded), `"Err":"`)
		if _, fields := failing.(fieldError); fields {
			require.NotContains(t, string(encoded), "hush")
			continue
		}
		checkHidden(t, "the record", i)
		checkHidden(t, "a hop", i.Hops[0])
		checkHidden(t, "an exchange", i.Hops[0].Exchanges[0])
	}
}

// net/http's errors quote malformed responses and trailers. No error of ply does.
func TestErrorsQuoteNothingThatAServerSent(t *testing.T) {
	for name, answer := range map[string]string{
		"no colon":            "HTTP/1.1 200 OK\r\nSet-Cookie sid=hush\r\n\r\n",
		"a line that goes on": "HTTP/1.1 200 OK\r\n hush\r\n\r\n",
		"a status":            "HTTP/1.1 hush OK\r\n\r\n",
		"a status line":       "hush\r\n\r\n",
		"a version":           "HTTP/hush 200 OK\r\n\r\n",
		"a length":            "HTTP/1.1 200 OK\r\nContent-Length: hush\r\n\r\n",
		"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: hush\r\n\r\n",
		"a coding":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: hush\r\n\r\n",
		"a Location":          "HTTP/1.1 302 Found\r\nLocation: http://a.test:hush/\r\nContent-Length: 0\r\n\r\n",
		"a trailer":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n0\r\nSet-Cookie sid=hush\r\n\r\n",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, answer)
				conn.Close()
			}
		}()
		c := newClient(t, ply.Options{})
		ctx := ply.WithCallInfo(t.Context())
		_, err = ply.Bytes(c.Get(ctx, "http://"+l.Addr().String()))
		require.Error(t, err, name)
		checkHidden(t, name, err)
		i, _ := ply.CallInfoFromContext(ctx)
		checkHidden(t, name+", the record", i)
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+l.Addr().String(), nil)
		if _, err := c.RoundTrip(req); err != nil {
			checkHidden(t, name+", a single exchange", err)
		}
	}
}

// Errors of call layers are returned unchanged, except that their text shows no secret.
func TestErrorsOfCallLayersAreRedacted(t *testing.T) {
	for text, want := range map[string]string{"no": "no", "Bearer hush4242 refused": "Bearer REDACTED refused"} {
		failing := errors.New(text)
		c := newClient(t, ply.Options{UseCall: []ply.Middleware{func(ply.Handler) ply.Handler {
			return ply.HandlerFunc(func(*http.Request) (*http.Response, error) { return nil, failing })
		}}})
		_, err := c.Get(t.Context(), "http://a.test/")
		require.ErrorIs(t, err, failing)
		require.Equal(t, want, err.Error())
	}
}

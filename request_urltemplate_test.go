package ply_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestPathValueNamesTheTemplate(t *testing.T) {
	var got []string
	client := newClient(t, ply.Options{BaseURL: "http://a.test/v1", Transport: ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
		got = append(got, ply.URLTemplate(r.Context()))
		return reply(r, http.StatusOK, nil, ""), nil
	})})
	id := ply.PathValue("id", "7")
	require.NoError(t, ply.Discard(client.Get(t.Context(), "/users/{id}?a=b", id)))
	require.NoError(t, ply.Discard(client.Get(t.Context(), "http://a.test/v1/users/{id}", id)))
	require.NoError(t, ply.Discard(client.Get(ply.WithURLTemplate(t.Context(), "/v1/users/{user}"), "/users/{id}", id)))
	require.NoError(t, ply.Discard(client.Get(t.Context(), "/users/7")))
	if fmt.Sprint(got) != "[/users/{id} /v1/users/{id} /v1/users/{user} ]" {
		t.Errorf("got %q", got)
	}
}

func ExampleWithURLTemplate() {
	logger := slog.New(slog.NewTextHandler(stdout{}, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == "url.full" || a.Key == "url.template" {
			return a
		}
		return slog.Attr{}
	}}))
	hc := ply.Wrap(&http.Client{Transport: plytest.NewOrigin(plytest.Text("Ann"))}, logging.New(logging.Options{Logger: logger}))

	ctx := ply.WithURLTemplate(context.Background(), "/users/{id}")
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com/users/7", nil)
	resp, err := hc.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	// Output:
	// url.full=https://example.com/users/7 url.template=/users/{id}
}

// stdout is os.Stdout when it is written to: an example replaces it.
type stdout struct{}

func (stdout) Write(p []byte) (int, error) { return fmt.Print(string(p)) }

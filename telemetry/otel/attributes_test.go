package plyotel_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

// What a server says of a cache does not count: only a cache of ply's below may.
func TestForgedCacheStatusIsIgnored(t *testing.T) {
	s := newRecorded()
	require.NoError(t, get(t, s.telemetry(t).Call(plytest.NewOrigin(plytest.Text("x", "Cache-Status", `ply; hit; detail="hush"`))), "http://a.test/"))
	if got := s.ended()[0]; strings.Contains(got, "ply.cache") {
		t.Errorf("got %s", got)
	}
}

func TestRedactorOfTheContextApplies(t *testing.T) {
	s := newRecorded()
	h := s.telemetry(t).Attempt(plytest.NewOrigin(plytest.Fail(errors.New("no way to http://a.test/joe?page=2"))))
	req := request(t, redact.With(t.Context(), &redact.Redactor{Path: func(string) string { return "/someone" }, ShowParams: []string{"page"}}), "http://a.test/joe?page=2")
	h.RoundTrip(req)
	if got := s.ended()[0]; strings.Count(got, "http://a.test/someone?page=2") != 2 || strings.Contains(got, "joe") {
		t.Errorf("got %s", got)
	}
}

func TestSpanNamesThePeer(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer origin.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := newRecorded()
	h := s.telemetry(t).Attempt(transport)
	for range 2 {
		require.NoError(t, get(t, h, origin.URL))
	}
	_, port, _ := strings.Cut(origin.Listener.Addr().String(), ":")
	for i, reused := range []string{"false", "true"} {
		if got, want := attributes(s.spans.Ended()[i].Attributes()), "network.peer.address=127.0.0.1 network.peer.port="+port; !strings.Contains(got, want) || !strings.Contains(got, "ply.connection.reused="+reused) {
			t.Errorf("got %s", got)
		}
	}
}

// An exporter drops a whole batch for one attribute that is no UTF-8, and has limits of size.
func TestAttributesAreShortAndUTF8(t *testing.T) {
	s := newRecorded()
	telemetry := s.telemetry(t)
	long := strings.Repeat("\xff", 1<<20)
	for name, reply := range map[string]plytest.Reply{"answer": plytest.Text("x"), "error": plytest.Fail(errors.New(long))} {
		req := request(t, ply.WithURLTemplate(t.Context(), "/"+long), "http://a.test/")
		req.Method, req.URL.Host, req.URL.RawQuery = "M"+long, long+".test:80", long+"=1&\xff"
		req.Header = http.Header{}
		resp, err := telemetry.Call(telemetry.Attempt(plytest.NewOrigin(reply))).RoundTrip(req)
		if err == nil {
			testutil.ReadAll(resp.Body)
		}
		require.Len(t, s.spans.Ended(), 2, name)
		for _, span := range s.spans.Ended() {
			texts := []string{span.Name(), span.Status().Description}
			for _, a := range span.Attributes() {
				if a.Value.Type() == attribute.STRING {
					texts = append(texts, a.Value.AsString())
				}
			}
			for _, text := range texts {
				if len(text) > 10<<10 || !utf8.ValidString(text) {
					t.Errorf("%s: %d bytes, %.20q", name, len(text), text)
				}
			}
		}
		s.spans.Reset()
	}
	for _, series := range s.measured(t) {
		if len(series) > 4<<10 || !utf8.ValidString(series) {
			t.Errorf("a series of %d bytes: %.100q", len(series), series)
		}
	}
}

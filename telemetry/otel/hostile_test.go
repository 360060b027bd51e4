package plyotel_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

// An exporter drops a whole batch for one attribute that is no UTF-8, and has limits of size.
func TestAttributesAreShortAndUTF8(t *testing.T) {
	s := newSeen()
	telemetry := s.telemetry(t)
	long := strings.Repeat("\xff", 1<<20)
	for name, reply := range map[string]plytest.Reply{"answer": plytest.Text("x"), "error": plytest.Fail(errors.New(long))} {
		req := request(t, ply.WithURLTemplate(t.Context(), "/"+long), "http://a.test/")
		req.Method, req.URL.Host, req.URL.RawQuery = "M"+long, long+".test:80", long+"=1&\xff"
		req.Header = http.Header{}
		resp, err := telemetry.Call(telemetry.Attempt(plytest.NewOrigin(reply))).RoundTrip(req)
		if err == nil {
			readAll(resp.Body)
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

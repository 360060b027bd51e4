package logging_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

// However large what a server or a caller sends is, a record stays small; and it stays one line.
func TestRecordOfHugeInputIsBounded(t *testing.T) {
	const huge = 1 << 20
	many := http.Header{"Content-Type": {"text/plain"}, "Etag": {strings.Repeat("é", huge)}}
	for i := range 5000 {
		many.Add(fmt.Sprintf("X-Field-%d", i), "x")
		many.Add("Vary", "a\nb")
	}
	for name, reply := range map[string]plytest.Reply{
		"header": {Status: 200, Header: many, Body: "hello"},
		"error":  plytest.Fail(fmt.Errorf("%s\nend", strings.Repeat("x", huge))),
		"reason": plytest.Text("", "Cache-Status", `ply; fwd=miss; detail="`+strings.Repeat("x", huge)+`"`),
	} {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger(), Headers: true, BodyBytes: 100})(plytest.NewOrigin(reply))
		req := newRequest(t, t.Context(), "GET", "")
		req.Method = strings.Repeat("M", huge)
		req.URL.RawQuery = strings.Repeat("a", huge) + "\n=1"
		req.Header.Set("User-Agent", strings.Repeat("x", huge)+"\n")
		if resp, err := h.RoundTrip(req); err == nil {
			testutil.ReadAll(resp.Body)
		}
		if n := j.Len(); n > 64<<10 || n == 0 || strings.Count(j.String(), "\n") != 1 || !utf8.ValidString(j.String()) {
			t.Errorf("%s: %d bytes in %d lines", name, n, strings.Count(j.String(), "\n"))
		}
	}
}

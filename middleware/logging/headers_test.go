package logging_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

func TestHeadersShowOnlyWhatIsAllowed(t *testing.T) {
	var j journal
	o := logging.Options{Logger: j.logger(), Headers: true, Redactor: &redact.Redactor{
		ShowHeaders: []string{"x-mine", "X-Api-Key"}, HideHeaders: []string{"server"},
	}}
	h := logging.New(o)(plytest.NewOrigin(plytest.Status(302,
		"Location", "https://u:p@example.org/next?token=hush", "Set-Cookie", "a=hush", "Server", "hush", "Date", "now", "X-Other", "hush")))
	req := newRequest(t, t.Context(), "GET", "")
	req.Body = nil
	req.Header = http.Header{"Authorization": {"hush"}, "Accept": {"a", "b"}, "X-Mine": {"seen"}, "X-Api-Key": {"hush"}}
	resp, err := h.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Header.Set("Date", "changed by the caller")
	testutil.ReadAll(resp.Body)
	_, got, _ := strings.Cut(strings.TrimSpace(j.String()), "body.size=0 ")
	want := `http.request.header.accept="[a b]" http.request.header.authorization=[REDACTED] http.request.header.x-api-key=[REDACTED] http.request.header.x-mine=[seen] ` +
		`http.response.header.content-length=[0] http.response.header.date=[now] http.response.header.location="[https://REDACTED:REDACTED@example.org/next?token=REDACTED]" ` +
		`http.response.header.server=[REDACTED] http.response.header.set-cookie=[REDACTED] http.response.header.x-other=[REDACTED]`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

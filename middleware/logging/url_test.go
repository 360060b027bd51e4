package logging_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
)

func TestQueryIsShownAsTheRedactorSays(t *testing.T) {
	const target = "https://example.com/o?page=2&X-Amz-Signature=hush&access_token=hush"
	for _, tt := range []struct {
		name string
		r    *redact.Redactor
		want string
	}{
		{"default", nil, "page=REDACTED&X-Amz-Signature=REDACTED&access_token=REDACTED"},
		{"some shown", &redact.Redactor{ShowParams: []string{"page", "access_token"}}, "page=2&X-Amz-Signature=REDACTED&access_token=REDACTED"},
		{"signed URLs", &redact.Redactor{HideParams: redact.SignedURLs}, "page=2&X-Amz-Signature=REDACTED&access_token=REDACTED"},
	} {
		u, _ := url.Parse(target)
		if got := tt.r.URL(u); got != "https://example.com/o?"+tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
	spelled := &redact.Redactor{HideParams: []string{"sig"}}
	if got := spelled.Query("%73ig=hush&%74oken=hush&a=b"); got != "%73ig=REDACTED&%74oken=REDACTED&a=b" {
		t.Error(got)
	}
	if got := spelled.HeaderValue("location", "//u:hush@example.org/"); got != "//REDACTED:REDACTED@example.org/" {
		t.Error(got)
	}
	r := &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "42", "{id}") }}
	if got := r.URLText("https://example.com/users/42"); got != "https://example.com/users/{id}" {
		t.Error(got)
	}
}

func TestURLTemplateIsRedacted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		log := logging.New(logging.Options{Logger: j.logger(), Redactor: &redact.Redactor{Path: func(p string) string { return strings.ReplaceAll(p, "123:hush", "REDACTED") }}})
		req := newRequest(t, reqctx.WithURLTemplate(t.Context(), "/bot123:hush/{method};sid=hush"), "GET", "")
		resp, err := log(plytest.NewOrigin(plytest.Status(204))).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		testutil.ReadAll(resp.Body)
		if said := j.String(); strings.Contains(said, "hush") || !strings.Contains(said, "/botREDACTED/{method};sid=REDACTED") {
			t.Error(said)
		}
	})
}

func TestRedactorOfTheContextApplies(t *testing.T) {
	var j journal
	hide := &redact.Redactor{Path: func(string) string { return "/…" }}
	show := &redact.Redactor{ShowParams: []string{"page"}}
	req, _ := http.NewRequestWithContext(redact.With(t.Context(), hide), http.MethodGet, "http://example.com/joe?page=2", nil)
	for name, tt := range map[string]struct {
		own  *redact.Redactor
		want string
	}{
		"the context's":   {nil, "http://example.com/…?page=REDACTED"},
		"the layer's own": {show, "http://example.com/joe?page=2"},
	} {
		j.Reset()
		h := logging.New(logging.Options{Logger: j.logger(), Redactor: tt.own})(plytest.NewOrigin(plytest.Fail(errors.New("no way to http://example.com/joe?page=2"))))
		h.RoundTrip(req)
		if strings.Count(j.String(), tt.want) != 2 || strings.Count(j.String(), "http://") != 2 {
			t.Errorf("%s: %s", name, &j)
		}
		if got := logging.CurlWith(tt.own, req); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestWhatTheGuideShows(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"http.request.resend_count=1 attempt=2",
		"cache.status=hit",
		"error.type=eof",
		"error.type=connection_refused",
		"key=REDACTED",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is in\n%s", &out)
	}
}

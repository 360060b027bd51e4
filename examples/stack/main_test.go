package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

// parts are the layers, the records of the calls of the tour, and the log.
func parts(t *testing.T) (layers string, records []string, log string) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), &out, nil); err != nil {
		t.Fatal(err)
	}
	calls, log, _ := strings.Cut(out.String(), "\nthe log:\n")
	all := strings.Split(calls, "\n\n")
	if len(all) != 1+len(tour) {
		t.Fatalf("%d parts of\n%s", len(all), &out)
	}
	return all[0], all[1:], log
}

func TestEachLayerIsSeenAtWork(t *testing.T) {
	layers, records, log := parts(t)
	if want := "redirects and cookies → logging → auth → decode → cache → retry → hedge → breaker → limit → *http.Transport"; !strings.HasSuffix(layers, want) {
		t.Errorf("%s, want %s", layers, want)
	}
	for i, wants := range [][]string{
		{"200 OK", "auth: renewed", "cache: miss", "1 requests"},
		{
			"200 OK", "auth: added", "decode: gzip", "cache: miss", "retry: 2 attempts, 3 requests",
			"limit waited", "attempt 1: 503", "  wait ", "attempt 2: failed", "hedge sent a copy", "attempt 2, copy 1: 200", "hedge won", "10500 bytes and the error <nil>; 3 requests",
		},
		{"200 OK", "auth: added", "decode: gzip", "cache: hit", "10500 bytes and the error <nil>; 0 requests"},
		{"failed in", "retry: 3 attempts, stopped: attempts", "3 requests"},
		{"200 OK", "cache: stale", "breaker refused for", "13 bytes and the error <nil>; 0 requests"},
	} {
		for _, want := range wants {
			if !strings.Contains(records[i], want) {
				t.Errorf("no %q in the record of %s:\n%s", want, tour[i], records[i])
			}
		}
	}
	for _, want := range []string{"notes=", "hedge sent a copy", "decode.codings=gzip", "auth.status=renewed", "cache.status=hit", "error.type=eof"} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log+strings.Join(records, ""), "secret-token") {
		t.Error("the token is shown")
	}
}

// What docs/resilience.md shows of a record is what the program prints, but for numbers and bars.
func TestGuideShowsTheRecord(t *testing.T) {
	page, err := os.ReadFile("../../docs/resilience.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```\n(GET http.*?)```").FindSubmatch(page)
	if shown == nil {
		t.Fatal("the guide shows no record")
	}
	_, records, _ := parts(t)
	printed, _, _ := strings.Cut(records[1], "\nthe caller has")
	if got, want := withoutNumbers(printed), withoutNumbers(string(shown[1])); got != want {
		t.Errorf("the program prints\n%s\nand the guide shows\n%s", got, want)
	}
}

var (
	numbers = regexp.MustCompile(`:\d+/|:\d+ | +\d+\.\d\dms| +[█▒░]+|\d+ bytes encoded`)
	phases  = regexp.MustCompile(`(?m)^    (reused connection|connect|connection|send|wait for first byte).*\n`)
)

func withoutNumbers(s string) string {
	return strings.TrimSpace(numbers.ReplaceAllString(phases.ReplaceAllString(s, ""), " …"))
}

func TestOwnURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a server that is not the program's own got its token")
		}
		w.Header().Set("Cache-Control", "max-age=60")
	}))
	defer server.Close()
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{server.URL, server.URL}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Count(text, "the caller has 0 bytes") != 2 || !strings.Contains(text, "cache: hit") {
		t.Error(text)
	}
}

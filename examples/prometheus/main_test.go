package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func output(t *testing.T, all bool) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), &out, all, nil); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheMetricsOfAClient(t *testing.T) {
	out := output(t, true)
	for _, series := range []string{
		`http_client_active_requests{http_request_method="GET"`,
		`http_client_request_duration_seconds_count{error_type="503"`,
		`http_client_request_duration_seconds_bucket{`,
		`http_client_request_body_size_bytes_sum{http_request_method="POST"`,
		`http_client_response_body_size_bytes_sum{`,
		`url_template="/users/{id}"`,
		`ply_client_call_duration_seconds_count{http_request_method="GET",http_response_status_code="200",ply_cache_status="hit"`,
		`ply_cache_requests_total{ply_cache_name="main",ply_cache_status="hit"} 2`,
		`ply_cache_requests_total{ply_cache_name="main",ply_cache_status="miss"} 2`,
		`ply_cache_requests_total{ply_cache_name="main",ply_cache_status="stale"} 0`,
		`ply_cache_size_bytes{ply_cache_name="main"} `,
		`ply_cache_evictions_total{ply_cache_name="main"} 0`,
		`ply_cache_entries{ply_cache_name="main"} 2`,
		`ply_cache_store_errors_total{ply_cache_name="main"} 0`,
		`ply_retry_retries_total{http_request_method="GET"`,
		`ply_retry_stops_total{http_request_method="GET",ply_retry_stop="done"`,
		`ply_retry_budget_granted_total{ply_retry_budget_name="main"} 1`,
		`ply_retry_budget_refused_total{ply_retry_budget_name="main"} 0`,
	} {
		if !strings.Contains(out, series) {
			t.Errorf("no %s", series)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, "/users/1") {
		t.Error("a URL or a secret is in the metrics")
	}
	if t.Failed() {
		t.Log(out)
	}
}

// What docs/observability.md shows is what the program prints, but for numbers that are others each time,
// and its table has every name.
func TestTheGuideShowsTheEndpoint(t *testing.T) {
	page, err := os.ReadFile("../../docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```\n(http_client_.*?)```").FindSubmatch(page)
	if shown == nil {
		t.Fatal("the guide shows no metrics")
	}
	printed := strings.Split(stripped(output(t, false)), "\n")
	lines := strings.Split(strings.TrimSpace(stripped(string(shown[1]))), "\n")
	if len(lines) < 10 {
		t.Errorf("the guide shows only %d lines", len(lines))
	}
	for _, line := range lines {
		if !slices.Contains(printed, line) {
			t.Errorf("the program does not print %s", line)
		}
	}
	for _, line := range printed {
		name, help := strings.CutPrefix(line, "# TYPE ")
		if name, _, _ = strings.Cut(name, " "); help && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("the guide does not name %s", name)
		}
	}
}

var (
	port    = regexp.MustCompile(`server_port="\d+"`)
	seconds = regexp.MustCompile(`(?m)(_seconds_sum\{.*\}|_size_bytes\{.*\}) \S+$`)
)

func stripped(s string) string {
	return seconds.ReplaceAllString(port.ReplaceAllString(s, `server_port="…"`), "$1 …")
}

func TestOwnURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var out bytes.Buffer
	if err := run(t.Context(), &out, false, []string{server.URL}); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "http_client_request_duration_seconds_count") || strings.Contains(text, "users") {
		t.Error(text)
	}
}

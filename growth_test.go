package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/retryafter"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/internal/urlpattern"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store/storetest"
)

// TestWorkGrowsLinearly checks every reader of what an origin sends: four times the input must be at most eight times the work.
// The work is counted and not timed: it is how often each statement runs, as the compiler's own coverage counts it, and the bytes
// that are allocated. Each measurement is a process of its own, so that nothing else is counted.
func TestWorkGrowsLinearly(t *testing.T) {
	if probe := os.Getenv(growthProbe); probe != "" {
		name, n, _ := strings.Cut(probe, ":")
		size, err := strconv.Atoi(n)
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		growing()[name](size)
		runtime.ReadMemStats(&after)
		fmt.Printf("allocated %d\n", after.TotalAlloc-before.TotalAlloc)
		return
	}
	if testing.Short() {
		t.Skip("it builds a test binary that counts")
	}
	if _, err := exec.LookPath("go"); err != nil {
		testutil.SkipUnlessCI(t, err)
	}
	bin := filepath.Join(t.TempDir(), "counting.test")
	build := exec.Command("go", "test", "-c", "-covermode=count", "-coverpkg=./...,strings,slices,net/url,mime", "-o", bin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	busy := make(chan struct{}, max(runtime.GOMAXPROCS(0), 1))
	for name := range growing() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			busy <- struct{}{}
			defer func() { <-busy }()
			n := 500
			if slices.Contains(fieldsOfResponses(), name) {
				n = 125 // each value is read many times: less input shows the same growth
			}
			one, four := workOf(t, bin, name, n), workOf(t, bin, name, 4*n)
			for statement, count := range four {
				if count > 8*max(one[statement], 400*n) {
					t.Errorf("%s: %d with %d pieces, %d with %d", statement, one[statement], n, count, 4*n)
				}
			}
		})
	}
}

const growthProbe = "PLY_TEST_GROWTH"

// work is how often each statement ran, and how many bytes were allocated.
type work map[string]int

func workOf(t *testing.T, bin, name string, n int) work {
	profile := filepath.Join(t.TempDir(), "profile")
	cmd := exec.Command(bin, "-test.run=^TestWorkGrowsLinearly$", "-test.coverprofile="+profile)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", growthProbe, name, n))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	w := work{}
	_, allocated, _ := strings.Cut(string(out), "allocated ")
	var bytes int
	_, err = fmt.Sscan(allocated, &bytes)
	require.NoError(t, err, "%s", out)
	w["bytes allocated / 16"] = bytes / 16
	counted, err := os.ReadFile(profile)
	require.NoError(t, err)
	for line := range strings.Lines(string(counted)) { // file:from,to statements count
		if strings.HasSuffix(line, " 0\n") {
			continue // nearly all
		}
		if columns := strings.Fields(line); len(columns) == 3 {
			w[columns[0]], err = strconv.Atoi(columns[2])
			require.NoError(t, err)
		}
	}
	return w
}

// growing returns the readers, by name. Each reads inputs of about n pieces.
func growing() map[string]func(n int) {
	all := map[string]func(n int){
		"redact.Text": func(n int) { each(n, func(s string) { redact.Text("see " + s + " and http://x.test/?" + s) }) },
		"redact.URLText": func(n int) {
			each(n, func(s string) { redact.URLText("http://x.test/" + s); redact.URLText("/?" + s) })
		},
		"redact.Query": func(n int) { each(n, func(s string) { redact.Query(s) }) },
		"redact.Error": func(n int) {
			each(n, func(s string) { redact.ErrorText(&url.Error{Op: "Get", URL: s, Err: errors.New(s)}) })
		},
		"logging.MaskSecrets": func(n int) { each(n, maskAll) },
		"ply.Text": func(n int) {
			each(n, func(s string) { _, _ = ply.Text(growthReply("Content-Type", "text/plain; "+s), nil) })
		},
		"ply.Events": func(n int) {
			each(n, streamed)
			for _, lines := range []string{"data\n", "id: 1\ndata: x\n\n", "event: x\n", "retry: 1\n", "\r", "\xf0\x9f\n", "data:\xff"} {
				streamed(strings.Repeat(lines, n))
			}
		},
		"ply.Links":      func(n int) { each(n, func(s string) { ply.Links(growthReply("Link", s)) }) },
		"cachestatus.Of": func(n int) { each(n, func(s string) { cachestatus.Of(http.Header{"Cache-Status": {s, "ply; " + s}}) }) },
		"cache.StatusOf": func(n int) { each(n, func(s string) { cache.StatusOf(growthReply("Cache-Status", "ply; "+s)) }) },
		"retryafter.Delay": func(n int) {
			each(n, func(s string) { retryafter.Delay(http.Header{"Retry-After": {s}}, time.Time{}) })
		},
		"urlpattern.Match":   matchAll,
		"a stored No-Vary":   searched,
		"keying":             func(n int) { each(n, keyAll) },
		"keys of content":    keyContent,
		"groups in a store":  manyVariants,
		"fields of any name": manyFields,
	}
	for _, name := range []string{"Accept", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "If-None-Match", "If-Range", "Pragma", "Range"} {
		all["request "+name] = func(n int) { each(n, func(s string) { asked(name, s) }) }
	}
	for _, name := range fieldsOfResponses() {
		all[name] = func(n int) { overFields(name, patterns(n)) }
	}
	return all
}

// fieldsOfResponses are the fields that get each value, one after the other; those that are read apart from each other get it at once.
func fieldsOfResponses() []string {
	return strings.Fields(`
		Accept-Ranges+Link+Retry-After+Warning+Www-Authenticate Age Cache-Control Cache-Group-Invalidation Cache-Groups Cache-Status Cdn-Cache-Control
		Connection Content-Encoding Content-Location+Location Content-Range Content-Type Date Etag Expires+Last-Modified No-Vary-Search Pragma Set-Cookie Vary`)
}

func members(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return strings.TrimRight(b.String(), ", ")
}

// patterns returns field values of about n pieces that readers might search repeatedly.
func patterns(n int) []string {
	all := []string{
		members(n, "a%d, "), members(n, "a%d=1, "), members(n, `"a%d", `), `"a"` + members(n, ";x%d"), "a" + members(n, "; x%d=1"), "(" + members(n, `"a%d" `) + ")", "a=(" + members(n, `"a%d" `) + ")",
		`private="` + members(n, "a%d, ") + `"`, `max-age=60, no-cache="` + members(n, "a%d, ") + `"`, `params=(` + members(n, `"a%d" `) + `)`, `W/"` + members(n, "a%d") + `"`,
		members(n, "<a%d>; rel=b%[1]d, "), members(n, "<http://x.test/a%d>; rel=\"b%[1]d c%[1]d\", "), members(n, "b; a%d=\"\\\"\", "),
		"bytes " + strings.Repeat("1", n), "bytes=" + members(n, "%d-%[1]d, "), members(n, "http://user:pw@x.test/?a%d=b "), members(n, "b%d?"),
		strings.Repeat("a/", n) + strings.Repeat("../", n), strings.Repeat("/.", n), strings.Repeat("%2e%2e/", n), "http://" + strings.Repeat("a.", n) + "test/",
		"charset*0=u; " + members(n, "charset*%d=u; "), members(n, `{"a%d":"{\"token\":\"x\"}",`), strings.Repeat(`{"a":`, n), strings.Repeat(`["`, n),
	}
	for _, piece := range []string{`"\`, `\"`, `"`, ",", ";", "(", "=", " ", "\t ", "<", "[", "{", "a;", "a,a", "*", "?", "://", "a=b&", "%", "%25", "'", `\\`, "no-store; ", "Basic a=", "-", "1", ":", "@", "#", "//"} {
		all = append(all, strings.Repeat(piece, n))
	}
	return append(all, strings.Repeat("a\n", n), strings.Repeat("ply\n", n))
}

func each(n int, read func(s string)) {
	for _, s := range patterns(n) {
		read(s)
	}
}

func growthReply(name, value string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{name: {value}}, Body: http.NoBody, Request: &http.Request{URL: &url.URL{Scheme: "http", Host: "x.test", Path: "/a/b"}}}
}

func streamed(s string) {
	for _, content := range []string{s, "data: " + s + "\n\n", "id: " + s + "\n" + strings.Repeat("data: x\n\n", 10)} {
		resp := growthReply("Content-Type", "text/event-stream")
		resp.Body = io.NopCloser(iotest.OneByteReader(strings.NewReader(content)))
		for range ply.Events(resp, nil) {
		}
	}
}

func maskAll(s string) {
	for _, media := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain"} {
		logging.MaskSecrets(media, []byte(s))
	}
}

func keyAll(s string) {
	k := keying.New(keying.Method(), keying.URL(keying.URLOptions{Ignore: []string{"a1", "utm_*"}, Sort: true, Paths: []string{"/a/{b}/**"}}), keying.Body(keying.BodyOptions{Ignore: []string{"a1"}}))
	for _, media := range []string{"application/json", "application/x-www-form-urlencoded", "application/graphql", "text/plain"} {
		req := growthRequest(media, "/"+s, s)
		req.URL.RawQuery = s
		_, _ = k.AppendKey(nil, req)
	}
}

// growthRequest returns a request with content.
func growthRequest(media, path, content string) *http.Request {
	body := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }
	r := &http.Request{Method: "QUERY", URL: &url.URL{Scheme: "http", Host: "x.test", Path: path}, Header: http.Header{"Content-Type": {media}}, GetBody: body}
	r.Body, _ = body()
	return r
}

// keyContent makes keys of JSON and GraphQL that take a naive reader long.
func keyContent(n int) {
	down := func(format string) string {
		var b strings.Builder
		for i := n; i > 0; i-- {
			fmt.Fprintf(&b, format, i)
		}
		return strings.TrimRight(b.String(), ", ")
	}
	contents := []string{
		"{" + down(`"a%09d":1, `) + "}", "{" + strings.Repeat(`"a":1,`, n) + `"b":2}`, "[" + strings.Repeat("[", n) + strings.Repeat("]", n) + "]", "[" + down(`{"b":{},"a":{"z":[%d],"y":{}}}, `) + "]",
		strings.Repeat(`{"b":0,"a":`, 100) + `"` + strings.Repeat("x", n) + `"` + strings.Repeat("}", 100), strings.Repeat(`[{"b":0,"a":[`, 50) + down("%d, ") + strings.Repeat("]}]", 50),
		`"` + strings.Repeat(`\u00e9\"`, n) + `"`, `"` + strings.Repeat(`\ud83d`, n) + `"`, strings.Repeat("1", n), "-0." + strings.Repeat("0", n) + "e+" + strings.Repeat("1", n), strings.Repeat(" ", n) + "1",
		`{"` + strings.Repeat("n", n) + `b":1,"` + strings.Repeat("n", n) + `a":2}`, "{" + down(`"a%d":{"id":1,"a":1}, `) + "}",
	}
	for _, document := range []string{"#", "\"", `\"\"\"`, `\"\"\"\\`, "a ", "a...", "1", "1.", "é", "{", "}", "{a}", "\ufeff", ",", `\"\" `, "-", `\\`, "#\\n", "(a:1)", "query{a}"} {
		contents = append(contents, `{"query":"{a `+strings.Repeat(document, n)+`}"}`)
	}
	for _, o := range []keying.BodyOptions{{Format: keying.FormatRaw}, {Format: keying.FormatJSON, Ignore: []string{"**.id", "a.*.b"}}, {Format: keying.FormatGraphQL}} {
		k := keying.New(keying.Body(o))
		for _, content := range contents {
			_, _ = k.AppendKey(nil, growthRequest("application/json", "/", content))
			k.(interface{ Mutates(*http.Request) bool }).Mutates(growthRequest("application/json", "/", content))
		}
	}
}

func matchAll(n int) {
	for _, s := range []string{"*.x.test", "x.test/**", "x.test/a*b*c", "~a.*b"} {
		p, err := urlpattern.Compile(s)
		if err != nil {
			panic(err)
		}
		for _, u := range []string{strings.Repeat("a.", n) + "test", "x.test/" + strings.Repeat("a/", n), "x.test/a" + strings.Repeat("bc", n), "a.x.test/?" + strings.Repeat("a", n)} {
			req, err := http.NewRequest(http.MethodGet, "http://"+u, nil)
			if err != nil {
				panic(err)
			}
			p.Match(req)
		}
	}
}

// growthClient returns a client with all layers over an origin that always responds with one header.
func growthClient(o cache.Options, status int, h http.Header) (c *ply.Client, done func()) {
	store, err := cache.New(o)
	if err != nil {
		panic(err)
	}
	log := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Headers: true, BodyBytes: 100})
	origin := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		answered := h.Clone()
		code := status
		if req.Header.Get("If-None-Match") != "" {
			code = http.StatusNotModified
		}
		return &http.Response{StatusCode: code, Header: answered, Body: http.NoBody, Request: req, ProtoMajor: 1, ProtoMinor: 1}, nil
	})
	c, err = ply.New(ply.Options{Use: []ply.Middleware{log, store.Middleware, retry.New(retry.Options{MaxAttempts: 1})}, Transport: origin})
	if err != nil {
		panic(err)
	}
	return c, func() { store.Close() }
}

// overFields has clients with each kind of cache get answers in which the fields, joined by "+", have each of these values.
func overFields(fields string, values []string) {
	for _, value := range values {
		h := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}}
		for name := range strings.SplitSeq(fields, "+") {
			h[http.CanonicalHeaderKey(name)] = strings.Split(value, "\n")
		}
		for _, status := range []int{http.StatusPartialContent, http.StatusFound, http.StatusUnauthorized, http.StatusServiceUnavailable} {
			growthCalls(cache.Options{}, status, h, 1)
		}
		for _, o := range []cache.Options{{}, {Shared: true, TargetedFields: []string{"CDN-Cache-Control"}}, {Store: storetest.NewMap(1 << 30)}} {
			growthCalls(o, http.StatusOK, h, 2) // the second one finds what is stored
		}
	}
}

func growthCalls(o cache.Options, status int, h http.Header, times int) {
	const address = "http://x.test/a/b?q=1"
	c, done := growthClient(o, status, h)
	defer done()
	ctx := context.Background()
	for range times {
		_ = ply.Discard(c.Get(ctx, address))
	}
	_ = ply.Discard(c.Get(ctx, address, ply.NoRedirects(), ply.SetHeader("Cache-Control", "no-cache")))
	_ = ply.Discard(c.Head(ctx, address, ply.NoRedirects()))
	_ = ply.Discard(c.Post(ctx, address))
}

// asked sends requests with a field for a URL of which three variants are stored.
func asked(name, value string) {
	c, done := growthClient(cache.Options{}, http.StatusOK, http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}, "Content-Language": {"de"}, "Vary": {"Accept, Accept-Language, Cookie"}})
	defer done()
	for _, language := range []string{"de", "en", "fr"} {
		_ = ply.Discard(c.Get(context.Background(), "http://x.test/", ply.SetHeader("Accept-Language", language)))
	}
	for range 2 {
		_ = ply.Discard(c.Get(context.Background(), "http://x.test/", ply.SetHeader(name, value)))
	}
}

// manyFields has the origin send many fields, which Connection, Vary or Cache-Control name.
func manyFields(n int) {
	names := members(n, "X-A%d, ")
	for name, value := range map[string]string{"Connection": names, "Vary": names, "Cache-Control": `max-age=60, private="` + names + `", no-cache="` + names + `"`, "Trailer": names} {
		h := http.Header{"Cache-Control": {"max-age=60"}, "Etag": {`"1"`}}
		for i := range n {
			h.Set(fmt.Sprintf("X-A%d", i), "a")
		}
		h.Set(name, value)
		for _, o := range []cache.Options{{}, {Shared: true}, {Store: storetest.NewMap(1 << 30)}} {
			growthCalls(o, http.StatusOK, h, 2)
		}
	}
}

// searched requests a query with many parameters, all of which No-Vary-Search names.
func searched(n int) {
	c, done := growthClient(cache.Options{}, http.StatusOK, http.Header{"Cache-Control": {"max-age=60"}, "No-Vary-Search": {"params=(" + members(n, `"a%d" `) + ")"}})
	defer done()
	for range 3 {
		_ = ply.Discard(c.Get(context.Background(), "http://x.test/?"+members(n, "a%d=1&")))
	}
}

// manyVariants stores several variants of one URL that belong to many groups.
func manyVariants(n int) {
	c, done := growthClient(cache.Options{Store: storetest.NewMap(1 << 30)}, http.StatusOK, http.Header{
		"Cache-Control": {"max-age=60"}, "Vary": {"Accept-Language"}, "Cache-Groups": {members(n/40, `"g%d", `)},
	})
	defer done()
	for i := range 8 {
		_ = ply.Discard(c.Get(context.Background(), "http://x.test/", ply.SetHeader("Accept-Language", fmt.Sprint("l", i))))
	}
}

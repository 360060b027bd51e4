package cache_test

import (
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// origin answers from memory and remembers what it was asked.
type origin struct {
	answer func(*http.Request) *http.Response
	asked  []*http.Request
	err    error
	delay  time.Duration
}

func (o *origin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.asked = append(o.asked, r)
	if r.Body != nil {
		r.Body.Close()
	}
	time.Sleep(o.delay)
	if o.err != nil {
		return nil, o.err
	}
	resp := o.answer(r)
	if resp.Header.Get("Date") == "" {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	return resp, nil
}

// says makes an origin that always answers 200 with this body and these fields, "Name: value" each.
func says(body string, fields ...string) *origin {
	return &origin{answer: func(*http.Request) *http.Response { return reply(200, body, fields...) }}
}

// reply makes a response.
func reply(status int, body string, fields ...string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ":")
		resp.Header.Add(name, strings.TrimSpace(value))
	}
	if status == http.StatusNotModified {
		resp.Body, resp.ContentLength = http.NoBody, 0
	}
	return resp
}

// rig is a cache before an origin.
type rig struct {
	*testing.T
	*cache.Cache
	origin *origin
	rt     http.RoundTripper
}

func newRig(t *testing.T, o *origin, options cache.Options) *rig {
	t.Helper()
	options = backed(t, options)
	c, err := cache.New(options)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &rig{T: t, Cache: c, origin: o, rt: c.Middleware(o)}
}

// entries counts what is stored.
func (g *rig) entries() (n int) {
	for range g.Entries(g.Context()) {
		n++
	}
	return n
}

// got is what a caller sees of an answer.
type got struct {
	Status  int
	Body    string
	Outcome string
}

// get sends a GET with these fields and reads the answer to its end.
func (g *rig) get(url string, fields ...string) (got, *http.Response) {
	g.Helper()
	return g.do("GET", url, fields...)
}

func (g *rig) do(method, url string, fields ...string) (got, *http.Response) {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), method, url, nil)
	require.NoError(g, err)
	for _, line := range fields {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return g.send(r)
}

func (g *rig) send(r *http.Request) (got, *http.Response) {
	g.Helper()
	before := maps.Clone(r.Header)
	resp, err := g.rt.RoundTrip(r)
	require.NoError(g, err)
	if !maps.EqualFunc(before, r.Header, slices.Equal) {
		g.Errorf("the request was changed (-before +after)\n%s", cmp.Diff(before, r.Header))
	}
	if resp.Request != r {
		g.Error("resp.Request is not the caller's request")
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(g, err)
	require.NoError(g, resp.Body.Close())
	g.settle()
	s, ok := cache.StatusOf(resp)
	if !ok {
		g.Errorf("no Cache-Status of ours: %q", resp.Header["Cache-Status"])
	}
	return got{resp.StatusCode, string(body), s.Outcome()}, resp
}

// settle waits until what has been read is stored. In real time, on a machine with other things to do, the goroutine that reads a body may come to its end
// after Close has waited for it as long as Close does. In a bubble it never does, and other requests may be under way.
func (g *rig) settle() {
	if !inRealTime() {
		return
	}
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		if flights, _ := g.InFlight(); flights == 0 || time.Now().After(deadline) {
			return
		}
	}
}

// want compares an answer and the number of requests that the origin has seen so far.
func (g *rig) want(have got, status int, body, outcome string, asked int) {
	g.Helper()
	if diff := cmp.Diff(got{status, body, outcome}, have); diff != "" {
		g.Errorf("answer (-want +got)\n%s", diff)
	}
	if len(g.origin.asked) != asked {
		g.Errorf("the origin saw %d requests, want %d", len(g.origin.asked), asked)
	}
}

func readAll(resp *http.Response) {
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// sleepSecond lets a second of virtual time pass.
func sleepSecond() { time.Sleep(time.Second) }

func roundTrip(t *testing.T, rt http.RoundTripper, r *http.Request) *http.Response {
	t.Helper()
	resp, err := rt.RoundTrip(r)
	require.NoError(t, err)
	return resp
}

// inBubble runs a test with virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// echo answers with the values of these request fields, which it varies on.
func echo(fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		var body []string
		for _, name := range fields {
			body = append(body, r.Header.Get(name))
		}
		return reply(200, strings.Join(body, ","), "Cache-Control: max-age=60", "Vary: "+strings.Join(fields, ", "))
	}}
}

// versions answers with the current version and its tag, and 304 to a request that lists that tag.
func versions(version *string, fields ...string) *origin {
	return &origin{answer: func(r *http.Request) *http.Response {
		tag := `"` + *version + `"`
		lines := append([]string{"Etag: " + tag, "Cache-Control: max-age=10"}, fields...)
		for _, listed := range strings.Split(r.Header.Get("If-None-Match"), ", ") {
			if listed == tag {
				return reply(304, "", lines...)
			}
		}
		return reply(200, *version, lines...)
	}}
}

// inOrder answers with these responses one after the other, and then with the last one again and again.
func inOrder(responses ...*http.Response) *origin {
	next := 0
	return &origin{answer: func(*http.Request) *http.Response {
		resp := responses[min(next, len(responses)-1)]
		next++
		return resp
	}}
}

// closing counts how often a body is closed.
func closing(resp *http.Response, n *int) *http.Response {
	resp.Body = closes{resp.Body, n}
	return resp
}

// inFreshBubble is inBubble for a test that has several.
func inFreshBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Run("", func(t *testing.T) { inBubble(t, f) })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// after has nothing to read, and ends once the channel is closed.
type after struct{ c <-chan struct{} }

func (a after) Read([]byte) (int, error) {
	<-a.c
	return 0, io.EOF
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// atEnd runs when it is read, and ends.
type atEnd func()

func (f atEnd) Read([]byte) (int, error) { f(); return 0, io.EOF }

// contentless is a strategy that has seen to the content: it does not count.
type contentless struct{ keying.Strategy }

func (contentless) KeysContent() bool { return true }

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("broken body") }

type closer func()

func (c closer) Close() error { c(); return nil }

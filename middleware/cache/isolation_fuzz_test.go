package cache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/file"
	"github.com/plyhttp/ply/store/storetest"
)

// FuzzIsolation has several persons use one cache at the same time, each known to the origin by a credential of another kind, which some get below the cache only.
// A seed decides what they ask for, what the origin says, and how all of them behave. Each answer says in its header for whom and for what it was made, and its body
// repeats that with a checksum, so that whatever crosses from one to another shows: a body, a part of one, a field of a 304. It holds for each answer that
//   - it was made for the one who asked, or, in a shared cache, without credentials, or the origin has marked it as one for all (RFC 9111 §3.5);
//   - it is for the target, the method, the content and the language that were asked for, as far as the origin varies on them (RFC 9111 §2, §4.1);
//   - body and header belong together, and are whole if nothing says otherwise;
//   - what came from the store may be stored, and is fresh, or the origin allows that it is stale (RFC 9111 §3, §4.2);
//   - what a person does to a request, or to an answer, changes no other's.
func FuzzIsolation(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			p := &persons{T: t, rng: rand.New(rand.NewPCG(seed, 7)), versions: map[string]int{}}
			p.setUp()
			var wg sync.WaitGroup
			for range 2 + p.n(6) {
				wg.Go(func() {
					for range 1 + p.n(8) {
						p.ask()
					}
				})
			}
			wg.Wait()
			time.Sleep(time.Second) // what goes on in the background
		})
	})
}

// persons are those who use a cache, and the origin that they ask.
type persons struct {
	*testing.T
	shared, named, below bool // the cache is shared; WithPrincipal says who asks; some credentials are added below
	rt                   http.RoundTripper

	mu       sync.Mutex // guards the fields below
	rng      *rand.Rand
	versions map[string]int // of each path
}

func (p *persons) n(below int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rng.IntN(below)
}

func (p *persons) one(of ...string) string { return of[p.n(len(of))] }

func (p *persons) setUp() {
	o := cache.Options{Methods: []string{"GET", "HEAD", "QUERY"}, MaxEntryBytes: 16 << 10, NoCollapse: p.n(5) == 0}
	p.shared, p.named, p.below = p.n(2) == 0, p.n(4) == 0, p.n(3) == 0
	o.Shared = p.shared
	switch near := cache.NewMemory(cache.MemoryOptions{MaxEntries: 20}); p.n(12) {
	default:
		o.Store = near
	case 0, 1, 2:
		o.Store = storetest.NewMap(1 << 20)
	case 3, 4, 5:
		o.Store = cache.Tiered(near, storetest.NewMap(1<<20))
	case 6:
		files, err := file.Open(p.TempDir(), file.Options{MaxBytes: 1 << 20})
		require.NoError(p, err)
		p.Cleanup(func() { files.Close() })
		o.Store = cache.Tiered(near, files)
	}
	switch {
	case p.shared && p.n(2) == 0, !p.named && p.n(2) == 0:
		o.Key = keying.New(keying.URL(keying.URLOptions{}))
	case p.named && p.n(2) == 0:
		o.Key = keying.SingleUser()
	}
	if p.n(4) == 0 {
		o.StaleIfError, o.StaleWhileRevalidate = time.Minute, time.Minute
	}
	c, err := cache.New(o)
	require.NoError(p, err)
	p.Cleanup(func() { c.Close() })
	p.rt = c.Middleware(roundTripper(p.layer))
}

// addedBelow is the key of the context value that has the layer below the cache add a credential.
type addedBelow struct{}

// layer is below the cache, and adds credentials as layers of others do: to a copy of the request.
func (p *persons) layer(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	if who, ok := r.Context().Value(addedBelow{}).(string); ok {
		p.identify(sent, who, p.n(credentialKinds))
	}
	resp, err := p.origin(sent)
	if resp != nil {
		resp.Request = sent
	}
	return resp, err
}

const credentialKinds = 6

// identify adds a credential of some kind to a request.
func (p *persons) identify(r *http.Request, who string, kind int) {
	switch kind {
	case 0:
		r.Header.Set("Authorization", "Bearer "+who)
	case 1:
		r.Header.Set("Cookie", "lang=x; who="+who)
	case 2:
		r.Header["x-api-key"] = []string{who}
	case 3:
		u := *r.URL
		u.User = neturl.UserPassword("user", who)
		r.URL = &u
	case 4:
		r.Header.Set("Proxy-Authorization", "Basic "+who)
	case 5:
		r.Header.Set("Authorization", fmt.Sprintf(`MyAuth client_id="app", token="%s", nonce=%d, signature="x"`, who, p.n(100)))
	}
}

// identified returns whom the credentials of a request name.
func identified(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	if r.URL.User != nil {
		password, _ := r.URL.User.Password()
		return password
	}
	if _, rest, ok := strings.Cut(r.Header.Get("Authorization"), `token="`); ok {
		who, _, _ := strings.Cut(rest, `"`)
		return who
	}
	who := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + strings.TrimPrefix(r.Header.Get("Proxy-Authorization"), "Basic ")
	for name, values := range r.Header {
		if strings.EqualFold(name, "X-Api-Key") {
			who += values[0]
		}
	}
	if c, err := r.Cookie("who"); err == nil {
		who += c.Value
	}
	return who
}

// contentOf returns the body of the answer that a description stands for.
func contentOf(description string) string {
	sum := sha256.Sum256([]byte(description))
	return strings.Repeat(description+" ", 1+int(sum[0])%40) + hex.EncodeToString(sum[:])
}

// origin answers a request. X-Made says what the body is, X-Asked who has asked and what the origin permitted, and Cache-Control says that again.
func (p *persons) origin(r *http.Request) (*http.Response, error) {
	asked := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		r.Body.Close()
		asked = string(b)
	}
	if p.n(3) == 0 {
		time.Sleep(time.Duration(p.n(300)) * time.Millisecond)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	who, path := identified(r), r.URL.Path
	if p.n(25) == 0 {
		return nil, errors.New("the origin fails for " + who)
	}
	p.mu.Lock()
	if r.Method == "POST" {
		p.versions[path]++
	}
	version := p.versions[path]
	p.mu.Unlock()
	language := r.Header.Get("Accept-Language")
	query := r.URL.RawQuery
	made := strings.Join([]string{r.Method, who, path, query, language, asked, strconv.Itoa(version)}, "|")
	if r.Method == "HEAD" {
		made = strings.Join([]string{"GET", who, path, query, language, asked, strconv.Itoa(version)}, "|")
	}
	whole := contentOf(made)
	resp := reply(200, whole, "Vary: Accept-Language")
	h := resp.Header
	control := p.one("", "max-age=1", "max-age=60", "max-age=60, public", "public, max-age=1, stale-while-revalidate=5", "s-maxage=30", "must-revalidate, max-age=2",
		"private, max-age=60", "no-store", "no-cache, public", "max-age=2, stale-if-error=20", "no-cache=\"X-Other\", max-age=9", "public, no-store, max-age=60")
	if control != "" {
		h.Set("Cache-Control", control)
	}
	sum := sha256.Sum256([]byte(made))
	tag := hex.EncodeToString(sum[:6])
	strong := p.n(3) > 0
	if strong {
		h.Set("Etag", `"`+tag+`"`)
	} else if p.n(2) == 0 {
		h.Set("Etag", `W/"`+tag+`"`)
	}
	if p.n(6) == 0 {
		h.Set("Vary", p.one("Accept-Language, Authorization", "Accept-Language, Cookie", "*", "Accept-Language, X-Trace"))
	}
	if p.n(6) == 0 {
		h.Set("Set-Cookie", "session="+who)
	}
	if path == "/search" {
		h.Set("No-Vary-Search", `params=("n")`)
	}
	h.Set("X-Made", made)
	h.Set("X-Asked", who+"|"+control)
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if match := r.Header.Get("If-None-Match"); match != "" && h.Get("Etag") != "" && strings.Contains(match, tag) && p.n(5) > 0 {
		resp.StatusCode, resp.Body, resp.ContentLength = 304, http.NoBody, 0
		return resp, nil
	}
	if p.n(14) == 0 {
		resp.StatusCode = []int{500, 503, 404, 410, 301, 429}[p.n(6)]
	}
	if r.Method == "HEAD" {
		resp.Body = http.NoBody
		return resp, nil
	}
	cut := p.n(12) == 0
	body := whole
	if ask := r.Header.Get("Range"); ask != "" && resp.StatusCode == 200 && p.n(4) > 0 && (r.Header.Get("If-Range") == "" || strong && r.Header.Get("If-Range") == `"`+tag+`"`) {
		first, last, _ := strings.Cut(strings.TrimPrefix(ask, "bytes="), "-")
		from, err := strconv.Atoi(first)
		to := len(whole) - 1
		if n, err := strconv.Atoi(last); err == nil {
			to = min(to, n)
		}
		if err == nil && from <= to {
			body = whole[from : to+1]
			resp.StatusCode, resp.ContentLength = 206, int64(len(body))
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(whole)))
		}
	}
	resp.Status = ""
	h.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	b := &hesitant{p: p, ctx: r.Context(), rest: body}
	if cut {
		b.rest, b.end = body[:p.n(len(body))], io.ErrUnexpectedEOF
	}
	if p.n(3) == 0 && resp.StatusCode != 206 {
		resp.ContentLength = -1
		h.Del("Content-Length")
		if cut && p.n(2) == 0 { // its end is that of the connection
			resp.Close, b.end = true, nil
		}
	} else if cut && p.n(2) == 0 {
		b.end = nil // shorter than declared, in silence
	}
	if p.n(6) == 0 && resp.ContentLength < 0 {
		resp.Trailer = http.Header{"X-Sum": nil}
		b.ended = func() { resp.Trailer.Set("X-Sum", made) }
	}
	resp.Body = b
	return resp, nil
}

// hesitant is a body that comes in pieces.
type hesitant struct {
	p     *persons
	ctx   context.Context
	rest  string
	end   error
	ended func()
}

func (h *hesitant) Read(b []byte) (int, error) {
	if h.p.n(8) == 0 {
		time.Sleep(time.Duration(h.p.n(50)) * time.Millisecond)
	}
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	if h.rest == "" {
		if h.end != nil {
			return 0, h.end
		}
		if h.ended != nil {
			h.ended()
		}
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+h.p.n(len(h.rest)))], h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

func (h *hesitant) Close() error { return nil }

// ask sends a request of one of them, and judges the answer.
func (p *persons) ask() {
	if p.n(2) == 0 {
		time.Sleep(time.Duration(p.n(2000)) * time.Millisecond)
	}
	who := p.one("alice", "bob", "carol", "")
	ctx, cancel := context.WithCancel(p.Context())
	defer cancel()
	if p.n(3) == 0 {
		ctx = context.WithoutCancel(ctx)
	} else if p.n(5) == 0 {
		time.AfterFunc(time.Duration(p.n(200))*time.Millisecond, cancel)
	}
	method, content := p.one("GET", "GET", "GET", "GET", "HEAD", "QUERY", "POST"), ""
	var body io.Reader
	if method == "QUERY" || method == "POST" {
		content = p.one("a", "b")
		body = strings.NewReader(content)
	}
	target := "http://origin.example" + p.one("/", "/a", "/search?n=1", "/search?n=2", "/search?q=1")
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	require.NoError(p, err)
	language := p.one("", "de", "fr")
	if language != "" {
		r.Header.Set("Accept-Language", language)
	}
	switch {
	case who == "":
	case p.below && p.n(2) == 0:
		r = r.WithContext(context.WithValue(r.Context(), addedBelow{}, who))
	default:
		p.identify(r, who, p.n(credentialKinds))
	}
	if p.named {
		r = r.WithContext(cache.WithPrincipal(r.Context(), who+"!"))
	}
	if method == "GET" && p.n(5) == 0 {
		r.Header.Set("Range", p.one("bytes=0-9", "bytes=10-", "bytes=10-49", "bytes=0-99999"))
	}
	if p.n(8) == 0 {
		r.Header.Set("Cache-Control", p.one("no-cache", "max-age=0", "max-stale", "only-if-cached", "no-store"))
	}
	if p.n(12) == 0 {
		r = r.WithContext(cache.Disable(r.Context()))
	}
	resp, err := p.rt.RoundTrip(r)
	if err != nil {
		_, other, ok := strings.Cut(err.Error(), "the origin fails for ")
		if ok && other != who && !p.below && !(other == "" && p.shared) { // a layer below that fails shows the cache no credentials
			p.Errorf("%q hears of an error of %q", who, other)
		}
		return
	}
	p.judge(r, resp, who, content, language)
	// What the caller does to what is its own by now.
	for _, h := range []http.Header{resp.Header, resp.Trailer, r.Header} {
		for name, values := range h {
			for i := range values {
				values[i] = "changed by " + who
			}
			h[name] = append(values, "more of "+who)
		}
	}
	r.URL.Path, r.URL.RawQuery = "/changed", who
}

// judge reads an answer and judges it.
func (p *persons) judge(r *http.Request, resp *http.Response, who, content, language string) {
	stop := -1
	if p.n(8) == 0 {
		stop = p.n(200)
	}
	var b []byte
	var err error
	if stop >= 0 {
		b, err = io.ReadAll(io.LimitReader(resp.Body, int64(stop)))
	} else {
		var all bytes.Buffer
		_, err = io.Copy(&all, resp.Body)
		b = all.Bytes()
	}
	resp.Body.Close()
	got := string(b)
	s, _ := cache.StatusOf(resp)
	said := fmt.Sprintf("%s %s by %q in %q: %d %v, %v", r.Method, r.URL, who, language, resp.StatusCode, resp.Header, s)
	if resp.Request != r {
		p.Errorf("%s: the request of the answer is another one", said)
	}
	made := strings.Split(resp.Header.Get("X-Made"), "|")
	if len(made) != 7 {
		if resp.StatusCode != 504 && (!s.Collapsed || resp.StatusCode < 429) { // the cache's own answers
			p.Errorf("%s: an answer of no origin", said)
		}
		return
	}
	reused := s.Hit || s.Collapsed
	asker, control, _ := strings.Cut(resp.Header.Get("X-Asked"), "|")
	for _, owner := range []string{made[1], asker} {
		if owner != who && !(owner == "" && p.mayBeAnonymous(r) || p.shared && forAll(resp.Header.Get("Cache-Control"))) {
			p.Errorf("%s: made for %q", said, owner)
		}
	}
	if got := resp.Header.Get("Cache-Control"); control != "" && got != control { // an answer without it leaves what it brings up to date as it is
		p.Errorf("%s: Cache-Control is not that of who asked: %q", said, control)
	}
	control = resp.Header.Get("Cache-Control")
	method := r.Method
	if method == "HEAD" {
		method = "GET"
	}
	sameQuery := made[3] == r.URL.RawQuery || r.URL.Path == "/search" && strings.HasPrefix(made[3], "n=") && strings.HasPrefix(r.URL.RawQuery, "n=")
	if made[0] != method || made[2] != r.URL.Path || !sameQuery || made[4] != language || made[5] != content {
		p.Errorf("%s: another answer: %q", said, made)
	}
	if reused && strings.Contains(control, "no-store") || p.shared && reused && strings.Contains(control, "private") {
		p.Errorf("%s: an answer that must not be stored is used again", said)
	}
	if s.Hit && len(resp.Header["Set-Cookie"]) > 0 {
		p.Errorf("%s: a hit sets cookies", said)
	}
	if resp.StatusCode == 304 || r.Method == "HEAD" {
		if got != "" {
			p.Errorf("%s: content %q", said, got)
		}
		return
	}
	whole := contentOf(resp.Header.Get("X-Made"))
	if resp.StatusCode == 206 {
		var first, last, complete int
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &complete); err != nil || complete != len(whole) || last >= complete || first > last {
			p.Errorf("%s: Content-Range of %d bytes", said, len(whole))
			return
		}
		whole = whole[first : last+1]
	}
	if resp.StatusCode == 416 {
		return
	}
	if !strings.HasPrefix(whole, got) {
		p.Errorf("%s: the body is %q, want %q", said, got, whole)
	}
	if s.Hit && stop < 0 && err == nil && got != whole {
		p.Errorf("%s: a hit of %d bytes of %d", said, len(got), len(whole))
	}
	if sum := resp.Trailer.Get("X-Sum"); sum != "" && sum != resp.Header.Get("X-Made") {
		p.Errorf("%s: the trailer is of %q", said, sum)
	}
}

// mayBeAnonymous reports whether an answer that was made without credentials may be one to r: in a shared cache, and where the cache cannot know who asks before it has asked.
func (p *persons) mayBeAnonymous(r *http.Request) bool {
	_, below := r.Context().Value(addedBelow{}).(string)
	return p.shared || below
}

// forAll reports whether a shared cache may use an answer with this Cache-Control for all.
func forAll(control string) bool {
	return slices.ContainsFunc(strings.Split(control, ","), func(d string) bool {
		d = strings.TrimSpace(d)
		return d == "public" || strings.HasPrefix(d, "s-maxage=") || d == "must-revalidate"
	})
}

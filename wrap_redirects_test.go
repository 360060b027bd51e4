package ply_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// A maze is a site of three hosts whose pages redirect to each other. What a page answers depends on the request alone, and says what that had.
type maze struct {
	seed   uint64
	breaks bool // one in three requests fails once, or is answered 503

	mu    sync.Mutex // guards the field below
	tries map[string]int
}

func (m *maze) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body.Close()
	}
	name := req.Method + " " + req.URL.String()
	h := uint64(14695981039346656037)
	for _, c := range []byte(req.URL.Host + req.URL.Path) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	r := rand.New(rand.NewPCG(m.seed, h))
	answer := func(status int, header http.Header, text string) (*http.Response, error) {
		if req.Method == http.MethodHead {
			text = ""
		}
		return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header, ContentLength: int64(len(text)),
			Body: io.NopCloser(strings.NewReader(text)), Request: req}, nil
	}
	if m.breaks {
		m.mu.Lock()
		m.tries[name]++
		n := m.tries[name]
		m.mu.Unlock()
		if idempotent := req.Method != http.MethodPost; idempotent && n%3 == 1 {
			if h%2 == 0 {
				return nil, io.ErrUnexpectedEOF
			}
			return answer(503, http.Header{"Retry-After": {"0"}}, "down")
		}
	}
	header := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	if r.IntN(3) > 0 {
		header.Set("Cache-Control", []string{"max-age=60", "public, max-age=600", "no-cache", "no-store", "max-age=0, stale-while-revalidate=9"}[r.IntN(5)])
	}
	if r.IntN(2) == 0 {
		header.Set("Vary", []string{"Referer", "Cookie", "Authorization", "Accept"}[r.IntN(4)])
	}
	if r.IntN(5) == 0 {
		header.Set("Set-Cookie", fmt.Sprintf("c%d=%d; Path=/", r.IntN(3), r.IntN(3)))
	}
	if r.IntN(3) > 0 {
		target := fmt.Sprintf("http://%c.test/%d", 'a'+rune(r.IntN(3)), r.IntN(12))
		if r.IntN(2) == 0 {
			target = fmt.Sprintf("/%d", r.IntN(12))
		}
		header.Set("Location", target)
		return answer([]int{301, 302, 303, 307, 308}[r.IntN(5)], header, "moved")
	}
	return answer([]int{200, 200, 200, 404, 410}[r.IntN(5)], header,
		fmt.Sprintf("%s %q as %q with %q", name, body, req.Header["Authorization"], req.Header["Cookie"]))
}

// A client of net/http with a cache and retry follows redirects as one without them: the same hops, methods, bodies, credentials and answers,
// though one request in three fails at first.
func TestWrappedClientFollowsRedirectsAsABareOne(t *testing.T) {
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			c, err := cache.New(cache.Options{ReplayCookies: true})
			require.NoError(t, err)
			defer c.Close()
			jar := func() http.CookieJar {
				j, err := cookiejar.New(nil)
				require.NoError(t, err)
				return j
			}
			bare := &http.Client{Transport: &maze{seed: seed}, Jar: jar()}
			wrapped := ply.Wrap(&http.Client{Transport: &maze{seed: seed, breaks: true, tries: map[string]int{}}, Jar: jar()},
				c.Middleware, retry.New(retry.Options{MaxAttempts: 100, Backoff: retry.Constant(0)}))
			r := rand.New(rand.NewPCG(seed, 0))
			for i := range 40 {
				method := []string{"GET", "GET", "GET", "HEAD", "PUT", "POST"}[r.IntN(6)]
				target := fmt.Sprintf("http://%c.test/%d", 'a'+rune(r.IntN(3)), r.IntN(12))
				user := []string{"", "Bearer a", "Bearer b"}[r.IntN(3)]
				send := func(hc *http.Client) (trace []string) {
					var body io.Reader
					if method == "PUT" || method == "POST" {
						body = strings.NewReader("content")
					}
					req, err := http.NewRequestWithContext(t.Context(), method, target, body)
					require.NoError(t, err)
					req.Header.Set("X-Tag", "t")
					if user != "" {
						req.Header.Set("Authorization", user)
					}
					resp, err := hc.Do(req)
					if err != nil {
						return []string{err.Error()}
					}
					defer resp.Body.Close()
					text, err := io.ReadAll(resp.Body)
					trace = append(trace, fmt.Sprint(resp.StatusCode, " ", string(text), err))
					for hop := resp.Request; hop != nil; {
						trace = append(trace, hop.Method+" "+hop.URL.String()+" "+hop.Header.Get("Authorization")+" "+hop.Header.Get("Referer"))
						if hop.Response == nil {
							break
						}
						trace = append(trace, hop.Response.Status)
						hop = hop.Response.Request
					}
					for _, host := range []string{"a", "b", "c"} {
						for _, c := range hc.Jar.Cookies(&url.URL{Scheme: "http", Host: host + ".test", Path: "/"}) {
							trace = append(trace, host+" "+c.String())
						}
					}
					return trace
				}
				if diff := cmp.Diff(send(bare), send(wrapped)); diff != "" {
					t.Fatalf("site %d, request %d, %s %s for %q (-bare +wrapped):\n%s", seed, i, method, target, user, diff)
				}
				if r.IntN(4) == 0 {
					time.Sleep(time.Duration(r.IntN(100)) * time.Second)
				}
			}
		})
	}
}

package cli

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/plyhttp/ply/internal/testutil"
)

// wayToAsk is how a request says who asks, and what the origin says of its answer to a private and to a shared cache. Every way has a path of its own.
type wayToAsk struct {
	path, query, field, value string // {} stands for the person
	private, shared           string // Cache-Control, and behind it Vary
	common                    bool   // all persons get the same
}

var waysToAsk = []wayToAsk{
	{"/bearer", "", "Authorization", "Bearer {}", "max-age=60", "max-age=60", false},
	{"/basic", "", "Authorization", "Basic {}", "public, max-age=60 | Authorization", "public, max-age=60 | Authorization", false},
	{"/cookie", "", "Cookie", "sid={}", "max-age=60", "max-age=60", false},
	{"/varies", "", "Cookie", "sid={}", "max-age=60 | Cookie", "public, max-age=60 | Cookie", false},
	{"/stale", "", "Cookie", "sid={}", "max-age=0, stale-while-revalidate=60", "max-age=0, stale-while-revalidate=60", false},
	{"/query", "?api_key={}", "X-A", "1", "max-age=60", "max-age=60", false},
	{"/field", "", "X-Api-Key", "{}", "max-age=60", "public, max-age=60 | X-Api-Key", false},
	{"/key", "", "X-Api-Key", "{}", "max-age=60", "max-age=60", false},
	{"/uncached", "", "Authorization", "Bearer {}", "no-store", "no-store", false},
	{"/logo", "", "Cookie", "sid={}", "max-age=60", "public, max-age=60", true},
}

func (w wayToAsk) says(r *http.Request, person string) {
	r.Header.Set(w.field, strings.ReplaceAll(w.value, "{}", person))
}

// Persons ask at the same time, again and again, and in the same ways. Each gets what is theirs, in both modes, and neither the log nor the inspector shows a secret of any.
// The proxy is this test binary, so that the race detector watches it, too: its report would be in the log.
func TestProxyKeepsPersonsWhoAskAtTheSameTimeApart(t *testing.T) {
	for name, mode := range map[string][]string{"private": nil, "shared": {"--shared"}, "private, over files": {"--cache", t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			shared := slices.Contains(mode, "--shared")
			var requests atomic.Int32
			origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				for _, way := range waysToAsk {
					if way.path != r.URL.Path {
						continue
					}
					control := way.private
					if shared {
						control = way.shared
					}
					control, vary, _ := strings.Cut(control, " | ")
					w.Header().Set("Cache-Control", control)
					w.Header().Set("Vary", vary)
					if !shared || way.path == "/uncached" { // a shared cache does not store what sets a cookie for a user (RFC 9111 §7.3)
						w.Header().Set("Set-Cookie", "sid=c4n4ry-setcookie")
					}
					w.Header().Set("Content-Type", "text/plain")
					whose := r.Header.Get(way.field) + r.URL.Query().Get("api_key")
					if way.common {
						whose = "all"
					}
					io.WriteString(w, bodyFor(whose))
				}
			})
			p := startProxy(t, append(mode, origin.URL, "--inspect", "127.0.0.1:0")...)
			persons := []string{"c4n4ry-alice", "c4n4ry-bob", "c4n4ry-carol"}
			const clients, rounds = 2, 6
			var all sync.WaitGroup
			for _, person := range persons {
				for range clients {
					all.Go(func() { asksForTheirs(t, p.url, person, rounds) })
				}
			}
			all.Wait()
			sent := len(persons) * clients * rounds * len(waysToAsk)
			assert.Less(t, int(requests.Load()), sent, "some must have been answered from the cache")
			testutil.Eventually(t, "the log", func() bool { return strings.Count(p.log.String(), "\n") >= sent })
			content := regexp.MustCompile(`"text":"for [^"]*"`) // of a response, which the inspector shows
			for _, target := range []string{"/calls", fmt.Sprint("/calls/", sent), fmt.Sprint("/calls/", sent/2), "/cache", "/stats"} {
				resp, text := ask(t, p.inspector+target)
				assert.Equal(t, http.StatusOK, resp.StatusCode, target)
				assert.Empty(t, plantedIn(content.ReplaceAllString(text, ""), false), target)
			}
			assert.Equal(t, 0, p.end(t), p.log.String())
			assert.Empty(t, plantedIn(p.log.String(), false), "the log")
			assert.NotContains(t, p.log.String(), "DATA RACE")
		})
	}
}

// bodyFor is a body that says on every line whose it is, and is long enough to be read in several pieces.
func bodyFor(whose string) string { return strings.Repeat("for "+whose+"\n", 3000) }

// asksForTheirs sends rounds of requests in each way and fails for an answer that is not for the person.
func asksForTheirs(t *testing.T, proxy, person string, rounds int) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range rounds {
		for _, way := range waysToAsk {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy+way.path+strings.ReplaceAll(way.query, "{}", person), nil)
			if !assert.NoError(t, err) {
				return
			}
			way.says(r, person)
			resp, err := client.Do(r)
			if !assert.NoError(t, err) {
				return
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			assert.NoError(t, err)
			whose := strings.ReplaceAll(way.value, "{}", person)
			switch {
			case way.common:
				whose = "all"
			case way.query != "":
				whose = "1" + person
			}
			if want := bodyFor(whose); string(body) != want {
				t.Errorf("%s for %s: %d bytes, want %d: %.80q", way.path, person, len(body), len(want), body)
				return
			}
		}
	}
}

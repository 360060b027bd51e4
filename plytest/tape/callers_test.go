package tape_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/plytest/tape"
)

// sendAs sends a GET with a line of Authorization.
func sendAs(t *testing.T, h http.RoundTripper, path, authorization string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://h.example"+path, nil)
	require.NoError(t, err)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := h.RoundTrip(r)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(body)
}

// forEach answers with whose request it was, and with the token that the path asks for.
var forEach = answers(func(r *http.Request) string {
	if user, ok := strings.CutPrefix(r.URL.Path, "/login/"); ok {
		return `{"access_token":"` + canary + user + `"}`
	}
	user := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "+canary)
	return fmt.Sprintf(`{"me":%q}`, user)
})

// recordTwo records what two users, and then a caller without credentials, ask for.
func recordTwo(t *testing.T, o tape.Options) (path string) {
	mine(t)
	path = filepath.Join(t.TempDir(), "a.tape")
	require.Empty(t, run(path, o, func(_ *test, s *tape.Session) {
		h := s.Middleware(forEach)
		sendAs(t, h, "/login/ada", "")
		sendAs(t, h, "/login/bob", "")
		for _, path := range []string{"/me", "/me", "/only/bob"} {
			for _, user := range []string{"ada", "bob"} {
				if path != "/only/bob" || user == "bob" {
					sendAs(t, h, path, "Bearer "+canary+user)
				}
			}
		}
		sendAs(t, h, "/me", "")
	}))
	return path
}

func TestTapeSaysWhichRequestsHadTheSameCredentials(t *testing.T) {
	path := recordTwo(t, tape.Options{})
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), canary)
	recorded, err := tape.Load(path)
	require.NoError(t, err)
	var have []string
	for _, e := range recorded.Exchanges {
		have = append(have, e.Request.Header.Get("Authorization")+" "+string(e.Response.Body()))
	}
	require.Equal(t, []string{
		` {"access_token":"REDACTED-1"}`, ` {"access_token":"REDACTED-2"}`, // what the logins answered before anything had it
		`REDACTED-1 {"me":"ada"}`, `REDACTED-2 {"me":"bob"}`, `REDACTED-1 {"me":"ada"}`, `REDACTED-2 {"me":"bob"}`, `REDACTED-2 {"me":"bob"}`, ` {"me":""}`,
	}, have)
	require.Equal(t, recorded, recorded.Redact(nil), "to redact twice changes nothing")
}

func TestEachUserOfAReplayGetsTheAnswersOfOneUser(t *testing.T) {
	for name, tt := range map[string]struct{ ada, bob string }{
		"the tokens of the tape": {"Bearer REDACTED-1", "Bearer REDACTED-2"},
		"other tokens":           {"Bearer of-ada-today", "Bearer of-bob-today"},
		"another scheme":         {"Basic YWRhOng=", "Basic Ym9iOng="},
	} {
		t.Run(name, func(t *testing.T) {
			path := recordTwo(t, tape.Options{})
			require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
				h := s.Middleware(noServer(t))
				require.Equal(t, `{"me":"bob"}`, sendAs(t, h, "/only/bob", tt.bob)) // not in the order of the recording
				require.Equal(t, `{"me":""}`, sendAs(t, h, "/me", ""))
				var both sync.WaitGroup
				for user, token := range map[string]string{"ada": tt.ada, "bob": tt.bob} {
					both.Go(func() {
						for range 2 {
							if have := sendAs(t, h, "/me", token); have != fmt.Sprintf(`{"me":%q}`, user) {
								t.Errorf("%s got %s", user, have)
							}
						}
					})
				}
				both.Wait()
			}))
		})
	}
}

func TestReuseRepeatsTheAnswerOfTheSameUser(t *testing.T) {
	path := recordTwo(t, tape.Options{})
	require.Empty(t, run(path, tape.Options{Reuse: true}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		sendAs(t, h, "/only/bob", "Bearer b")
		for range 5 {
			require.Equal(t, `{"me":"ada"}`, sendAs(t, h, "/me", "Bearer a"))
			require.Equal(t, `{"me":"bob"}`, sendAs(t, h, "/me", "Bearer b"))
			require.Equal(t, `{"me":""}`, sendAs(t, h, "/me", ""))
		}
	}))
}

// SDKs sign each request anew, so that no two have the same credentials.
func TestSignaturesOfEachRequestDoNotCount(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	counted := answers(func(r *http.Request) string { return r.URL.Path })
	for _, order := range [][]int{{1, 2, 3, 3}, {3, 1, 3, 2}} {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			h := s.Middleware(counted)
			for i, n := range order {
				require.Equal(t, fmt.Sprint("/", n), sendAs(t, h, fmt.Sprint("/", n), fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%v, Signature=%d", canary, order, i)))
			}
		}))
	}
}

func TestOneUserGetsAllAnswersWhenCredentialsChange(t *testing.T) {
	path := recordTwo(t, tape.Options{})
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		for range 5 {
			sendAs(t, h, "/me", "Bearer the-only-one")
		}
	}))
}

func TestReplayKeepsTheUsersOfARecordingApart(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(handler(func(r *http.Request) (*http.Response, error) {
			resp, err := forEach(r)
			resp.Header.Set("Cache-Control", "private, max-age=3600")
			return resp, err
		}))
		for range 2 {
			sendAs(t, h, "/me", "Bearer "+canary+"ada")
			sendAs(t, h, "/me", "Bearer "+canary+"bob")
		}
	}))
	recorded, err := tape.Load(path)
	require.NoError(t, err)
	report, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: cached(cache.Options{})})
	require.NoError(t, err)
	require.Equal(t, []int{4, 2, 2, 0, 0}, []int{report.Requests, report.OriginRequests, report.Hits + report.Collapsed, report.OutOfDate, report.Redacted})
}

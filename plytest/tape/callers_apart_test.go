package tape_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// A play is what users do in a test: each entry is a user and a step, "ada me".
type play []string

// sessions answers /login with a token or a cookie for the user that its content names, and /me with whose request it is. With each answer a session by cookie is renewed.
// It knows users by tokens "TOKEN-ada-1", so that what reaches a tape of it would show.
func sessions(renew bool) handler {
	var mu sync.Mutex
	n := 0
	return func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		var body []byte
		if r.Body != nil {
			body, _ = io.ReadAll(r.Body)
		}
		all := fmt.Sprint(r.URL, r.Header, string(body))
		user := ""
		for _, name := range []string{"ada", "bob", "eve"} {
			if strings.Contains(all, name) {
				user = name
			}
		}
		next := fmt.Sprintf(canary+"-%s-%d", user, n)
		resp, err := answers(func(*http.Request) string {
			if r.URL.Path == "/login" || r.URL.Path == "/refresh" {
				return fmt.Sprintf(`{"access_token":%q,"refresh_token":%q}`, next+"a", next+"r")
			}
			return fmt.Sprintf(`{"me":%q,"n":%d}`, user, n)
		})(r)
		if renew || r.URL.Path == "/login" {
			resp.Header.Set("Set-Cookie", "sid="+next+"; Path=/")
		}
		return resp, err
	}
}

// A user does steps with a client of its own.
type user struct {
	name            string
	client          *http.Client
	access, refresh string // from a login
}

func newUser(t *testing.T, name string, h http.RoundTripper) *user {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &user{name: name, client: &http.Client{Transport: h, Jar: jar}}
}

// do sends the request of a step, and returns whose answer came.
func (u *user) do(t *testing.T, step string) (string, error) {
	method, url, form, field := "GET", "http://h.example/"+step, "", ""
	switch step {
	case "login":
		method, form = "POST", "grant_type=password&password=pw-"+u.name
	case "refresh":
		method, form = "POST", "grant_type=refresh_token&refresh_token="+u.refresh
	case "bearer":
		field = "Bearer " + u.access
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form))
	require.NoError(t, err)
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if field != "" {
		r.Header.Set("Authorization", field)
	}
	resp, err := u.client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var said struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Me      string `json:"me"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return "", err
	}
	if said.Access != "" {
		u.access, u.refresh = said.Access, said.Refresh
		return u.name, nil
	}
	return said.Me, nil
}

// perform plays a play, and checks that each user gets its own answers.
func (p play) perform(t *testing.T, h http.RoundTripper) (users map[string]*user) {
	t.Helper()
	users = map[string]*user{}
	for _, entry := range p {
		name, step, _ := strings.Cut(entry, " ")
		if users[name] == nil {
			users[name] = newUser(t, name, h)
		}
		have, err := users[name].do(t, step)
		require.NoError(t, err, entry)
		require.Equal(t, name, have, entry)
	}
	return users
}

func TestLoginsReplayInAnyOrderOfTheUsersAfterThem(t *testing.T) {
	mine(t)
	for name, tt := range map[string]struct{ recorded, replayed play }{
		"one user by cookie": {play{"ada login", "ada me", "ada me"}, play{"ada login", "ada me", "ada me"}},
		"two by cookie":      {play{"ada login", "bob login", "ada me", "bob me", "ada me"}, play{"ada login", "bob login", "bob me", "ada me", "ada me"}},
		"two by token":       {play{"ada login", "ada bearer", "bob login", "bob bearer", "bob bearer"}, play{"ada login", "bob login", "bob bearer", "bob bearer", "ada bearer"}},
		"renewed tokens": {
			play{"ada login", "bob login", "ada bearer", "ada refresh", "ada bearer", "bob bearer", "bob refresh", "bob bearer"},
			play{"ada login", "bob login", "bob bearer", "bob refresh", "bob bearer", "ada bearer", "ada refresh", "ada bearer"},
		},
	} {
		for _, renew := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " renewed ", renew), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "a.tape")
				require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
					tt.recorded.perform(t, s.Middleware(sessions(renew)))
				}))
				require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
					tt.replayed.perform(t, s.Middleware(noServer(t)))
				}))
			})
		}
	}
}

// Requests of one user overlap, so that those of a replay have other cookies of the session than when they were recorded.
func TestRequestsOfARenewedSessionMayOverlapOtherwise(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		play{"ada login", "bob login", "ada me", "ada me", "ada me", "bob me", "bob me"}.perform(t, s.Middleware(sessions(true)))
	}))
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		ada, bob := newUser(t, "ada", h), newUser(t, "bob", h)
		for _, u := range []*user{ada, bob} {
			_, err := u.do(t, "login")
			require.NoError(t, err)
		}
		var all sync.WaitGroup
		for _, u := range []*user{bob, ada, ada, bob, ada} {
			all.Go(func() {
				if have, err := u.do(t, "me"); err != nil || have != u.name {
					t.Errorf("%s got %q, %v", u.name, have, err)
				}
			})
		}
		all.Wait()
	}))
}

// One of several users asks more often than on the tape, or comes who is not on it.
func TestUserWithoutAnAnswerIsRefused(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		play{"ada login", "bob login", "ada bearer", "bob bearer"}.perform(t, s.Middleware(sessions(false)))
	}))
	reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		ada := play{"ada login", "bob login", "ada bearer"}.perform(t, h)["ada"]
		for _, token := range []string{ada.access, "of-eve"} {
			_, err := sendWith(t, h, "GET", "http://h.example/bearer", "", "Authorization", "Bearer "+token)
			var unmatched *tape.UnmatchedError
			require.ErrorAs(t, err, &unmatched, token)
			require.True(t, unmatched.OfOthers)
		}
	})
	require.Len(t, reported, 2)
}

// Fakes in the place of secrets are often the same for all services, and for name and password.
func TestOneFakeStandsForTheSecretsOfSeveralServices(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	ask := func(h http.RoundTripper, host, id, password, token string) {
		have, err := sendWith(t, h, "POST", "http://"+host+"/", "client_secret="+id+"&password="+password, "Authorization", "Bearer "+token)
		require.NoError(t, err)
		require.Equal(t, host, have)
	}
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(answers(func(r *http.Request) string { return r.URL.Host }))
		for range 2 {
			ask(h, "a.example", canary+"1", canary+"2", canary+"3")
			ask(h, "b.example", canary+"4", canary+"5", canary+"6")
		}
	}))
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		for range 2 {
			ask(h, "b.example", "fake", "fake", "fake")
		}
		for range 2 {
			ask(h, "a.example", "fake", "fake", "fake")
		}
	}))
}

// With secrets that are not those of the tape, the order decides who is who; from then on each user has the answers of one.
func TestUsersAtTheSameTimeHaveTheAnswersOfOneUserEach(t *testing.T) {
	mine(t)
	for name, send := range waysToSayWho {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tape")
			const each = 8
			require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
				for range each {
					for _, u := range []string{"ada", "bob"} {
						have, err := send(t, s.Middleware(whose), u)
						require.NoError(t, err)
						require.Equal(t, u, have)
					}
				}
			}))
			for range 5 {
				require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
					h := s.Middleware(noServer(t))
					var mu sync.Mutex
					became := map[string]map[string]int{"ada": {}, "bob": {}}
					var all sync.WaitGroup
					for i := range 2 * each {
						u := []string{"ada", "bob"}[i%2]
						all.Go(func() {
							have, err := send(t, h, u)
							mu.Lock()
							defer mu.Unlock()
							if became[u][have]++; err != nil {
								t.Errorf("%s: %v", u, err)
							}
						})
					}
					all.Wait()
					if became["ada"]["ada"] == each {
						require.Equal(t, map[string]map[string]int{"ada": {"ada": each}, "bob": {"bob": each}}, became)
					} else {
						require.Equal(t, map[string]map[string]int{"ada": {"bob": each}, "bob": {"ada": each}}, became)
					}
				}))
			}
		})
	}
}

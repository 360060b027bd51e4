package tape_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
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

func TestUserHasNoAnswersOfAnotherWhenItsOwnAreGone(t *testing.T) {
	path := recordTwo(t, tape.Options{})
	for _, reuse := range []bool{false, true} {
		reported := run(path, tape.Options{Reuse: reuse}, func(_ *test, s *tape.Session) {
			h := s.Middleware(noServer(t))
			for range 2 {
				require.Equal(t, `{"me":"ada"}`, sendAs(t, h, "/me", "Bearer the-only-one"))
			}
			again, err := sendWith(t, h, "GET", "http://h.example/me", "", "Authorization", "Bearer the-only-one")
			if reuse {
				require.Equal(t, `{"me":"ada"}`, again)
			} else {
				require.EqualError(t, err, "tape: the answers that are left to GET http://h.example/me are those of other callers; record again, or see which secrets they have on the tape (-), and which this caller is (+):\n"+
					"- Authorization: REDACTED-2\n+ Authorization: REDACTED-1\n")
			}
			_, err = sendWith(t, h, "GET", "http://h.example/only/bob", "", "Authorization", "Bearer the-only-one")
			require.Error(t, err, "bob's, although he has not come yet")
		})
		require.Len(t, reported, map[bool]int{false: 2, true: 1}[reuse])
	}
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

// sendWith sends a request with fields in pairs and returns the answer, or the error.
func sendWith(t *testing.T, h http.RoundTripper, method, url, form string, fields ...string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := h.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// whose answers with the user whose name is anywhere in the request.
var whose = answers(func(r *http.Request) string {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if strings.Contains(fmt.Sprint(r.URL, r.Header, string(body)), "ada") {
		return "ada"
	}
	return "bob"
})

// waysToSayWho are requests of users who differ in nothing but their secrets.
var waysToSayWho = map[string]func(t *testing.T, h http.RoundTripper, user string) (string, error){
	"a parameter": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "GET", "http://h.example/me?page=1&api_key=k"+user, "")
	},
	"userinfo": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "GET", "http://x:"+user+"@h.example/me", "")
	},
	"content": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "POST", "http://h.example/me", "grant_type=refresh_token&refresh_token=t-"+user)
	},
	"a cookie": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "GET", "http://h.example/me", "", "Cookie", "theme=dark; sid=s-"+user)
	},
	"a pair in content": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "POST", "http://h.example/me", `[["Authorization","Bearer t-`+user+`"],["Accept","a"]]`)
	},
	"a document in content": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "POST", "http://h.example/me", `query={me(token:"t-`+user+`"){id}}`)
	},
	"a certificate": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "GET", "http://h.example/me", "", "X-Forwarded-Client-Cert", "By=spiffe://h.example;URI=spiffe://"+user)
	},
	"a protocol of a WebSocket": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "GET", "http://h.example/me", "", "Sec-WebSocket-Protocol", "chat, bearer, t-"+user)
	},
	"a key beside what both have": func(t *testing.T, h http.RoundTripper, user string) (string, error) {
		return sendWith(t, h, "GET", "http://h.example/me", "", "Authorization", "Basic app", "X-Api-Key", "k-"+user)
	},
}

func TestUsersWhoDifferOnlyInSecretsOfAnyPlaceStayApart(t *testing.T) {
	mine(t)
	for name, send := range waysToSayWho {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tape")
			ask := func(t *testing.T, h http.RoundTripper, user string) {
				t.Helper()
				have, err := send(t, h, user)
				require.NoError(t, err)
				require.Equal(t, user, have)
			}
			require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
				for range 2 {
					ask(t, s.Middleware(whose), "ada")
					ask(t, s.Middleware(whose), "bob")
				}
			}))
			reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) { // in another order
				h := s.Middleware(noServer(t))
				ask(t, h, "ada")
				ask(t, h, "ada")
				ask(t, h, "bob")
				_, err := send(t, h, "ada")
				var unmatched *tape.UnmatchedError
				require.ErrorAs(t, err, &unmatched, "what is left is bob's, who is there")
				require.True(t, unmatched.OfOthers)
				ask(t, h, "bob")
			})
			require.Len(t, reported, 1)
			require.Contains(t, reported[0], "are those of other callers")

			recorded, err := tape.Load(path)
			require.NoError(t, err)
			var text strings.Builder
			require.NoError(t, recorded.Encode(&text))
			require.Equal(t, 4, strings.Count(text.String(), "ada")+strings.Count(text.String(), "bob"), "as answers alone")
			for _, e := range recorded.Exchanges {
				e.Response.Header.Set("Cache-Control", "private, max-age=3600")
				e.Response.Header.Set("Vary", "X-Forwarded-Client-Cert, Sec-WebSocket-Protocol")
				e.Request.Method, e.Response.Length = "GET", -1
			}
			report, err := tape.Replay(t.Context(), recorded, tape.ReplayOptions{Chain: cached(cache.Options{})})
			require.NoError(t, err)
			require.Zero(t, report.OutOfDate, "a cache gave one user what the other had: %v", report)
			require.Zero(t, report.Redacted)
		})
	}
}

// A user is known by each of the secrets: one that changes with each request, or that has not been sent before, makes no other user of one who is known.
func TestUserIsKnownByAnySecretThatCameBefore(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	ask := func(h http.RoundTripper, user, more string) {
		t.Helper()
		fields := []string{"Authorization", "Bearer t-" + user}
		if more != "" {
			fields = append(fields, "X-Request-Key", more+user, "X-Csrf-Token", more+user)
		}
		have, err := sendWith(t, h, "POST", "http://h.example/me", "", fields...)
		require.NoError(t, err)
		require.Equal(t, user, have)
	}
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		for _, more := range []string{"", "1", "2"} {
			ask(s.Middleware(whose), "ada", more)
			ask(s.Middleware(whose), "bob", more)
		}
	}))
	require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		ask(h, "ada", "")
		ask(h, "bob", "")
		ask(h, "bob", "x")
		ask(h, "bob", "y")
		ask(h, "ada", "x")
		ask(h, "ada", "y")
	}))
}

// Sessions by cookies: a jar has from the replay what it had from the server, with a placeholder as the value.
func TestSessionsByCookiesReplay(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	server := handler(func(r *http.Request) (*http.Response, error) {
		resp, err := whose(r)
		if user, ok := strings.CutPrefix(r.URL.Path, "/login/"); ok {
			resp.Header.Set("Set-Cookie", "sid="+canary+user+"; Path=/; HttpOnly")
		}
		return resp, err
	})
	for _, order := range [][]string{{"ada", "bob"}, {"bob", "ada"}} {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			clients := map[string]*http.Client{}
			for _, where := range []string{"login", "me"} {
				for _, user := range order {
					if clients[user] == nil {
						jar, err := cookiejar.New(nil)
						require.NoError(t, err)
						clients[user] = &http.Client{Transport: s.Middleware(server), Jar: jar}
					}
					url := "http://h.example/me"
					if where == "login" {
						url = "http://h.example/login/" + user
					}
					resp, err := clients[user].Get(url)
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					require.Equal(t, user, string(body), where)
				}
			}
		}))
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), canary)
	require.Contains(t, string(text), `"Set-Cookie": "sid=REDACTED-2; Path=/; HttpOnly"`)
}

func TestCallerWithoutCredentialsGetsNothingOfOneWhoIsThere(t *testing.T) {
	path := recordTwo(t, tape.Options{})
	reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		h := s.Middleware(noServer(t))
		sendAs(t, h, "/me", "Bearer a")
		require.Equal(t, `{"me":""}`, sendAs(t, h, "/me", ""))
		sendAs(t, h, "/me", "Bearer b")
		_, err := sendWith(t, h, "GET", "http://h.example/me", "")
		require.Error(t, err)
	})
	require.Len(t, reported, 1)
	reported = run(path, tape.Options{}, func(_ *test, s *tape.Session) { // a replay without any credentials
		h := s.Middleware(noServer(t))
		require.Equal(t, `{"me":"bob"}`, sendAs(t, h, "/only/bob", ""), "where the tape has nothing for a caller without")
		require.Equal(t, `{"me":""}`, sendAs(t, h, "/me", ""))
		_, err := sendWith(t, h, "GET", "http://h.example/me", "")
		require.Error(t, err)
	})
	require.Len(t, reported, 1)
}

// Whose a credential is shows although it is renewed: by the subject of a JSON Web Token, and by the key of a signature.
func TestRenewedCredentialsAreTheSameUsers(t *testing.T) {
	token := func(claims string) string {
		return "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
	}
	for name, tt := range map[string]struct {
		lines []string
		want  []string
	}{
		"tokens with times":     {[]string{token(`{"sub":"ada","exp":1,"iat":1,"jti":"a"}`), token(`{"sub":"bob","exp":1}`), token(`{"jti":"b","sub":"ada","exp":2,"iat":2}`)}, []string{"REDACTED-1", "REDACTED-2", "REDACTED-1"}},
		"tokens by their ids":   {[]string{token(`{"iss":"a","jti":"a"}`), token(`{"iss":"a","jti":"b"}`)}, []string{"REDACTED-1", "REDACTED-2"}},
		"tokens of times alone": {[]string{token(`{"exp":1}`), token(`{"exp":2}`)}, []string{"REDACTED-1", "REDACTED-2"}},
		"AWS Signature Version 4": {
			[]string{"AWS4-HMAC-SHA256 Credential=AKA/20260302/eu/s3/aws4_request, SignedHeaders=host, Signature=1", "AWS4-HMAC-SHA256 Credential=AKB/20260302/eu/s3/aws4_request, SignedHeaders=host, Signature=2", "AWS4-HMAC-SHA256 Credential=AKA/20260303/eu/sqs/aws4_request, SignedHeaders=host, Signature=3"},
			[]string{"REDACTED-1", "REDACTED-2", "REDACTED-1"},
		},
		"Digest":                       {[]string{`Digest username="ada", nonce="1", response="1"`, `Digest username="bob", nonce="1", response="2"`, `Digest username="ada", nonce="2", response="3"`}, []string{"REDACTED-1", "REDACTED-2", "REDACTED-1"}},
		"SharedKey":                    {[]string{"SharedKey ada:1=", "SharedKey bob:2=", "SharedKey ada:3="}, []string{"REDACTED-1", "REDACTED-2", "REDACTED-1"}},
		"placeholders of another tape": {[]string{"Bearer new", "Bearer REDACTED-1", "REDACTED", "Bearer other"}, []string{"REDACTED-2", "REDACTED-1", "REDACTED", "REDACTED-3"}},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape.Tape{}
			for _, line := range tt.lines {
				tp.Exchanges = append(tp.Exchanges, &tape.Exchange{Request: tape.Request{URL: "http://h.example/", Header: http.Header{"Authorization": {line}}}})
			}
			var have []string
			for _, e := range tp.Redact(nil).Exchanges {
				have = append(have, e.Request.Header.Get("Authorization"))
			}
			require.Equal(t, tt.want, have)
		})
	}
}

// A part of a tape may have the answer of a login without the requests that have its token.
func TestNumbersOfATapeThatIsRedactedAgainAreNotGivenToOthers(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{
		{Request: tape.Request{URL: "http://h.example/?token=new"}},
		{Request: tape.Request{URL: "http://h.example/?token=REDACTED-2"}, Response: &tape.Response{
			Status: 200, Length: -1, Chunks: []tape.Chunk{{Data: []byte(`{"token":"REDACTED-1"}`)}}, Header: http.Header{"Set-Cookie": {"sid=REDACTED-3; Path=/"}}, Trailer: http.Header{"X-Auth-Token": {"REDACTED-4"}},
		}},
		{Request: tape.Request{URL: "http://h.example/?token=REDACTED-6&api_key=newer"}},
	}}
	have := tp.Redact(nil)
	require.Equal(t, "http://h.example/?token=REDACTED-5", have.Exchanges[0].Request.URL)
	require.Equal(t, "http://h.example/?token=REDACTED-6&api_key=REDACTED-7", have.Exchanges[2].Request.URL)
	require.Equal(t, tp.Exchanges[1], have.Exchanges[1])
	require.Equal(t, have, have.Redact(nil))
}

// Tapes that were recorded before secrets had numbers.
func TestTapeWithoutNumbersAnswersInItsOrder(t *testing.T) {
	tp := &tape.Tape{}
	for _, body := range []string{"1", "2", "3"} {
		tp.Exchanges = append(tp.Exchanges, &tape.Exchange{
			Request:  tape.Request{URL: "http://REDACTED:REDACTED@h.example/?token=REDACTED", Header: http.Header{"Authorization": {"REDACTED"}, "Cookie": {"REDACTED"}}},
			Response: &tape.Response{Status: 200, Length: -1, Chunks: []tape.Chunk{{Data: []byte(body)}}},
		})
	}
	p, err := tp.Player(tape.PlayerOptions{})
	require.NoError(t, err)
	for i, user := range []string{"ada", "bob", "ada"} {
		have, err := sendWith(t, p, "GET", "http://u:"+user+"@h.example/?token="+user, "", "Authorization", "Bearer "+user, "Cookie", "sid="+user)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i+1), have)
	}
}

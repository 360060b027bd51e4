package tape_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/plytest/tape"
)

// asked is a request of a test, and what its answer says.
type asked struct{ url, form, json, user, answer string }

func (a asked) request() tape.Request {
	r := tape.Request{Method: "GET", URL: a.url, Header: http.Header{}}
	if a.user != "" {
		r.Header.Set("Authorization", "Bearer "+a.user)
	}
	switch {
	case a.form != "":
		r.Method, r.Body = "POST", []byte(a.form)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case a.json != "":
		r.Method, r.Body = "POST", []byte(a.json)
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// playerOf returns a player of a tape without secrets of requests.
func playerOf(t *testing.T, o tape.PlayerOptions, all ...asked) *tape.Player {
	t.Helper()
	tp := &tape.Tape{}
	for _, a := range all {
		tp.Exchanges = append(tp.Exchanges, &tape.Exchange{Request: a.request(), Response: &tape.Response{Status: 200, Length: -1, Chunks: []tape.Chunk{{Data: []byte(a.answer)}}}})
	}
	p, err := tp.Redact(nil).Player(o)
	require.NoError(t, err)
	return p
}

// ask sends a request, and returns what the answer says.
func (a asked) ask(t *testing.T, h http.RoundTripper) (string, error) {
	t.Helper()
	r := a.request()
	var fields []string
	for name := range r.Header {
		fields = append(fields, name, r.Header.Get(name))
	}
	return sendWith(t, h, r.Method, r.URL, string(r.Body), fields...)
}

func TestWhatAProtocolMakesNewEachTimeDoesNotCount(t *testing.T) {
	for name, tt := range map[string]struct{ recorded, sent asked }{
		"an authorization request":     {asked{url: "http://h.example/authorize?client_id=a&response_type=code&state=s1&nonce=n1&code_challenge=c1&code_challenge_method=S256"}, asked{url: "http://h.example/authorize?client_id=a&response_type=code&state=s2&nonce=n2&code_challenge=c2&code_challenge_method=S256"}},
		"its answer":                   {asked{url: "http://h.example/cb?code=c1&state=s1"}, asked{url: "http://h.example/cb?code=c2&state=s2"}},
		"its answer in a form":         {asked{url: "http://h.example/cb", form: "code=c1&state=s1"}, asked{url: "http://h.example/cb", form: "code=c2&state=s2"}},
		"a URL signed for S3":          {asked{url: "http://h.example/a?X-Amz-Credential=AK%2F20260301%2Feu%2Fs3%2Faws4_request&X-Amz-Date=20260301T000000Z&X-Amz-Signature=1"}, asked{url: "http://h.example/a?X-Amz-Credential=AK%2F20260302%2Feu%2Fs3%2Faws4_request&X-Amz-Date=20260302T000000Z&X-Amz-Signature=2"}},
		"a URL signed for a CDN":       {asked{url: "http://h.example/a?Expires=1&Key-Pair-Id=K&Signature=1"}, asked{url: "http://h.example/a?Expires=2&Key-Pair-Id=K&Signature=2"}},
		"OAuth 1":                      {asked{url: "http://h.example/a?oauth_consumer_key=k&oauth_nonce=1&oauth_timestamp=1&oauth_signature=1"}, asked{url: "http://h.example/a?oauth_consumer_key=k&oauth_nonce=2&oauth_timestamp=2&oauth_signature=2"}},
		"a signature with a time":      {asked{url: "http://h.example/a?symbol=x&timestamp=1&signature=1"}, asked{url: "http://h.example/a?symbol=x&timestamp=2&signature=2"}},
		"a signed form":                {asked{url: "http://h.example/", form: "a=1&ts=1&nonce=1&sign=1"}, asked{url: "http://h.example/", form: "a=1&ts=2&nonce=2&sign=2"}},
		"a signed object":              {asked{url: "http://h.example/", json: `{"a":1,"timestamp":1,"signature":"1"}`}, asked{url: "http://h.example/", json: `{"signature":"2","timestamp":2,"a":1}`}},
		"an exchange that comes again": {asked{url: "http://h.example/a?Expires=1&Signature=1"}, asked{url: "http://h.example/a?Expires=1&Signature=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.recorded.answer = "yes"
			p := playerOf(t, tape.PlayerOptions{}, asked{url: "http://h.example/other?state=s2", answer: "no"}, tt.recorded)
			have, err := tt.sent.ask(t, p)
			require.NoError(t, err)
			require.Equal(t, "yes", have)
			_, err = tt.sent.ask(t, p)
			require.ErrorContains(t, err, "has been given")
			require.Len(t, p.Unused(), 1)

			p = playerOf(t, tape.PlayerOptions{Reuse: true}, tt.recorded)
			for range 2 {
				_, err = tt.sent.ask(t, p)
				require.NoError(t, err)
			}
		})
	}
}

func TestParameterThatMaySaySomethingCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		recorded, sent asked
		want           string // of the error
	}{
		"a state of something else":     {asked{url: "http://h.example/issues?state=open"}, asked{url: "http://h.example/issues?state=closed"}, `All that differs is ["state"] of the URL. If that is new in each run, have it left out by Options.Match:` + "\n" + `  keying.New(keying.Method(), keying.URL(keying.URLOptions{Ignore: []string{"state"}}), keying.Body(keying.BodyOptions{}), keying.IgnoreCredentials())` + "\n"},
		"a time without a signature":    {asked{url: "http://h.example/prices?timestamp=1"}, asked{url: "http://h.example/prices?timestamp=2"}, `Ignore: []string{"timestamp"}`},
		"more than what is new":         {asked{url: "http://h.example/a?page=1&Expires=1&Signature=1"}, asked{url: "http://h.example/a?page=2&Expires=2&Signature=2"}, `All that differs is ["Expires" "page"] of the URL. `},
		"a parameter that is not there": {asked{url: "http://h.example/a?Signature=1"}, asked{url: "http://h.example/a?Expires=2&Signature=2"}, `All that differs is ["Expires"] of the URL. `},
		"members of JSON":               {asked{url: "http://h.example/", json: `{"id":"1","meta":{"a.b":{"at":1}},"list":[{"t":1},{"t":2}],"same":1}`}, asked{url: "http://h.example/", json: `{"id":"2","meta":{"a.b":{"at":2}},"list":[{"t":3},{"t":4}],"same":1}`}, `keying.Body(keying.BodyOptions{Ignore: []string{"id", "list.t", "meta.a\\.b.at"}})`},
		"fields of a form":              {asked{url: "http://h.example/", form: "a.b=1&c=1"}, asked{url: "http://h.example/", form: "a.b=2&c=1"}, `keying.Body(keying.BodyOptions{Ignore: []string{"a.b"}})`},
	} {
		t.Run(name, func(t *testing.T) {
			tt.recorded.answer = "yes"
			_, err := tt.sent.ask(t, playerOf(t, tape.PlayerOptions{}, tt.recorded))
			require.ErrorContains(t, err, tt.want)
		})
	}
	_, err := asked{url: "http://h.example/other?a=2"}.ask(t, playerOf(t, tape.PlayerOptions{}, asked{url: "http://h.example/a?a=1"}))
	require.NotContains(t, err.Error(), "All that differs")
	_, err = asked{url: "http://h.example/?a=2"}.ask(t, playerOf(t, tape.PlayerOptions{Match: keying.SingleUser()}, asked{url: "http://h.example/?a=1"}))
	require.NotContains(t, err.Error(), "All that differs", "the caller knows Match")
}

// What the error proposes is what makes the replay go on.
func TestMatchThatTheErrorProposesFits(t *testing.T) {
	match := keying.New(keying.Method(), keying.URL(keying.URLOptions{Ignore: []string{"run"}}), keying.Body(keying.BodyOptions{Ignore: []string{"list.t", `meta.a\.b.at`}}), keying.IgnoreCredentials())
	p := playerOf(t, tape.PlayerOptions{Match: match}, asked{url: "http://h.example/?run=1", json: `{"meta":{"a.b":{"at":1}},"list":[{"t":1}]}`, answer: "yes"})
	have, err := asked{url: "http://h.example/?run=2", json: `{"meta":{"a.b":{"at":2}},"list":[{"t":2}]}`}.ask(t, p)
	require.NoError(t, err)
	require.Equal(t, "yes", have)
}

// Where two requests of the tape differ in nothing but what is new each time, a replay may not choose one: they may be two persons'.
func TestRequestsAlikeOfSeveralCallersAreRefused(t *testing.T) {
	authorize := func(state, answer string) asked {
		return asked{url: "http://h.example/authorize?client_id=a&state=" + state, answer: answer}
	}
	p := playerOf(t, tape.PlayerOptions{}, authorize("s1", "ada"), authorize("s2", "bob"))
	_, err := authorize("s3", "").ask(t, p)
	require.ErrorContains(t, err, `All that differs is ["state"] of the URL. 2 requests of the tape are alike but for that, and may be those of several callers. `)
	for _, a := range []asked{authorize("s2", "bob"), authorize("s1", "ada")} { // what is the same is no question
		have, err := a.ask(t, p)
		require.NoError(t, err)
		require.Equal(t, a.answer, have)
	}

	signed := func(user, time, answer string) asked {
		return asked{url: "http://h.example/a?Expires=" + time + "&Signature=" + time, user: user, answer: answer}
	}
	p = playerOf(t, tape.PlayerOptions{}, signed("", "1", "ada"), signed("", "2", "bob"))
	_, err = signed("", "3", "").ask(t, p)
	require.ErrorContains(t, err, "may be those of several callers")

	p = playerOf(t, tape.PlayerOptions{}, signed("ada", "1", "ada"), signed("bob", "2", "bob"))
	_, err = signed("bob", "3", "").ask(t, p)
	require.ErrorContains(t, err, "may be those of several callers")

	key := func(user, app, time, answer string) asked { // a key that both have does not make them one
		return asked{url: "http://h.example/a?api_key=" + app + "&Expires=" + time + "&Signature=" + time, user: user, answer: answer}
	}
	p = playerOf(t, tape.PlayerOptions{}, key("ada", "k", "0", "ada"), key("bob", "k", "0", "bob"), asked{url: "http://h.example/b?api_key=k&Expires=1&Signature=1"}, asked{url: "http://h.example/b?api_key=k&Expires=2&Signature=2"})
	_, err = asked{url: "http://h.example/b?api_key=k&Expires=3&Signature=3"}.ask(t, p)
	require.ErrorContains(t, err, "may be those of several callers")
}

func TestRequestsAlikeOfOneCallerAreAnsweredInOrder(t *testing.T) {
	signed := func(user, time, answer string) asked {
		return asked{url: "http://h.example/a?Expires=" + time + "&Signature=" + time, user: user, answer: answer}
	}
	p := playerOf(t, tape.PlayerOptions{}, signed("ada", "1", "first"), signed("ada", "2", "second"))
	for _, want := range []string{"first", "second"} {
		have, err := signed("fake", "3", "").ask(t, p)
		require.NoError(t, err)
		require.Equal(t, want, have)
	}
	_, err := signed("fake", "3", "").ask(t, p)
	require.ErrorContains(t, err, "has been given")
}

// A user whose own exchange the tape has elsewhere gets no answer of another, though it is the only one that is alike.
func TestOnlyRequestThatIsAlikeIsNotGivenToAnotherCaller(t *testing.T) {
	me := func(user string) asked { return asked{url: "http://h.example/me", user: user, answer: user} }
	signed := func(user, time string) asked {
		return asked{url: "http://h.example/a?Expires=" + time + "&Signature=" + time, user: user, answer: user}
	}
	p := playerOf(t, tape.PlayerOptions{}, me("ada"), me("bob"), signed("ada", "1"))
	for _, user := range []string{"ada", "bob"} {
		have, err := me(user).ask(t, p)
		require.NoError(t, err)
		require.Equal(t, user, have)
	}
	_, err := signed("bob", "2").ask(t, p)
	var unmatched *tape.UnmatchedError
	require.ErrorAs(t, err, &unmatched)
	require.True(t, unmatched.OfOthers)
	require.NotContains(t, strings.ToLower(err.Error()), "bob")
	have, err := signed("ada", "2").ask(t, p)
	require.NoError(t, err)
	require.Equal(t, "ada", have)
}

package tape_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/redact"
)

type handler func(*http.Request) (*http.Response, error)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) { return h(r) }

// answers returns a server that answers a request with what its path says.
func answers(text func(r *http.Request) string) handler {
	return func(r *http.Request) (*http.Response, error) {
		body := text(r)
		return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// noServer fails the test when a replay reaches it.
func noServer(t *testing.T) handler {
	return func(r *http.Request) (*http.Response, error) {
		t.Errorf("the server was asked: %s %s", r.Method, r.URL)
		return nil, io.EOF
	}
}

// A test is a testing.TB of which the test of a tape sees what it does.
type test struct {
	testing.TB
	cleanups []func()
	errors   []string
	failed   bool
}

type fatal struct{}

func (t *test) Helper()             {}
func (t *test) Failed() bool        { return t.failed || len(t.errors) > 0 }
func (t *test) Cleanup(f func())    { t.cleanups = append(t.cleanups, f) }
func (t *test) Logf(string, ...any) {}
func (t *test) Error(a ...any)      { t.errors = append(t.errors, fmt.Sprint(a...)) }
func (t *test) Errorf(format string, a ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, a...))
}
func (t *test) Fatal(a ...any) { t.Error(a...); panic(fatal{}) }

// run runs a test with a tape, and returns what it reported.
func run(path string, o tape.Options, do func(t *test, s *tape.Session)) []string {
	t := &test{}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(fatal{}) {
				panic(r)
			}
		}()
		s := tape.Open(t, path, o)
		do(t, s)
	}()
	for _, f := range t.cleanups {
		f()
	}
	return t.errors
}

// mine lets a test record wherever it runs.
func mine(t *testing.T) {
	t.Setenv("CI", "")
	t.Setenv(tape.Environment, "")
}

func send(t *testing.T, rt http.RoundTripper, method, url, body string) (string, error) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, content)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+canary)
	r.Header.Set("Content-Type", "application/json")
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

const canary = "c4n4ry"

func TestTapeIsRecordedOnceAndThenReplayed(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "testdata", "users.tape")
	asked := 0
	for i := range 3 {
		reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			rt := s.Middleware(answers(func(r *http.Request) string { asked++; return fmt.Sprintf(`{"path": %q}`, r.URL.Path) }))
			for _, path := range []string{"/a", "/b", "/a"} {
				body, err := send(t, rt, "GET", "http://h.example"+path, "")
				require.NoError(t, err)
				require.JSONEq(t, fmt.Sprintf(`{"path": %q}`, path), body)
			}
		})
		require.Empty(t, reported)
		require.Equal(t, 3, asked, "run %d", i)
	}
}

func TestModes(t *testing.T) {
	mine(t)
	dir := t.TempDir()
	there, absent := filepath.Join(dir, "there.tape"), filepath.Join(dir, "absent.tape")
	require.NoError(t, (&tape.Tape{}).Save(there))
	for name, c := range map[string]struct {
		mode          tape.Mode
		env, ci, path string
		asked         bool   // the server is
		written       bool   // the file is there afterwards
		reported      string // what the test says
	}{
		"auto, no file":            {path: absent, asked: true, written: true},
		"auto, no file, CI":        {path: absent, ci: "true", reported: "PLY_TAPE=record"},
		"auto, a file":             {path: there, written: true, reported: "the tape is empty"},
		"auto, a file, CI":         {path: there, ci: "true", written: true, reported: "the tape is empty"},
		"record":                   {mode: tape.ModeRecord, path: there, asked: true, written: true},
		"record, CI":               {mode: tape.ModeRecord, ci: "1", path: absent, reported: "CI never records"},
		"record by environment":    {env: "record", path: absent, asked: true, written: true},
		"replay over record":       {mode: tape.ModeRecord, env: "replay", path: absent, reported: "there is no tape"},
		"replay, no file":          {mode: tape.ModeReplay, path: absent, reported: "there is no tape"},
		"passthrough":              {mode: tape.ModePassthrough, path: absent, asked: true},
		"passthrough, CI":          {mode: tape.ModePassthrough, ci: "1", path: absent, asked: true},
		"an unknown environment":   {env: "yes", path: there, written: true, reported: "PLY_TAPE=yes"},
		"a mode that there is not": {mode: 17, path: there, written: true, reported: "no mode 17"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			t.Setenv(tape.Environment, c.env)
			os.Remove(absent)
			require.NoError(t, (&tape.Tape{}).Save(there))
			asked := false
			reported := run(c.path, tape.Options{Mode: c.mode}, func(_ *test, s *tape.Session) {
				send(t, s.Middleware(answers(func(*http.Request) string { asked = true; return "{}" })), "GET", "http://h.example/", "")
			})
			_, err := os.Stat(c.path)
			if asked != c.asked || (err == nil) != c.written || (len(reported) > 0) != (c.reported != "") || !strings.Contains(strings.Join(reported, "\n"), c.reported) {
				t.Errorf("asked: %v, written: %v, reported: %q", asked, err == nil, reported)
			}
		})
	}
}

func TestFailedTestWritesNoTape(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	run(path, tape.Options{}, func(test *test, s *tape.Session) {
		send(t, s.Middleware(answers(func(*http.Request) string { return "{}" })), "GET", "http://h.example/", "")
		test.failed = true
	})
	require.NoFileExists(t, path)
}

func TestUnmatchedRequestFailsTheTestWithADiff(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	server := answers(func(*http.Request) string { return "{}" })
	run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		send(t, s.Middleware(server), "GET", "http://h.example/other", "")
		send(t, s.Middleware(server), "POST", "http://h.example/users?page=1&token="+canary, "{\n\"name\": \"Ada\",\n\"password\": \""+canary+"\"\n}")
	})
	var unmatched *tape.UnmatchedError
	reported := run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		rt := s.Middleware(noServer(t))
		_, err := send(t, rt, "POST", "http://h.example/users?page=2&token="+canary, "{\n\"name\": \"Bob\",\n\"password\": \""+canary+"\"\n}")
		require.ErrorAs(t, err, &unmatched)
	})
	require.Len(t, reported, 1)
	const want = "  POST http://h.example/users\n-   page=1\n+   page=2\n    token=REDACTED\n  {\n- \"name\": \"Ada\",\n+ \"name\": \"Bob\",\n  \"password\": \"REDACTED\"\n  }\n"
	if !strings.Contains(reported[0], want) || strings.Contains(reported[0], canary) || unmatched.Used {
		t.Errorf("%s", reported[0])
	}
	reported = run(path, tape.Options{}, func(_ *test, s *tape.Session) {
		send(t, s.Middleware(noServer(t)), "GET", "http://h.example/other", "")
		send(t, s.Middleware(noServer(t)), "GET", "http://h.example/other", "")
	})
	require.Len(t, reported, 1)
	require.Contains(t, reported[0], "has been given")
	require.Empty(t, run(path, tape.Options{Reuse: true}, func(_ *test, s *tape.Session) {
		for range 3 {
			send(t, s.Middleware(noServer(t)), "GET", "http://h.example/other", "")
		}
	}))
}

func TestSameRequestsAreAnsweredInTheirOrder(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	n := 0
	var recorded, replayed []string
	for _, got := range []*[]string{&recorded, &replayed} {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			for range 3 {
				body, err := send(t, s.Middleware(answers(func(*http.Request) string { n++; return fmt.Sprint(n) })), "GET", "http://h.example/", "")
				require.NoError(t, err)
				*got = append(*got, body)
			}
		}))
	}
	require.Equal(t, []string{"1", "2", "3"}, recorded)
	require.Equal(t, recorded, replayed)
}

func TestMatchChoosesWhatMakesRequestsTheSame(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	o := tape.Options{Match: keying.New(keying.URL(keying.URLOptions{Ignore: []string{"nonce"}}))}
	for _, nonce := range []string{"1", "2"} {
		require.Empty(t, run(path, o, func(_ *test, s *tape.Session) {
			body, err := send(t, s.Middleware(answers(func(*http.Request) string { return "one" })), "GET", "http://h.example/?a=1&nonce="+nonce, "")
			require.NoError(t, err)
			require.Equal(t, "one", body)
		}))
	}
}

func TestDifferenceIsInTheFieldsIfInNothingElse(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/", Header: http.Header{"Accept": {"text/html"}, "Authorization": {"REDACTED"}}}, Response: &tape.Response{Status: 204}}}}
	p, err := tp.Player(tape.PlayerOptions{Match: keying.New(keying.URL(keying.URLOptions{}), keying.Header("Accept"), keying.IgnoreCredentials())})
	require.NoError(t, err)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
	r.Header = http.Header{"Accept": {"text/plain"}, "Authorization": {canary}}
	_, err = p.RoundTrip(r)
	require.ErrorContains(t, err, "\n  GET http://h.example/\n- Accept: text/html\n+ Accept: text/plain\n  Authorization: REDACTED\n")
	require.Len(t, p.Unused(), 1)
	r.Header.Set("Accept", "text/html")
	resp, err := p.RoundTrip(r)
	require.NoError(t, err)
	require.Equal(t, 204, resp.StatusCode)
	require.Empty(t, p.Unused())
}

func TestSecretsNeverReachTheFile(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	o := tape.Options{Redactor: &redact.Redactor{HideHeaders: []string{"X-Tenant"}, HideParams: []string{"account"}}, Scrub: func(e *tape.Exchange) {
		if e.Response != nil {
			e.Response.Header.Del("X-Unnamed")
		}
	}}
	server := handler(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/broken" {
			return nil, fmt.Errorf("dial: Get %q: no route", r.URL)
		}
		body := `{"user": "Ada", "access_token": "` + canary + `", "keys": [1], "n": {"password": "` + canary + `", "shown": "yes"}, "client_secrets": ["` + canary + `", {"id": "shown too"}]}`
		return &http.Response{StatusCode: 200, Header: http.Header{
			"Set-Cookie": {"s=" + canary}, "X-Tenant": {canary}, "X-Unnamed": {canary}, "Content-Type": {"application/json"}, "Location": {"https://u:" + canary + "@h.example/?code=1&token=" + canary}, "Content-Length": {fmt.Sprint(len(body))},
		}, Trailer: http.Header{"X-Api-Key": {canary}}, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
	do := func(_ *test, s *tape.Session) {
		rt := s.Middleware(server)
		body, err := send(t, rt, "POST", "https://u:"+canary+"@h.example/a?page=1&api_key="+canary+"&account="+canary+"&X-Amz-Signature="+canary, `{"password": "`+canary+`"}`)
		require.NoError(t, err)
		require.Contains(t, body, "Ada")
		form, _ := http.NewRequestWithContext(t.Context(), "POST", "https://h.example/form", strings.NewReader("user=ada&client_secret="+canary))
		form.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Cookie": {"s=" + canary}, "X-Auth-Token": {canary}}
		resp, err := rt.RoundTrip(form)
		require.NoError(t, err)
		io.Copy(io.Discard, resp.Body)
		_, err = send(t, rt, "GET", "https://h.example/broken?token="+canary, "")
		require.Error(t, err)
	}
	require.Empty(t, run(path, o, do))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	if strings.Contains(string(text), canary) {
		t.Errorf("%s", text)
	}
	for _, shown := range []string{`page=1`, `user=ada`, `\"user\": \"Ada\"`, `\"shown\": \"yes\"`, "shown too", "code=1"} {
		require.Contains(t, string(text), shown)
	}
	tp, err := tape.Load(path)
	require.NoError(t, err)
	require.Equal(t, int64(len(tp.Exchanges[0].Response.Body())), tp.Exchanges[0].Response.Length)
	require.Empty(t, run(path, o, func(test *test, s *tape.Session) { server = noServer(t); do(test, s) }), "what is hidden matches what is hidden")
}

// flow is a body that comes in pieces, and ends with an error.
type flow struct {
	pieces []string
	every  time.Duration
	end    error
	ctx    context.Context
}

func (f *flow) Read(p []byte) (int, error) {
	if len(f.pieces) == 0 {
		if f.end != io.EOF {
			time.Sleep(time.Second)
		}
		return 0, f.end
	}
	select {
	case <-time.After(f.every):
	case <-f.ctx.Done():
		return 0, f.ctx.Err()
	}
	n := copy(p, f.pieces[0])
	if f.pieces[0] = f.pieces[0][n:]; f.pieces[0] == "" {
		f.pieces = f.pieces[1:]
	}
	return n, nil
}

func (f *flow) Close() error { return nil }

func TestStreamIsReplayedAsItCame(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	server := handler(func(r *http.Request) (*http.Response, error) {
		time.Sleep(2 * time.Second)
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: &flow{[]string{"data: 1\n\n", "data: 2\n\n"}, 3 * time.Second, syscall.ECONNRESET, r.Context()}, Request: r}, nil
	})
	var seen [2][]string
	for i := range seen {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			note := func(format string, a ...any) {
				seen[i] = append(seen[i], time.Since(begun).String()+" "+fmt.Sprintf(format, a...))
			}
			require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
				time.Sleep(time.Second)
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
				resp, err := s.Middleware(server).RoundTrip(r)
				require.NoError(t, err)
				note("%d", resp.StatusCode)
				for p := make([]byte, 100); ; {
					n, err := resp.Body.Read(p)
					note("%q %v", p[:n], errors.Is(err, syscall.ECONNRESET))
					if err != nil {
						return
					}
				}
			}))
		})
	}
	require.Equal(t, []string{"3s 200", `6s "data: 1\n\n" false`, `9s "data: 2\n\n" false`, `10s "" true`}, seen[0])
	require.Equal(t, seen[0], seen[1])
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		run(path, tape.Options{NoWait: true}, func(_ *test, s *tape.Session) {
			_, err := send(t, s.Middleware(noServer(t)), "GET", "http://h.example/", "")
			require.ErrorIs(t, err, syscall.ECONNRESET)
		})
		require.Zero(t, time.Since(begun))
	})
}

func TestFailuresAreReplayedAsWhatTheyWere(t *testing.T) {
	mine(t)
	for name, c := range map[string]struct {
		err  error
		kind tape.FailureKind
	}{
		"canceled": {context.Canceled, tape.FailureCanceled}, "deadline": {context.DeadlineExceeded, tape.FailureDeadline}, "dns": {&net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}, tape.FailureDNS},
		"refused": {syscall.ECONNREFUSED, tape.FailureRefused}, "reset": {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, tape.FailureReset}, "eof": {io.EOF, tape.FailureEOF}, "cut": {io.ErrUnexpectedEOF, tape.FailureEOF},
		"tls": {&tls.CertificateVerificationError{Err: errors.New("expired")}, tape.FailureTLS}, "timeout": {os.ErrDeadlineExceeded, tape.FailureTimeout}, "other": {errors.New("strange"), tape.FailureOther},
	} {
		path := filepath.Join(t.TempDir(), "a.tape")
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			_, err := send(t, s.Middleware(handler(func(*http.Request) (*http.Response, error) { return nil, c.err })), "GET", "http://h.example/", "")
			require.ErrorIs(t, err, c.err)
		}), name)
		tp, err := tape.Load(path)
		require.NoError(t, err)
		require.Equal(t, c.kind, tp.Exchanges[0].Failure.Kind, name)
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			_, err := send(t, s.Middleware(noServer(t)), "GET", "http://h.example/", "")
			require.EqualError(t, err, c.err.Error(), name)
		}))
	}
}

func TestBodyThatTheCallerLeavesEndsThere(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	for i := range 2 {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
			resp, err := s.Middleware(answers(func(*http.Request) string { return "a long body" })).RoundTrip(r)
			require.NoError(t, err)
			_, err = io.ReadFull(resp.Body, make([]byte, 6))
			require.NoError(t, err)
			if i == 1 {
				_, err = io.ReadAll(resp.Body)
				require.ErrorIs(t, err, tape.ErrClosed)
			}
			resp.Body.Close()
		}))
	}
}

func TestTapeHasWhatCameAndWhen(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	server := handler(func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: 200, Proto: "HTTP/1.1", Header: http.Header{}, ContentLength: -1, Request: r, Trailer: http.Header{"X-Sum": {"7"}}}
		switch r.URL.Path {
		case "/stream":
			resp.Body = &flow{[]string{"a", "b"}, time.Second, io.EOF, r.Context()}
		case "/sized":
			resp.ContentLength, resp.Body, resp.Trailer = 3, io.NopCloser(strings.NewReader("abc")), nil
		}
		return resp, nil
	})
	synctest.Test(t, func(t *testing.T) {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			for _, path := range []string{"/stream", "/sized"} {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example"+path, nil)
				r.Host = "virtual.example"
				resp, err := s.Middleware(server).RoundTrip(r)
				require.NoError(t, err)
				for p := make([]byte, 1); err == nil && !(path == "/sized" && p[0] == 'c'); {
					_, err = resp.Body.Read(p)
				}
				resp.Body.Close() // of what has a length, at its end: the caller need not read the EOF
			}
		}))
	})
	have, err := tape.Load(path)
	require.NoError(t, err)
	request := func(path string) tape.Request {
		return tape.Request{Method: "GET", URL: "http://h.example" + path, Host: "virtual.example"}
	}
	want := []*tape.Exchange{
		{Request: request("/stream"), Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Length: -1, Trailer: http.Header{"X-Sum": {"7"}}, Chunks: []tape.Chunk{{At: time.Second, Data: []byte("a")}, {At: 2 * time.Second, Data: []byte("b")}}}},
		{At: 2 * time.Second, Request: request("/sized"), Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Length: 3, Chunks: []tape.Chunk{{Data: []byte("abc")}}}},
	}
	if diff := cmp.Diff(want, have.Exchanges, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestMemberThatIsNoSecretStays(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	const body = `{"key": "PLY-1", "nextToken": "2", "apiKey": "` + canary + `"}`
	for range 2 {
		require.Empty(t, run(path, tape.Options{ShowMembers: []string{"KEY", "nextToken"}}, func(_ *test, s *tape.Session) {
			_, err := send(t, s.Middleware(answers(func(*http.Request) string { return body })), "POST", "http://h.example/", body)
			require.NoError(t, err)
		}))
	}
	tp, err := tape.Load(path)
	require.NoError(t, err)
	const want = `{"key": "PLY-1", "nextToken": "2", "apiKey": "REDACTED-1"}` // the request's own credentials
	require.Equal(t, want, string(tp.Exchanges[0].Request.Body))
	require.Equal(t, want, string(tp.Exchanges[0].Response.Body()))
}

func TestSecretsInPiecesAndInCodedContentAreHidden(t *testing.T) {
	coded := zipped(`{"token": "` + canary + `"}`)
	json := http.Header{"Content-Type": {"application/json"}}
	codedJSON := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, "Content-Length": {"1"}}
	tp := &tape.Tape{Exchanges: []*tape.Exchange{
		{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 200, Header: json, Length: -1, Chunks: []tape.Chunk{
			{At: 1, Data: []byte(`{"a": 1, "token": "c4`)}, {At: 2, Data: []byte(`n4`)}, {At: 3, Data: []byte(`ry", "b"`)}, {At: 4, Data: []byte(`: 2}`)},
		}}},
		{Request: tape.Request{URL: "http://h.example/", Header: codedJSON, Body: coded}, Response: &tape.Response{Status: 200, Header: codedJSON, Length: 1, Chunks: []tape.Chunk{{At: 1, Data: coded[:5]}, {At: 2, Data: coded[5:]}}}},
		{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 200, Header: http.Header{"Content-Encoding": {"gzip"}}, Chunks: []tape.Chunk{{Data: zipped("no secret")}}}},
	}}
	have := tp.Redact(nil)
	require.Equal(t, []tape.Chunk{{At: 1, Data: []byte(`{"a": 1, "token": "REDACTED-1`)}, {At: 3, Data: []byte(`", "b"`)}, {At: 4, Data: []byte(`: 2}`)}}, have.Exchanges[0].Response.Chunks)
	hidden := have.Exchanges[1]
	require.Equal(t, `{"token": "REDACTED-1"}`, string(hidden.Request.Body))
	require.Equal(t, http.Header{"Content-Type": {"application/json"}, "Content-Length": {"23"}}, hidden.Request.Header)
	require.Equal(t, &tape.Response{Status: 200, Header: json, Length: -1, Uncompressed: true, Chunks: []tape.Chunk{{At: 2, Data: []byte(`{"token": "REDACTED-1"}`)}}}, hidden.Response)
	require.Equal(t, tp.Exchanges[2], have.Exchanges[2])
	require.Equal(t, coded, tp.Exchanges[1].Request.Body, "the tape has changed")
	require.Equal(t, "gzip", codedJSON.Get("Content-Encoding"), "the tape has changed")
}

func TestFileIsReadLineByLine(t *testing.T) {
	tp := &tape.Tape{Start: morning, Exchanges: []*tape.Exchange{
		{At: time.Second, Request: tape.Request{URL: "http://h.example/?a=1&b=2", Header: http.Header{"B": {"2"}, "A": {"1", "<&>"}}, Body: []byte("a\nb")}, Response: &tape.Response{
			Status: 200, Wait: 1500 * time.Millisecond, Length: -1, Chunks: []tape.Chunk{{Data: []byte("<p>\n</p>\n")}, {At: time.Second, Data: []byte("\xff\x00")}},
		}},
		{At: time.Second, Request: tape.Request{Method: "PUT", URL: "http://h.example/"}, Failure: &tape.Failure{At: time.Minute, Kind: tape.FailureReset, Text: "reset"}},
	}}
	var b strings.Builder
	require.NoError(t, tp.Encode(&b))
	golden, err := os.ReadFile("testdata/golden.tape")
	require.NoError(t, err)
	require.Equal(t, string(golden), b.String())
	have, err := tape.Decode(strings.NewReader(b.String()))
	require.NoError(t, err)
	tp.Exchanges[0].Request.Method, tp.Exchanges[0].Response.Proto = "GET", "HTTP/1.1"
	if diff := cmp.Diff(tp, have, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoTapeIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no JSON": "tape", "another version": `{"tape": 2}`, "no version": `{}`, "out of order": `{"tape": 1, "exchanges": [{"at": "1s", "failure": {"at": "0s", "kind": "eof"}}, {"at": "0s", "failure": {"at": "0s", "kind": "eof"}}]}`,
		"nothing came": `{"tape": 1, "exchanges": [{"at": "0s"}]}`, "no status": `{"tape": 1, "exchanges": [{"at": "0s", "response": {"status": 0}}]}`, "no time": `{"tape": 1, "exchanges": [{"at": "soon"}]}`,
		"an empty chunk": `{"tape": 1, "exchanges": [{"at": "0s", "response": {"status": 200, "wait": "0s", "chunks": [{"at": "0s", "data": ""}]}}]}`, "no base64": `{"tape": 1, "exchanges": [{"at": "0s", "request": {"body": {"base64": ["!"]}}}]}`,
	} {
		if _, err := tape.Decode(strings.NewReader(text)); !errors.Is(err, tape.ErrNoTape) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	golden, err := os.ReadFile("testdata/golden.tape")
	require.NoError(f, err)
	f.Add(string(golden))
	f.Fuzz(func(t *testing.T, text string) {
		first, err := tape.Decode(strings.NewReader(text))
		if err != nil {
			return
		}
		var b strings.Builder
		if first.Encode(&b) != nil {
			return // a year that RFC 3339 does not have
		}
		second, err := tape.Decode(strings.NewReader(b.String()))
		require.NoError(t, err)
		var again strings.Builder
		require.NoError(t, second.Encode(&again))
		require.Equal(t, b.String(), again.String())
		first.Redact(nil)
		if p, err := second.Player(tape.PlayerOptions{}); err == nil {
			p.Unused()
		}
	})
}

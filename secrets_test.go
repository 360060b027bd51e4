package ply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store"
)

// The canaries are secrets, a different word for each place, so that a failure names the one that leaked.
var canaries = map[string]string{
	"userinfo":             "c4nary-u5er",
	"Authorization":        "c4nary-auth",
	"Cookie":               "c4nary-c00kie",
	"Set-Cookie":           "c4nary-set",
	"query token":          "c4nary-query",
	"API-key header":       "c4nary-ap1",
	"proxy credentials":    "c4nary-pr0xy",
	"body member":          "c4nary-b0dy",
	"redirect Location":    "c4nary-l0cation",
	"error text":           "c4nary-err0r",
	"custom header":        "c4nary-request-custom",
	"signed URL":           "c4nary-5igned",
	"challenge":            "c4nary-challenge",
	"Referer":              "c4nary-referer",
	"body of the response": "c4nary-answer",

	"custom field of the response": "c4nary-response-custom",
}

// canaryRequest returns a request with a canary wherever it can have a secret.
func canaryRequest(t *testing.T, ctx context.Context, method, path string) *http.Request {
	t.Helper()
	target := "https://" + canaries["userinfo"] + ":" + canaries["userinfo"] + "@a.test" + path +
		"?token=" + canaries["query token"] + "&X-Amz-Signature=" + canaries["signed URL"] + "&" + canaries["query token"] + "="
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	require.NoError(t, err)
	for name, canary := range map[string]string{
		"Authorization": "Bearer " + canaries["Authorization"], "Cookie": "sid=" + canaries["Cookie"], "X-Api-Key": canaries["API-key header"],
		"Proxy-Authorization": "Basic " + canaries["proxy credentials"], "X-Custom": canaries["custom header"],
		"Referer": "https://a.test/?token=" + canaries["Referer"],
	} {
		req.Header.Set(name, canary)
	}
	if method == http.MethodPost {
		text := `{"client_secret":"` + canaries["body member"] + `"}`
		req.Header.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	}
	return req
}

// canaryOrigin returns an origin with a canary wherever a response or an error can have a secret.
func canaryOrigin() *plytest.Origin {
	secret := []string{"Set-Cookie", "sid=" + canaries["Set-Cookie"], "X-Custom", canaries["custom field of the response"], "Www-Authenticate", "Bearer " + canaries["challenge"]}
	failing := &url.Error{Op: "dial", URL: "https://u:" + canaries["error text"] + "@a.test/?t=" + canaries["error text"], Err: io.EOF}
	answer := `{"access_token":"` + canaries["body of the response"] + `","hint":"https://a.test/?code=` + canaries["body of the response"] + `"}`
	return &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/ok":       {plytest.Text(answer, append(secret, "Content-Type", "application/json", "Cache-Control", "max-age=60")...)},
		"/vary":     {plytest.Text(answer, append(secret, "Cache-Control", "max-age=60", "Vary", "Authorization, Cookie, X-Api-Key, X-Custom")...)},
		"/moody":    {plytest.Status(503, secret...), plytest.Text(answer, append(secret, "ETag", `"1"`)...)},
		"/moved":    {plytest.Status(302, "Location", "/ok?token="+canaries["redirect Location"])},
		"/away":     {plytest.Status(307, "Location", "https://"+canaries["redirect Location"]+"@b.test/ok?code="+canaries["redirect Location"])},
		"/nowhere":  {plytest.Status(302, "Location", "https://a.test:"+canaries["redirect Location"]+"/%zz")},
		"/circle":   {plytest.Status(302, "Location", "/circle?token="+canaries["redirect Location"])},
		"/broken":   {{Status: 200, Body: answer, Fault: plytest.CutAfter(10)}},
		"/refuses":  {plytest.Status(403, append(secret, "Content-Type", "application/json")...)},
		"/fails":    {plytest.Fail(failing)},
		"/nested":   {plytest.Fail(fmt.Errorf("layer: %w; earlier: %w", failing, errors.New("no way to wss://a.test/x?key="+canaries["error text"])))},
		"/notfound": {plytest.Status(404)},
		"/quotes":   {plytest.Fail(fmt.Errorf("broken: %w", textproto.ProtocolError(`malformed MIME header: missing colon: "Set-Cookie sid=`+canaries["Set-Cookie"]+`"`)))},
		"/says":     {plytest.Fail(errors.New("dial joe:" + canaries["error text"] + "@db.test: Bearer " + canaries["error text"] + ", token=" + canaries["error text"]))},
		"/plain":    {plytest.Text(answer, append(secret, "Content-Type", "text/plain")...)},
		"/xml":      {plytest.Text("<token>"+canaries["body of the response"]+"</token>", append(secret, "Content-Type", "application/xml")...)},
		"/graphql":  {plytest.Text(`{"query":"{ login(password: \"`+canaries["body of the response"]+`\") }"}`, append(secret, "Content-Type", "application/json")...)},
	}}
}

// With all layers and all their outputs turned on, nothing that is written or returned contains a canary.
func TestNoSecretInAnyRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		say := func(what string, v any) {
			encoded, err := json.Marshal(v)
			fmt.Fprintf(&said, "%s: %v %+v %#v %s %v\n", what, v, v, v, encoded, err)
		}
		text := logging.Options{Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})), Headers: true, BodyBytes: 1 << 16, Connection: true}
		asJSON := text
		asJSON.Logger = slog.New(slog.NewJSONHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
		hook := func(ctx context.Context, e retry.Event) {
			say("hook", redact.From(ctx).URL(e.Attempt.Request.URL))
			say("hook", redact.From(ctx).ErrorText(e.Attempt.Err))
			say("hook", redact.From(ctx).Header(e.Attempt.Request.Header))
		}
		spied := &spiedStore{}
		c, err := cache.New(cache.Options{Store: spied, Trace: &cache.Trace{
			Answered:  func(_ *http.Request, s cache.Status) { say("cache", s) },
			NotStored: func(_ *http.Request, reason string) { say("cache", reason) },
			Fault:     func(operation string, err error) { say(operation, err) },
		}})
		require.NoError(t, err)
		defer c.Close()
		jar, _ := cookiejar.New(nil)
		client := newClient(t, ply.Options{
			Transport: canaryOrigin(), Jar: jar,
			UseCall: []ply.Middleware{logging.New(asJSON)},
			Use: []ply.Middleware{
				logging.New(text), c.Middleware, retry.New(retry.Options{OnRetry: hook, OnGiveUp: hook, Resume: 2, BufferBody: 1 << 10}), logging.New(asJSON),
			},
		})
		calls := 0
		for path := range canaryOrigin().Paths {
			for _, method := range []string{http.MethodGet, http.MethodGet, http.MethodPost} {
				calls++
				ctx := ply.WithURLTemplate(ply.WithCallInfo(t.Context()), path+";sid="+canaries["userinfo"]+"?token="+canaries["query token"])
				req := canaryRequest(t, ctx, method, path)
				say("curl", logging.Curl(req))
				resp, err := client.Do(req)
				if err == nil {
					say("Cache-Status", resp.Header.Values("Cache-Status"))
				}
				resp, err = ply.ErrorForStatus(resp, err)
				if err == nil {
					_, err = ply.JSON[map[string]any](resp, nil)
				}
				say("error", err)
				for e := err; e != nil; e = errors.Unwrap(e) {
					say("error in it", e)
				}
				var failed *ply.StatusError
				if errors.As(err, &failed) {
					say("status", *failed)
				}
				var givenUp *retry.Error
				if errors.As(err, &givenUp) {
					say("error of retry", givenUp)
					say("attempts", givenUp.Attempts)
				}
				info, known := ply.CallInfoFromContext(ctx)
				require.True(t, known)
				say("record", info)
				for _, h := range info.Hops {
					say("hop", h)
				}
				asJSON.Logger.Info("record", "info", info, "err", err)
			}
		}
		for what, canary := range canaries {
			if i := strings.Index(said.String(), canary); i >= 0 {
				t.Errorf("%s is in …%s…", what, said.String()[max(0, i-300):min(said.Len(), i+100)])
			}
		}
		if n := strings.Count(said.String(), "REDACTED"); n < 20*calls {
			t.Errorf("%d calls show only %d REDACTED", calls, n)
		}
		spied.check(t)
	})
}

// spiedStore is a store that can be searched.
type spiedStore struct {
	mu      sync.Mutex // guards the fields below
	records map[string]store.Record
	put     bytes.Buffer // all data ever put
	shown   bytes.Buffer // what people see of it: keys, labels
	entries int
}

func (s *spiedStore) Get(_ context.Context, key string) (store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[key]
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

func (s *spiedStore) Put(_ context.Context, key string, r store.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records[key].Version != r.Version {
		return store.ErrConflict
	}
	if r.Kind == store.KindEntry {
		s.entries++
	}
	s.put.Write(r.Data)
	fmt.Fprintln(&s.shown, key, r.Owner, r.Label, r.Kind)
	if s.records == nil {
		s.records = make(map[string]store.Record)
	}
	r.Data, r.Version = bytes.Clone(r.Data), fmt.Sprint(s.shown.Len())
	s.records[key] = r
	return nil
}

func (s *spiedStore) Delete(_ context.Context, key, version string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.records[key].Version; version != "" && have != "" && have != version {
		return store.ErrConflict
	}
	delete(s.records, key)
	return nil
}

// check looks for the request's canaries in the store, which may have only the URL and what is in the response.
func (s *spiedStore) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries < 3 {
		t.Errorf("only %d entries", s.entries)
	}
	for what, canary := range canaries {
		if strings.Contains(s.shown.String(), canary) {
			t.Errorf("%s is in a key or a label", what)
		}
	}
	for _, what := range []string{"userinfo", "Authorization", "Cookie", "API-key header", "proxy credentials", "body member", "Referer", "custom header"} {
		if i := strings.Index(s.put.String(), canaries[what]); i >= 0 {
			t.Errorf("%s is in the store: …%q…", what, s.put.String()[max(0, i-200):min(s.put.Len(), i+50)])
		}
	}
}

// The credentials of a proxy are not shown if it refuses, if it cannot be reached, or if its URL is wrong.
func TestProxyCredentialsAreNotShown(t *testing.T) {
	refuses := plytest.NewServer(t, plytest.Handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", "Basic realm="+canaries["challenge"])
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	secret := canaries["proxy credentials"]
	for name, proxy := range map[string]string{
		"refuses":                 strings.Replace(refuses.URL, "http://", "http://"+secret+":"+secret+"@", 1),
		"is not there":            "http://" + secret + ":" + secret + "@127.0.0.1:1",
		"is not there, for SOCKS": "socks5://" + secret + ":" + secret + "@127.0.0.1:1",
		"has a bad URL":           "http://" + secret + ":" + secret + "/@127.0.0.1:x" + secret,
	} {
		for _, target := range []string{"http://a.test/", "https://a.test/"} {
			var said bytes.Buffer
			log := logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})), Headers: true, Connection: true})
			client := newClient(t, ply.Options{Use: []ply.Middleware{log, retry.New(retry.Options{MaxAttempts: 1}), log}})
			ctx := ply.WithCallInfo(t.Context())
			_, err := ply.Bytes(ply.ErrorForStatus(client.Get(ctx, target, ply.ProxyURL(proxy))))
			require.Error(t, err)
			info, _ := ply.CallInfoFromContext(ctx)
			fmt.Fprintf(&said, "%v %+v\n%v\n%+v", err, err, info, info.Hops)
			for what, canary := range canaries {
				if i := strings.Index(said.String(), canary); i >= 0 {
					t.Errorf("the proxy %s, %s: %s is in …%s…", name, target, what, said.String()[max(0, i-200):min(said.Len(), i+50)])
				}
			}
		}
	}
}

package tape_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/redact"
)

// planted are the secrets of a text, each with the place where it was planted in its name.
var planted = regexp.MustCompile(`c4n4ry-[a-z0-9]+`)

// hidesUsers hides the user in "/users/NAME".
var hidesUsers = &redact.Redactor{HideParams: redact.SignedURLs, HideHeaders: []string{"X-Tenant"}, Path: func(path string) string {
	return regexp.MustCompile(`/users/[^/]+`).ReplaceAllLiteralString(path, "/users/"+redact.Placeholder)
}}

// requestWithSecrets has a secret in each place of a request.
func requestWithSecrets(t *testing.T, path, contentType, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", "https://c4n4ry-user:c4n4ry-userinfo@h.example"+path+"?access_token=c4n4ry-query&%74oken=c4n4ry-escaped&X-Amz-Signature=c4n4ry-signed&page=1", io.MultiReader(strings.NewReader(body)))
	require.NoError(t, err)
	r.Header = http.Header{
		"Content-Type": {contentType}, "Authorization": {"Bearer c4n4ry-authorization"}, "authorization": {"Bearer c4n4ry-lower"}, "PROXY-AUTHORIZATION": {"Basic c4n4ry-proxy"},
		"Cookie": {"sid=c4n4ry-cookie; b=c4n4ry-cookie2"}, "x-api-key": {"c4n4ry-apikey"}, "X-Auth-Token": {"c4n4ry-authtoken"}, "X-Tenant": {"c4n4ry-tenant"},
		"Referer": {"https://h.example/?token=c4n4ry-referer"}, "Destination": {"https://u:c4n4ry-destination@h.example/"}, "X-Original-Url": {"/a?token=c4n4ry-originalurl"},
	}
	r.Trailer = http.Header{"X-Api-Key": {"c4n4ry-requesttrailer"}}
	return r
}

// bodiesWithSecrets are kinds of content that the package looks into.
var bodiesWithSecrets = []struct{ contentType, body string }{
	{"application/json", `{"user":"ada","password":"c4n4ry-json","nested":[{"client_secret":"c4n4ry-nested"}],"tokens":["c4n4ry-list"]}`},
	{"application/x-www-form-urlencoded", "user=ada&client_secret=c4n4ry-form&pass%77ord=c4n4ry-formescaped"},
	{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nc4n4ry-part\r\n--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n--b--\r\n"},
	{"application/xml", `<?xml version="1.0"?><login><user>ada</user><password>c4n4ry-xml</password><s:Token xmlns:s="x" kind="a">c4n4ry-xmlprefixed</s:Token></login>`},
	{"application/soap+xml; charset=utf-8", `<e><user>ada</user><Password>c4n4ry-soap`},
	{"text/event-stream", "event: login\ndata: {\"user\":\"ada\",\"token\":\"c4n4ry-event\"}\n\n"},
}

// serverWithSecrets answers with the content of the request, and has a secret in each place of a response.
func serverWithSecrets(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/fails" {
		return nil, errors.New(`Post "https://u:c4n4ry-erroruser@h.example/?token=c4n4ry-errorquery": malformed MIME header: missing colon: "X-Custom c4n4ry-errorquoted"; Authorization: Bearer c4n4ry-errorbearer`)
	}
	content := io.Reader(strings.NewReader(string(body)))
	if r.URL.Path == "/cut" {
		content = io.MultiReader(content, failing{err: errors.New(`bad trailer key "c4n4ry-trailerkey" of token=c4n4ry-cuterror`)})
	}
	return &http.Response{
		StatusCode: 302, Status: "302 Found token=c4n4ry-reason", Proto: "HTTP/1.1", ContentLength: -1, Body: io.NopCloser(content), Request: r,
		Trailer: http.Header{"X-Auth-Token": {"c4n4ry-trailer"}},
		Header: http.Header{
			"Content-Type": r.Header["Content-Type"], "Set-Cookie": {"sid=c4n4ry-setcookie; Path=/", "b=c4n4ry-setcookie2"}, "set-cookie": {"c=c4n4ry-setcookielower"}, "Www-Authenticate": {"Bearer c4n4ry-challenge"},
			"Location": {"https://u:c4n4ry-locationuser@h.example/users/c4n4ry-locationpath?token=c4n4ry-location"}, "Content-Location": {"/x?token=c4n4ry-contentlocation"},
			"Link": {`</next?token=c4n4ry-link>; rel="next"`}, "Refresh": {"0; url=/next?token=c4n4ry-refresh"}, "X-Session-Id": {"c4n4ry-session"}, "X-Next": {"/next?token=c4n4ry-next"},
		},
	}, nil
}

// A secret that leaks shows by its name from which place.
func TestNoSecretOfAnyPlaceReachesATapeOrAnArchive(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	o := tape.Options{Redactor: hidesUsers}
	do := func(_ *test, s *tape.Session) {
		h := s.Middleware(handler(serverWithSecrets))
		for _, tt := range bodiesWithSecrets {
			for _, path := range []string{"/users/c4n4ry-path", "/cut", "/fails"} {
				resp, err := h.RoundTrip(requestWithSecrets(t, path, tt.contentType, tt.body))
				if path == "/fails" {
					require.Error(t, err)
					continue
				}
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.Equal(t, path == "/cut", err != nil)
				require.NoError(t, resp.Body.Close())
			}
		}
	}
	require.Empty(t, run(path, o, do))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Empty(t, planted.FindAllString(string(text), -1), "the tape")
	require.Equal(t, 3*len(bodiesWithSecrets), bytes.Count(text, []byte(`page=1`)), "what is no secret stays")

	recorded, err := tape.Load(path)
	require.NoError(t, err)
	for _, o := range []har.Options{{Redactor: hidesUsers}, {KeepSecrets: true}, {}} {
		require.Empty(t, planted.FindAllString(string(archived(t, recorded, o)), -1), "an archive of the tape")
	}
	if diff := cmp.Diff(recorded, recorded.Redact(hidesUsers)); diff != "" {
		t.Errorf("to redact twice changes a tape: %s", diff)
	}
	require.Empty(t, run(path, o, do), "a replay finds each request again")
	reported := run(path, tape.Options{Redactor: hidesUsers}, func(_ *test, s *tape.Session) {
		for _, tt := range bodiesWithSecrets {
			r := requestWithSecrets(t, "/users/c4n4ry-path/unknown", tt.contentType, tt.body)
			_, err := s.Middleware(noServer(t)).RoundTrip(r)
			require.Error(t, err)
			require.Empty(t, planted.FindAllString(err.Error(), -1), "the error of a request that the tape does not have")
		}
	})
	require.Len(t, reported, len(bodiesWithSecrets))
	require.Empty(t, planted.FindAllString(strings.Join(reported, "\n"), -1), "what the test says")
}

// An archive that is made of a tape with secrets hides them by itself; the content of responses is the program's to judge.
func TestNoSecretOfAnyPlaceReachesAnArchiveOfATapeThatHasThem(t *testing.T) {
	r := requestWithSecrets(t, "/users/c4n4ry-path", "application/json", bodiesWithSecrets[0].body)
	resp, err := serverWithSecrets(r)
	require.NoError(t, err)
	e := &tape.Exchange{
		Request:  tape.Request{Method: r.Method, URL: r.URL.String(), Header: r.Header, Body: []byte(bodiesWithSecrets[0].body), Trailer: r.Trailer},
		Response: &tape.Response{Status: resp.StatusCode, Reason: "Found token=c4n4ry-reason", Header: resp.Header, Trailer: resp.Trailer, Length: -1, Chunks: []tape.Chunk{{Data: []byte("c4n4ry-answer")}}},
		Failure:  &tape.Failure{Kind: tape.FailureOther, Text: `Get "https://u:c4n4ry-erroruser@h.example/?token=c4n4ry-errorquery": malformed MIME header: missing colon: "X-Custom c4n4ry-errorquoted"`},
	}
	tp := &tape.Tape{Exchanges: []*tape.Exchange{e}}
	require.Empty(t, planted.FindAllString(string(archived(t, tp, har.Options{Redactor: hidesUsers, OmitBodies: true})), -1))
	require.Empty(t, planted.FindAllString(string(archived(t, tp, har.Options{Redactor: &redact.Redactor{Path: hidesUsers.Path}, OmitBodies: true})), -1))
	require.Equal(t, []string{"c4n4ry-answer"}, planted.FindAllString(string(archived(t, tp, har.Options{Redactor: hidesUsers})), -1))
}

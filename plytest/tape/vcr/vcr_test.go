package vcr_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/plytest/tape/vcr"
)

// cassette is a cassette of one interaction. Each %s is the rest of a request and of a response.
const cassette = "---\nversion: %d\ninteractions:\n- request:\n    method: GET\n    url: https://h.example/\n%s  response:\n%s"

func decode(t *testing.T, text string) *tape.Tape {
	t.Helper()
	tp, err := vcr.Decode(strings.NewReader(text))
	require.NoError(t, err)
	return tp
}

func TestCassetteBecomesATape(t *testing.T) {
	for _, name := range []string{"testdata/shop", "testdata/shop.yaml"} {
		have, err := vcr.Load(name)
		require.NoError(t, err)
		want := &tape.Tape{Exchanges: []*tape.Exchange{
			{
				Request: tape.Request{Method: "POST", URL: "https://shop.example/cart?a=1", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`{"id": 7}`)},
				Response: &tape.Response{Status: 201, Proto: "HTTP/2.0", Header: http.Header{"Content-Length": {"3"}, "Set-Cookie": {"a=1", "b=2"}}, Trailer: http.Header{"X-Sum": {"7"}}, Wait: 20500 * time.Microsecond, Length: 3,
					Chunks: []tape.Chunk{{Data: []byte("\xff\x00a")}}},
			},
			{
				At:      20500 * time.Microsecond,
				Request: tape.Request{Method: "GET", URL: "https://shop.example/", Host: "virtual.example"},
				Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Type": {"text/html"}}, Wait: time.Second, Length: -1, Uncompressed: true,
					Chunks: []tape.Chunk{{Data: []byte("<p>Hi</p>\n")}}},
			},
			{
				At:       1020500 * time.Microsecond,
				Request:  tape.Request{Method: "HEAD", URL: "http://server.example/film"},
				Response: &tape.Response{Status: 200, Proto: "HTTP/1.1", Header: http.Header{"Content-Length": {"4000"}}, Length: 4000},
			},
		}}
		if diff := cmp.Diff(want, have, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	_, err := vcr.Load("testdata/none")
	require.ErrorIs(t, err, os.ErrNotExist)
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("version: 9"), 0o600))
	_, err = vcr.Load(broken)
	require.ErrorIs(t, err, vcr.ErrNoCassette)
	require.ErrorContains(t, err, broken)
}

func TestLengthOfAResponse(t *testing.T) {
	for name, c := range map[string]struct {
		version  int
		response string
		want     int64
		header   string
	}{
		"announced, version 1":        {1, "    body: abc\n    headers: {Content-Length: ['3']}\n", 3, "3"},
		"not announced, version 1":    {1, "    body: abc\n", -1, ""},
		"announced, version 2":        {2, "    body: abc\n    content_length: 3\n    headers: {content-length: ['3']}\n", 3, "3"},
		"not known, version 2":        {2, "    body: abc\n    content_length: -1\n", -1, ""},
		"a hook has changed the body": {2, "    body: REDACTED\n    content_length: 3\n    headers: {Content-Length: ['3']}\n", 8, "8"},
		"a hook has removed the body": {2, "    body: ''\n    content_length: 3\n    headers: {Content-Length: ['3']}\n", 0, "0"},
		"one field in two spellings":  {2, "    body: abc\n    content_length: 3\n    headers: {content-length: ['3'], Content-Length: ['3']}\n", 3, "3"},
		"a 304 with a length":         {2, "    code: 304\n    content_length: 3\n    headers: {Content-Length: ['3']}\n", 3, "3"},
		"no length in the header":     {1, "    body: abc\n    headers: {Content-Length: [many]}\n", -1, "many"},
		"no field, but a length":      {2, "    body: abc\n    content_length: 3\n", 3, ""},
	} {
		if !strings.Contains(c.response, "code:") {
			c.response = "    code: 200\n" + c.response
		}
		r := decode(t, fmt.Sprintf(cassette, c.version, "", c.response)).Exchanges[0].Response
		if r.Length != c.want || r.Header.Get("Content-Length") != c.header {
			t.Errorf("%s: %d and %q, want %d and %q", name, r.Length, r.Header.Get("Content-Length"), c.want, c.header)
		}
	}
}

func TestDurationOfAResponse(t *testing.T) {
	for text, want := range map[string]time.Duration{`""`: 0, "12.5ms": 12500 * time.Microsecond, "1000": 1000, "-1s": 0, "2000000h": 240 * time.Hour} {
		if have := decode(t, fmt.Sprintf(cassette, 1, "", "    code: 200\n    duration: "+text+"\n")).Exchanges[0].Response.Wait; have != want {
			t.Errorf("%s: %v, want %v", text, have, want)
		}
	}
}

func TestFieldInTwoSpellingsKeepsItsLines(t *testing.T) {
	h := decode(t, fmt.Sprintf(cassette, 2, "    headers: {x-many: [a], X-Many: [b], X-MANY: [c]}\n", "    code: 204\n")).Exchanges[0].Request.Header
	require.ElementsMatch(t, []string{"a", "b", "c"}, h["X-Many"])
	require.Len(t, h, 1)
}

func TestRequestOfAServerHasTheHostThatItNamed(t *testing.T) {
	r := decode(t, "version: 2\ninteractions:\n- request: {method: GET, url: '/a?b=c', host: 'h.example:8080'}\n  response: {code: 204}\n").Exchanges[0].Request
	if r.URL != "http://h.example:8080/a?b=c" || r.Host != "" {
		t.Errorf("%s, host %q", r.URL, r.Host)
	}
}

func TestWhatIsNoCassetteIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "a text": "hello", "a list": "- 1", "no YAML": "a: [", "another version": "version: 3", "no version": "interactions: []", "tape of another program": `{"log": {}}`,
		"a duration of no kind": fmt.Sprintf(cassette, 1, "", "    code: 200\n    duration: soon\n"),
	} {
		if tp, err := vcr.Decode(strings.NewReader(text)); !errors.Is(err, vcr.ErrNoCassette) {
			t.Errorf("%s: %v (%v)", name, err, tp)
		}
	}
	for name, text := range map[string]string{
		"no host": "url: /a}\n  response: {code: 200}", "no HTTP": "url: 'ftp://h/'}\n  response: {code: 200}", "no URL": "url: 'http://%zz'}\n  response: {code: 200}", "no status": "url: 'http://h/'}\n  response: {code: 0}",
	} {
		_, err := vcr.Decode(strings.NewReader("version: 2\ninteractions:\n- request: {method: GET, " + text))
		require.ErrorContains(t, err, "interaction 0", name)
	}
}

func FuzzCassette(f *testing.F) {
	shop, err := os.ReadFile("testdata/shop.yaml")
	require.NoError(f, err)
	f.Add(string(shop))
	f.Add(fmt.Sprintf(cassette, 1, "", "    code: 200\n    duration: 3ms\n    body: !!binary AAEC\n"))
	f.Fuzz(func(t *testing.T, text string) {
		tp, err := vcr.Decode(strings.NewReader(text))
		if err != nil {
			return
		}
		at := time.Duration(0)
		for _, e := range tp.Exchanges {
			switch r := e.Response; {
			case e.At < at, r == nil, r.Wait < 0, r.Length < -1, r.Status < 100, e.Request.Method == "":
				t.Errorf("%+v %+v", e, r)
			case r.Length >= 0 && len(r.Body()) > 0 && r.Length != int64(len(r.Body())):
				t.Errorf("length %d, body %q", r.Length, r.Body())
			}
			if _, err := http.NewRequest("GET", e.Request.URL, nil); err != nil {
				t.Error(err)
			}
			at = e.At
		}
	})
}

func TestReasonPhraseIsThatOfTheCassette(t *testing.T) {
	for status, want := range map[string]string{"200 OK": "", "200 Own Words": "Own Words", "200": "", "": ""} {
		tp, err := vcr.Decode(strings.NewReader("version: 2\ninteractions:\n- request: {url: \"http://h.example/\", method: GET}\n  response: {code: 200, status: \"" + status + "\"}\n"))
		require.NoError(t, err)
		require.Equal(t, want, tp.Exchanges[0].Response.Reason)
	}
}

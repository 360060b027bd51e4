package tape_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

func TestSecretsAreHiddenInEachKindOfContent(t *testing.T) {
	const part = "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nc4n4ry\r\n--b\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"more\"\r\nContent-Type: application/json\r\n\r\n{\"token\": \"c4n4ry\"}\r\n--b--\r\n"
	for name, tt := range map[string]struct{ contentType, body string }{
		"server-sent events":       {"text/event-stream", "event: a\ndata: {\"token\": \"c4n4ry\", \"n\": 1}\n\ndata:{\"password\":\"c4n4ry\"}\r\n\r\ndata: token c"},
		"a form of several parts":  {"multipart/form-data; boundary=b", part},
		"JSON of another type":     {"text/plain; charset=utf-8", " {\"token\": \"c4n4ry\"}"},
		"JSON, a line for a value": {"application/x-ndjson", "{\"token\": \"c4n4ry\"}\n{\"token\": \"c4n4ry\"}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{"Content-Type": {tt.contentType}}
			tp := &tape.Tape{Exchanges: []*tape.Exchange{{
				Request:  tape.Request{Method: "POST", URL: "http://h.example/", Header: h, Body: []byte(tt.body)},
				Response: &tape.Response{Status: 200, Header: h, Length: -1, Chunks: []tape.Chunk{{Data: []byte(tt.body[:20])}, {At: 1, Data: []byte(tt.body[20:])}}},
			}}}
			e := tp.Redact(nil).Exchanges[0]
			want := strings.ReplaceAll(tt.body, "c4n4ry", "REDACTED")
			require.Equal(t, want, string(e.Request.Body))
			require.Equal(t, want, string(e.Response.Body()))
			require.Equal(t, tape.Request{Method: "POST", URL: "http://h.example/", Header: h, Body: []byte(want)}, tp.Redact(nil).Redact(nil).Exchanges[0].Request, "a second time changes nothing")
		})
	}
}

func TestNumberThatIsASecretBecomesZero(t *testing.T) {
	body := []byte(`{"pin": 1234, "total_tokens": 57, "otp":[12, 34e5 ],"verified":true}`)
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{Method: "POST", URL: "http://h.example/", Body: body}}}}
	once := tp.Redact(nil)
	require.Equal(t, `{"pin": 0, "total_tokens": 57, "otp":[0, 0 ],"verified":true}`, string(once.Exchanges[0].Request.Body))
	require.Equal(t, once, once.Redact(nil))
}

func TestSecretsOfURLsInFieldsAreHidden(t *testing.T) {
	for name, tt := range map[string]struct{ line, want string }{
		"Link":       {`<https://h.example/?page=2&access_token=c4n4ry>; rel="next"`, `<https://h.example/?page=2&access_token=REDACTED>; rel="next"`},
		"Refresh":    {"0; url=/next?token=c4n4ry", "0; url=/next?token=REDACTED"},
		"X-Upstream": {"http://u:c4n4ry@h.example/", "http://REDACTED:REDACTED@h.example/"},
		"Etag":       {`"token=1"`, `"token=1"`},
	} {
		tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 200, Header: http.Header{name: {tt.line}}}}}}
		require.Equal(t, http.Header{name: {tt.want}}, tp.Redact(nil).Exchanges[0].Response.Header)
	}
}

func TestDecodeNamesTheLineOfAnError(t *testing.T) {
	for text, line := range map[string]string{
		"{\n\"tape\": 1,\n\"exchanges\": [}": "(line 3)",
		"{\n\"tape\": \"one\"\n}":            "(line 2)",
		"{\"tape\": 1,\n\"exchanges\": [":    "(line 2)",
	} {
		_, err := tape.Decode(strings.NewReader(text))
		require.ErrorContains(t, err, line)
	}
}

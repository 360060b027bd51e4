package tape_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/plytest/tape"
)

// hiddenIn returns content of a response without its secrets.
func hiddenIn(contentType, body string) *tape.Response {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{
		Request: tape.Request{URL: "http://h.example/?access_token=hush"},
		Response: &tape.Response{
			Status: 200, Header: http.Header{"Content-Type": {contentType}}, Length: int64(len(body)), Chunks: []tape.Chunk{{Data: []byte(body)}},
		},
	}}}
	return tp.Redact(nil).Exchanges[0].Response
}

// Only secrets change, and what replaces them is written as the text around it is.
func TestSecretsInTextWithinContentAreReplacedInItsEncoding(t *testing.T) {
	for _, tt := range []struct{ contentType, body, want string }{
		{"application/json", `{"next":"https://h/?q=%22\u00e9&access_token=hush","x":"a\/b \ud83d\ude00"}`, `{"next":"https://h/?q=%22é\u0026access_token=REDACTED-1","x":"a\/b \ud83d\ude00"}`},
		{"application/json", `["{\"a\":\"\\u007b\",\"token\":\"hush\",\"pin\":12}", "{not JSON}", "see http://h/?page=1, or /a?token=b"]`, `["{\"a\":\"\\u007b\",\"token\":\"REDACTED-1\",\"pin\":0}", "{not JSON}", "see http://h/?page=1, or /a?token=b"]`},
		{"application/x-www-form-urlencoded", "u=http%3A%2F%2Fh%2F%3Fx%3D1%26token%3Dhush&v=%zz+http://h/?a=1", "u=http%3A%2F%2Fh%2F%3Fx%3D1%26token%3DREDACTED-1&v=%zz+http://h/?a=1"},
		{"text/html", `<a href="https://h/?a=1&amp;token=hush">https://u:pw@h/</a>`, `<a href="https://h/?a=1&amp;token=REDACTED-1">https://REDACTED:REDACTED@h/</a>`},
		{"text/plain", "Go to https://h/?token=hush.\nThe token is hush.", "Go to https://h/?token=REDACTED-1.\nThe token is hush."},
		{"text/csv", "a\thttps://bucket.s3.example/k?X-Amz-Date=20260302T000000Z&X-Amz-Signature=hush\tb", "a\thttps://bucket.s3.example/k?X-Amz-Date=20260302T000000Z&X-Amz-Signature=REDACTED\tb"},
		{"image/png", "https://h/?token=hush", "https://h/?token=hush"},
	} {
		have := hiddenIn(tt.contentType, tt.body)
		require.Equal(t, tt.want, string(have.Body()))
		require.Equal(t, int64(len(tt.want)), have.Length)
	}
}

func TestSecretsInParametersOfURLsAreHidden(t *testing.T) {
	for query, want := range map[string]string{
		"next=%2Fa%3Ftoken%3Dhush%26b%3D1&c=%2f":  "next=%2Fa%3Ftoken%3DREDACTED-1%26b%3D1&c=%2f",
		"next=https://b.example/?token=hush":      "next=https%3A%2F%2Fb.example%2F%3Ftoken%3DREDACTED-1",
		"payload=%7B%22token%22%3A%22hush%22%7D":  "payload=%7B%22token%22%3A%22REDACTED-1%22%7D",
		"code=hush&state=1":                       "code=REDACTED-1&state=1",
		"code=DE&country=1":                       "code=DE&country=1",
		"filter[token]=hush&q=a+b":                "filter[token]=REDACTED-1&q=a+b",
		"q=https%3A%2F%2Fx%3Ahush%40b.example%2F": "q=https%3A%2F%2FREDACTED-1%3AREDACTED-1%40b.example%2F",
	} {
		tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/?" + query}}}}
		have := tp.Redact(nil)
		require.Equal(t, "http://h.example/?"+want, have.Exchanges[0].Request.URL)
		require.Equal(t, have, have.Redact(nil))
	}
}

// A client follows a URL that it has from an answer of the tape.
func TestURLInAnAnswerLeadsToItsExchange(t *testing.T) {
	mine(t)
	path := t.TempDir() + "/a.tape"
	for i := range 2 {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			next := http.RoundTripper(answers(func(r *http.Request) string {
				if r.URL.Path == "/list" {
					return `["https://h.example/file?token=` + canary + `1","https://h.example/file?token=` + canary + `2"]`
				}
				return r.URL.Query().Get("token")[len(canary):]
			}))
			if i == 1 {
				next = noServer(t)
			}
			h := s.Middleware(next)
			list, err := sendWith(t, h, "GET", "https://h.example/list", "")
			require.NoError(t, err)
			var urls []string
			require.NoError(t, json.Unmarshal([]byte(list), &urls))
			for _, n := range [2][]int{{0, 1}, {1, 0}}[i] {
				have, err := sendWith(t, h, "GET", urls[n], "")
				require.NoError(t, err)
				require.Equal(t, []string{"1", "2"}[n], have)
			}
		}))
	}
}

func FuzzContentWithSecrets(f *testing.F) {
	for _, s := range bodiesWithSecrets {
		f.Add(s.contentType, s.body)
	}
	f.Add("application/json", `{"inner":"{\"password\":\"c4n4ry\",\"u\":\"http:\\/\\/h.example?a=1\\u0026token=c4n4ry\"}"`)
	f.Add("application/http", "POST /a?token=c4n4ry HTTP/1.1\r\nAuthorization: Bearer c4n4ry\r\nLink: </b?token=c4n4ry>\r\n\r\n{\"token\":\"c4n4ry\"}")
	f.Add("text/html", "<a href='https://h.example/?a=&lt;&amp;token=c4n4ry&#38;b=1'>x</a>")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		r := hiddenIn(contentType, body)
		if r.Length >= 0 && r.Length != int64(len(r.Body())) {
			t.Errorf("%d bytes are announced, and there are %d", r.Length, len(r.Body()))
		}
	})
}

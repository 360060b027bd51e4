package tape_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
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
			want := strings.ReplaceAll(tt.body, "c4n4ry", "REDACTED-1")
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

// A body that was cut, or that is not quite JSON, must not show what a whole one hides.
func TestSecretIsHiddenInContentThatIsCutOrDamaged(t *testing.T) {
	gzipped := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return b.String()
	}
	const whole = `{"a": [1, {"x": "y"}], "access_token" : "c4n4ry\"c4n4ry", "tokens": ["c4n4ry", "c4n4ry"], "pin": 4711, "z": true}`
	for name, tt := range map[string]struct{ contentType, coding, body string }{
		"JSON":                           {"application/json", "", whole},
		"JSON in gzip":                   {"application/json", "gzip", gzipped(whole)},
		"an event of several lines":      {"text/event-stream", "", "data: {\ndata: \"token\": \"c4n4ry\",\ndata: \"password\"\ndata: : \"c4n4ry\"}\n\n"},
		"XML":                            {"application/soap+xml", "", `<?xml version="1.0"?><a xmlns:w="x"><w:Password w:type="text">c4n4ry</w:Password><pin><![CDATA[c4n4ry]]></pin><user token = 'c4n4ry' name="ada"/><SecretAccessKey> c4n4<!-- -->ry </SecretAccessKey></a>`},
		"URLs in JSON":                   {"application/json", "", `{"next":"https://h.example/?a=1\u0026token=c4n4ry","a":["http:\/\/u:c4n4ry@h.example\/"],"b":"/x?api_key=c4n4ry#token=c4n4ry"}`},
		"JSON in JSON":                   {"application/json", "", `{"inner":"{\"password\":\"c4n4ry\",\"u\":\"http:\\/\\/h.example?a=1\\u0026token=c4n4ry\"}"}`},
		"JSON and a URL in a form":       {"application/x-www-form-urlencoded", "", "payload=%7b%22token%22:+%22c4n4ry%22%7D&u=https%3A%2F%2Fh.example%2F%3Ftoken%3Dc4n4ry&x=1"},
		"JSON in a part of a form":       {"multipart/form-data; boundary=b", "", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{\"token\":\"c4n4ry\"}\r\n--b--"},
		"a batch of requests":            {"multipart/mixed; boundary=b", "", "--b\r\nContent-Type: application/http\r\n\r\nPOST /a?token=c4n4ry HTTP/1.1\r\nHost: h.example\r\nAuthorization: Bearer c4n4ry\r\nX-Original-Url: /b?token=c4n4ry\r\nContent-Type: application/json\r\n\r\n{\"token\":\"c4n4ry\"}\r\n--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://h.example/?token=c4n4ry\r\n\r\n\r\n--b--"},
		"JSON that curl -d sends":        {"application/x-www-form-urlencoded", "", `{"password":"c4n4ry=="}`},
		"JSON of a text sequence":        {"application/json-seq", "", "\x1e{\"a\":1}\n\x1e{\"token\":\"c4n4ry\"}\n"},
		"a form as text":                 {"text/html; charset=utf-8", "", "oauth_token=c4n4ry&oauth_token_secret=c4n4ry&oauth_callback_confirmed=true"},
		"a form as JSON":                 {"application/json", "", "grant_type=password&password=c4n4ry"},
		"a form without a type":          {"", "", "user[password]=c4n4ry==&x=1"},
		"URLs in text":                   {"text/plain", "", "see https://h.example/?token=c4n4ry. \xff (http://u:c4n4ry@h.example/)"},
		"URLs in HTML":                   {"text/html", "", "<a href='https://h.example/?a=&lt;&amp;token=c4n4ry&#38;b=1'>x</a>"},
		"URLs in events":                 {"text/event-stream", "", "data: https://h.example/?token=c4n4ry\n\ndata: {\"a\":\"/?a=1\\u0026token=c4n4ry\"}\n\n"},
		"URLs in XML":                    {"application/xml", "", "<a><u>https://h.example/?a=1&amp;token=c4n4ry</u></a>"},
		"an object in a secret":          {"application/json", "", `{"a":{"password":{"meta":{"x":"y"},"old":"c4n4ry","new":"c4n4ry"},"credentials":[{"value":"c4n4ry"}],"token":{"n":1,"value":"c4n4ry"}}}`},
		"a name and its value":           {"application/json", "", `[{"name":"password","value":"c4n4ry"},{"field":"Authorization","x":1,"value":"c4n4ry"}]`},
		"elements in a secret":           {"application/xml", "", `<a><password><value>c4n4ry</value></password><o:token xmlns:o="x"><o:data n="1">c4n4ry</o:data></o:token><value>shown</value></a>`},
		"an attribute and its value":     {"application/xml", "", `<a><add key="password" value="c4n4ry"/></a>`},
		"a document of GraphQL":          {"application/json", "", `{"query":"mutation { login(user: \"ada\", password: \"c4n4ry\", input: {token:\"c4n4ry\"}) { id } }","n":1}`},
		"a list in a document":           {"application/json", "", `{"query":"mutation M($token: String = \"c4n4ry\") { a(tokens: [\"c4n4ry\", \"c4n4ry\"], password: {new: \"c4n4ry\"}) { id } }"}`},
		"a document alone":               {"application/graphql", "", "mutation { login(user: \"ada\", password: # its\n \"\"\"c4n4ry\"\"\") { id } }"},
		"a document in a form":           {"application/x-www-form-urlencoded", "", "query=mutation+%7B+login%28password%3A+%22c4n4ry%22%29+%7D&x=1"},
		"a document in a part of a form": {"multipart/form-data; boundary=b", "", "--b\nContent-Disposition: form-data; name=\"query\"\n\nmutation { login(password: \"c4n4ry\") }\n--b--"},
		"pairs":                          {"application/json", "", `{"headers":[["Authorization","Bearer c4n4ry"],["Accept","a"]],"x":"[[\"X-Api-Key\",\"c4n4ry\"]]"}`},
		"pairs alone":                    {"text/event-stream", "", "data: [[\"Cookie\",\"sid=c4n4ry\"],[\"a\",\"b\"]]\n\n"},
		"pairs after a mistake":          {"application/json", "", `{"a": oops, "h": [["X-Api-Key","c4n4ry"]]}`},
		"a list of names and values":     {"application/json", "", `{"rawHeaders":["Accept","a","Cookie","sid=c4n4ry","X-Api-Key","c4n4ry"]}`},
		"a name and its values":          {"application/json", "", `[{"name":"X-Api-Key","values":["c4n4ry"]},{"name":"password","value":{"raw":"c4n4ry"}},{"ParameterKey":"DBPassword","ParameterValue":"c4n4ry"}]`},
		"values by their types":          {"application/x-amz-json-1.0", "", `{"Item":{"password":{"S":"c4n4ry"},"tokens":{"SS":["c4n4ry"]},"secret":{"M":{"x":{"S":"c4n4ry"}}}},"fields":{"token":{"stringValue":"c4n4ry"}}}`},
		"credentials of any name":        {"application/json", "", `{"x":"Bearer c4n4ry","y":["Basic dTpjNG40cnk=c4n4ry","eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c4n4ry"]}`},
		"lines of a header":              {"application/json", "", `{"headers":["Authorization: Bearer c4n4ry","X-Api-Key: c4n4ry"],"Env":["DB_PASSWORD=c4n4ry"]}`},
		"a struct of XML-RPC":            {"text/xml", "", `<struct><member><name>password</name><value><string>c4n4ry</string></value></member><member><name>token</name><value>c4n4ry</value></member></struct>`},
		"a property list":                {"text/xml", "", `<dict><key>password</key><string>c4n4ry</string><key>n</key><integer>1</integer></dict>`},
		"an element with a name":         {"application/xml", "", `<a><setting name="password"><value>c4n4ry</value></setting><Tag><Key>ApiToken</Key><Value>c4n4ry</Value></Tag></a>`},
		"a mistake before":               {"application/json", "", `{"a": oops, "token": "c4n4ry"}`},
		"a mistake in its place":         {"application/json", "", `{"token": c4n4ry, "password": 'c4n4ry'}`},
		"a form of several parts":        {"multipart/form-data; boundary=b", "", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nc4n4ry\r\n--b--"},
		"a form":                         {"application/x-www-form-urlencoded", "", "a=1&password=c4n4ry&token=c4n4ry"},
		"a name with an escaped letter":  {"application/json", "", `{"t\u006fken": "c4n4ry", "b": oops`},
		"a name in the middle of a text": {"application/json", "", `"token": "c4n4ry"`},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := 1; cut <= len(tt.body); cut++ {
				h := http.Header{"Content-Type": {tt.contentType}, "Content-Length": {strconv.Itoa(len(tt.body))}}
				if tt.coding != "" {
					h.Set("Content-Encoding", tt.coding)
				}
				body := []byte(tt.body[:cut])
				tp := &tape.Tape{Exchanges: []*tape.Exchange{{
					Request:  tape.Request{Method: "POST", URL: "http://h.example/", Header: h, Body: body},
					Response: &tape.Response{Status: 200, Header: h, Length: -1, Chunks: []tape.Chunk{{Data: body}}},
				}}}
				e := tp.Redact(nil).Exchanges[0]
				for _, hidden := range []http.Header{e.Request.Header, e.Response.Header} {
					require.NotEqual(t, "-1", hidden.Get("Content-Length"))
				}
				for at, text := range map[string][]byte{"request": e.Request.Body, "response": e.Response.Body()} {
					if tt.coding != "" && (at == "request" && e.Request.Header.Get("Content-Encoding") != "" || at == "response" && !e.Response.Uncompressed) {
						plain := cutGzip(text)
						require.NotContains(t, plain, "c4n", "%s of %d bytes", at, cut)
						continue
					}
					if strings.Contains(string(text), "c4n") || strings.Contains(string(text), "471") && !strings.Contains(tt.body[:cut], "4711,") && tt.coding == "" {
						t.Fatalf("%s of %d bytes: %s", at, cut, text)
					}
				}
			}
		})
	}
}

// A secret in an element beside its name ends with that.
func TestElementsBesideAnotherNameStay(t *testing.T) {
	const body = `<dict><key>password</key><string>hush</string><string>shown</string><name>size</name><value>shown</value><name>token</name><other>shown</other><value>shown</value><key>key</key><value>shown</value></dict>`
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{
		Request:  tape.Request{URL: "http://h.example/"},
		Response: &tape.Response{Status: 200, Header: http.Header{"Content-Type": {"text/xml"}}, Length: -1, Chunks: []tape.Chunk{{Data: []byte(body)}}},
	}}}
	require.Equal(t, strings.ReplaceAll(body, "hush", "REDACTED"), string(tp.Redact(nil).Exchanges[0].Response.Body()))
}

// Content of any depth takes time in proportion to its length. A server may send what it likes.
func TestDeepContentIsSearchedInOnePass(t *testing.T) {
	many := strings.Repeat(`{"token":"x"},`, 20_000)
	for name, body := range map[string]string{
		"lists that are cut":   "[" + many + strings.Repeat("[", 9_000),
		"objects that are cut": "[" + many + strings.Repeat(`{"name":"password","value":`, 4_000),
	} {
		tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}}}}
		require.NotContains(t, string(tp.Redact(nil).Exchanges[0].Request.Body), `"x"`, name) // took minutes when each level was a pass of its own
	}
}

// XML has numbers that a client decodes as such.
func TestNumberInXMLBecomesZero(t *testing.T) {
	h := http.Header{"Content-Type": {"text/xml"}}
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{
		Request:  tape.Request{URL: "http://h.example/"},
		Response: &tape.Response{Status: 200, Header: h, Length: -1, Chunks: []tape.Chunk{{Data: []byte(`<list><MaxKeys>1000</MaxKeys><Key>a</Key><pin>4711</pin><user pin="4711"/><pin>4711a</pin></list>`)}}},
	}}}
	require.Equal(t, `<list><MaxKeys>1000</MaxKeys><Key>a</Key><pin>0</pin><user pin="0"/><pin>REDACTED</pin></list>`, string(tp.Redact(nil).Exchanges[0].Response.Body()))
}

// What only looks like the value of a secret stays: a client needs it.
func TestValueBesideAnotherNameStays(t *testing.T) {
	const body = `{"value":"a","name":"size","data":{"new":"b"},"list":[{"value":"c","name":"password"},{"name":"Key West","text":"d"}],"password":{"minLength":8,"pattern":"e"},` +
		`"required":["password","token"],"headers":["Authorization","Accept"],"rows":[["token","f","g"],["size","h"]],"plan":"Basic monthly","type":"Bearer token","help":"Password: eight letters","expr":"A=1","note":"see (a: b)","query":"{ a(first: 10, filter: \"i\") }"}`
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{
		Request:  tape.Request{URL: "http://h.example/"},
		Response: &tape.Response{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Length: -1, Chunks: []tape.Chunk{{Data: []byte(body)}}},
	}}}
	want := strings.Replace(body, `"value":"c"`, `"value":"REDACTED"`, 1) // its name comes after it
	require.Equal(t, want, string(tp.Redact(nil).Exchanges[0].Response.Body()))
}

// cutGzip decodes as far as that is possible.
func cutGzip(text []byte) string {
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return ""
	}
	plain, _ := io.ReadAll(r)
	return string(plain)
}

package har_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/redact"
)

// full is an entry with a secret in each place that may have one: each contains "hidden".
func full() *har.Entry {
	content := har.NewContent([]byte("{\"answer\": 42}"), "application/json")
	ms := 1.5
	return &har.Entry{
		Started: time.Date(2024, 2, 29, 12, 0, 0, 5e8, time.UTC), Time: 12.5,
		Request: har.Request{
			Method: "POST", URL: "https://u:hidden@h.example/a?token=hidden&acl", HTTPVersion: "HTTP/2.0",
			Cookies: []har.Cookie{{Name: "s", Value: "hidden"}}, Headers: []har.Pair{{Name: ":method", Value: "POST"}, {Name: "Authorization", Value: "Bearer hidden"}, {Name: "Accept", Value: "*/*"}},
			QueryString: []har.Pair{{Name: "token", Value: "hidden"}, {Name: "acl"}},
			PostData:    &har.PostData{MimeType: "application/x-www-form-urlencoded", Params: []har.Param{{Name: "password", Value: "hidden", FileName: "hidden.txt"}}},
			HeadersSize: -1, BodySize: 15, Comment: "to https://h.example/?token=hidden",
		},
		Response: har.Response{
			Status: 200, StatusText: "OK", HTTPVersion: "HTTP/2.0", Cookies: []har.Cookie{{Name: "s", Value: "hidden", Path: "/", HTTPOnly: true, Secure: true}},
			Headers: []har.Pair{{Name: "Set-Cookie", Value: "s=hidden"}, {Name: "Content-Type", Value: "application/json"}}, Content: content, RedirectURL: "/next?code=hidden", Error: "https://h.example/?token=hidden: EOF", FailureText: "https://h.example/?token=hidden: EOF",
			HeadersSize: -1, BodySize: 14,
		},
		Cache:   har.Cache{After: &har.CacheState{LastAccess: "2024-02-29T12:00:00Z", ETag: `"v"`}},
		Timings: har.Timings{DNS: &ms, Send: 0, Wait: 11, Receive: 0}, ServerIPAddress: "192.0.2.1", Connection: "443", Ply: json.RawMessage(`{"Key":"k"}`),
	}
}

func encoded(t testing.TB, o har.Options, entries ...*har.Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	d := har.NewEncoder(&out, o)
	for _, e := range entries {
		require.NoError(t, d.Encode(e))
	}
	require.NoError(t, d.Close())
	return out.Bytes()
}

func decoded(t testing.TB, archive []byte) (all []*har.Entry) {
	t.Helper()
	for e, err := range har.Entries(bytes.NewReader(archive)) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestArchiveHasWhatHAR12Requires(t *testing.T) {
	for name, archive := range map[string][]byte{
		"empty": encoded(t, har.Options{}), "an entry of zero": encoded(t, har.Options{}, &har.Entry{Started: time.Unix(0, 0).UTC(), Request: har.Request{URL: "http://h/"}}),
		"full": encoded(t, har.Options{Comment: "c", Creator: har.Creator{Name: "n", Version: "v"}}, full(), full()), "with secrets": encoded(t, har.Options{KeepSecrets: true}, full()),
		"without bodies": encoded(t, har.Options{OmitBodies: true}, full()),
	} {
		var root map[string]any
		require.NoError(t, json.Unmarshal(archive, &root), name)
		if dir := os.Getenv("HAR_ARCHIVES"); dir != "" { // see tools/har.sh
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".har"), archive, 0o600))
		}
		validate(t, name, "har", root)
	}
}

// objects is what HAR 1.2 requires of each object: its members and their types. A "?" marks those that may be left out, and "[]" a list; a capital letter is an object of this table.
var objects = map[string]string{
	"har":      "log:Log",
	"Log":      "version:string creator:Creator browser?:Creator entries:[]Entry comment?:string",
	"Creator":  "name:string version:string comment?:string",
	"Entry":    "pageref?:string startedDateTime:time time:number request:Request response:Response cache:Cache timings:Timings serverIPAddress?:string connection?:string comment?:string",
	"Request":  "method:string url:string httpVersion:string cookies:[]Cookie headers:[]Pair queryString:[]Pair postData?:PostData headersSize:int bodySize:int comment?:string",
	"Response": "status:int statusText:string httpVersion:string cookies:[]Cookie headers:[]Pair content:Content redirectURL:string headersSize:int bodySize:int comment?:string",
	"Cookie":   "name:string value:string path?:string domain?:string expires?:time httpOnly?:bool secure?:bool comment?:string",
	"Pair":     "name:string value:string comment?:string",
	"PostData": "mimeType:string params?:[]Param text?:string comment?:string",
	"Param":    "name:string value?:string fileName?:string contentType?:string comment?:string",
	"Content":  "size:int compression?:int mimeType:string text?:string encoding?:string comment?:string",
	"Cache":    "beforeRequest?:State afterRequest?:State comment?:string",
	"State":    "expires?:time lastAccess:time eTag:string hitCount:int comment?:string",
	"Timings":  "blocked?:number dns?:number connect?:number send:number wait:number receive:number ssl?:number comment?:string",
}

var iso8601 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

func validate(t *testing.T, at, kind string, v any) {
	t.Helper()
	ok := true
	switch kind {
	case "string":
		_, ok = v.(string)
	case "bool":
		_, ok = v.(bool)
	case "number":
		_, ok = v.(float64)
	case "int":
		n, is := v.(float64)
		ok = is && n == float64(int64(n))
	case "time":
		s, is := v.(string)
		ok = is && iso8601.MatchString(s)
	default:
		if element, list := strings.CutPrefix(kind, "[]"); list {
			all, is := v.([]any)
			for i, v := range all {
				validate(t, fmt.Sprintf("%s[%d]", at, i), element, v)
			}
			ok = is
			break
		}
		ok = validateObject(t, at, kind, v)
	}
	if !ok {
		t.Errorf("%s is no %s: %v", at, kind, v)
	}
}

func validateObject(t *testing.T, at, kind string, v any) bool {
	o, ok := v.(map[string]any)
	known := map[string]bool{}
	for member := range strings.FieldsSeq(objects[kind]) {
		name, kind, _ := strings.Cut(member, ":")
		name, optional := strings.CutSuffix(name, "?")
		known[name] = true
		if v, there := o[name]; there {
			validate(t, at+"."+name, kind, v)
		} else if !optional {
			t.Errorf("%s.%s is missing", at, name)
		}
	}
	for name := range o {
		if !known[name] && !strings.HasPrefix(name, "_") {
			t.Errorf("%s.%s is no member of the format: names of one's own begin with _", at, name)
		}
	}
	return ok
}

func TestSecretsAreHidden(t *testing.T) {
	archive := string(encoded(t, har.Options{}, full()))
	if strings.Contains(archive, "hidden") {
		t.Errorf("%s", archive)
	}
	for _, shown := range []string{"42", "acl", "token", "password", `"Accept","value":"*/*"`} {
		if !strings.Contains(archive, shown) {
			t.Errorf("%s is missing", shown)
		}
	}
	if diff := cmp.Diff([]*har.Entry{full()}, decoded(t, encoded(t, har.Options{KeepSecrets: true}, full()))); diff != "" {
		t.Error(diff)
	}
	some := decoded(t, encoded(t, har.Options{Redactor: &redact.Redactor{ShowParams: []string{"page"}}}, &har.Entry{Request: har.Request{URL: "http://h/?page=2&x=y", QueryString: []har.Pair{{Name: "page", Value: "2"}, {Name: "x", Value: "y"}}}}))[0]
	want := har.Request{URL: "http://h/?page=2&x=REDACTED", QueryString: []har.Pair{{Name: "page", Value: "2"}, {Name: "x", Value: "REDACTED"}}, Cookies: []har.Cookie{}, Headers: []har.Pair{}}
	if diff := cmp.Diff(want, some.Request); diff != "" {
		t.Error(diff)
	}
}

func TestEncoderDoesNotChangeTheEntry(t *testing.T) {
	e := full()
	encoded(t, har.Options{OmitBodies: true}, e)
	if diff := cmp.Diff(full(), e); diff != "" {
		t.Error(diff)
	}
}

type full0 struct{ left int }

func (f *full0) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, os.ErrPermission
	}
	return len(p), nil
}

func TestEncoderKeepsTheErrorOfItsWriter(t *testing.T) {
	whole := encoded(t, har.Options{}, full())
	for n := range whole {
		d := har.NewEncoder(&full0{left: n}, har.Options{})
		d.Encode(full())
		if err := d.Close(); !errors.Is(err, os.ErrPermission) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	d := har.NewEncoder(io.Discard, har.Options{})
	require.NoError(t, d.Close())
	require.Error(t, d.Encode(full()))
	require.Error(t, d.Close())
}

func TestArchiveOfABrowserIsRead(t *testing.T) {
	const archive = "\ufeff" + `{"log": {"version": "1.2", "pages": [{"id": "page_1", "pageTimings": {"onLoad": null}}], "creator": {"name": "WebInspector", "version": "537.36"}, "entries": [
		{"_initiator": {"type": "other"}, "_priority": "VeryHigh", "cache": {}, "connection": "443", "pageref": "page_1", "startedDateTime": "2024-02-29T13:00:00.123+01:00", "time": 33.2,
		"request": {"method": "GET", "url": "https://h.example/a?b=c#d", "httpVersion": "h2", "headers": [{"name": ":authority", "value": "h.example"}, {"name": "accept", "value": "text/html"}],
			"queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0},
		"response": {"status": 200, "statusText": "", "httpVersion": "h2", "headers": [{"name": "content-encoding", "value": "br"}, {"name": "content-length", "value": "3"}, {"name": "set-cookie", "value": "a=1\nb=2"}],
			"cookies": [{"name": "a", "value": "1", "expires": null}], "content": {"size": 5, "mimeType": "text/html", "text": "hello"}, "redirectURL": "", "headersSize": -1, "bodySize": -1, "_transferSize": 3},
		"serverIPAddress": "[2001:db8::1]", "timings": {"blocked": -1, "dns": -1, "ssl": -1, "connect": -1, "send": 0.1, "wait": 30, "receive": 3, "_queued": 1}}
	]}}`
	all := decoded(t, []byte(archive))
	require.Len(t, all, 1)
	r, err := all[0].Request.HTTP()
	require.NoError(t, err)
	if r.Method != "GET" || r.URL.String() != "https://h.example/a?b=c" || !cmp.Equal(r.Header, http.Header{"Accept": {"text/html"}}) || r.Body != nil {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	resp, err := all[0].Response.HTTP()
	require.NoError(t, err)
	body, _ := io.ReadAll(resp.Body)
	if string(body) != "hello" || resp.Status != "200 OK" || !resp.Uncompressed || resp.ContentLength != -1 || !cmp.Equal(resp.Header, http.Header{"Set-Cookie": {"a=1", "b=2"}}) {
		t.Errorf("%s %q %v", resp.Status, body, resp.Header)
	}
	if want := time.Date(2024, 2, 29, 12, 0, 0, 123e6, time.UTC); !all[0].Started.Equal(want) {
		t.Error(all[0].Started)
	}
}

func TestWhatIsNoArchiveIsAnError(t *testing.T) {
	whole := encoded(t, har.Options{}, full())
	for name, text := range map[string]string{
		"empty": "", "no JSON": "plycache", "no object": "[]", "no log": "{}", "log of another kind": `{"log": 1}`, "no entries": `{"log": {"version": "1.2"}}`,
		"entries of another kind": `{"log": {"entries": {}}}`, "cut off": string(whole[:len(whole)/2]), "cut off in the head": string(whole[:20]), "cut off after an entry": strings.TrimSuffix(string(whole), "\n]}}\n"),
	} {
		failed := error(nil)
		for _, err := range har.Entries(strings.NewReader(text)) {
			failed = err
		}
		if !errors.Is(failed, har.ErrNoArchive) {
			t.Errorf("%s: %v", name, failed)
		}
	}
	for _, err := range har.Entries(strings.NewReader(`{"log": {"entries": [{"time": "soon"}]}}`)) {
		require.Error(t, err)
	}
}

func TestContent(t *testing.T) {
	for _, body := range []string{"", "text", "Grüße", "\xff\x00", "a\x00"} {
		c := har.NewContent([]byte(body), "x/y")
		have, err := c.Bytes()
		require.NoError(t, err)
		if string(have) != body || c.Size != int64(len(body)) {
			t.Errorf("%q became %q, %d", body, have, c.Size)
		}
	}
	text := "!"
	for name, c := range map[string]har.Content{"not recorded": {Size: 3}, "no base64": {Text: &text, Encoding: "base64"}, "another encoding": {Text: &text, Encoding: "rot13"}} {
		if _, err := c.Bytes(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, size := range []int64{3, -1} {
		_, err := (&har.Content{Size: size}).Bytes()
		require.ErrorIs(t, err, har.ErrNoText)
	}
}

func TestContentOfARequest(t *testing.T) {
	for want, p := range map[string]*har.PostData{
		"text": {Text: "text"}, "a=1+2&b=%26": {Params: []har.Param{{Name: "a", Value: "1 2"}, {Name: "b", Value: "&"}}}, "": {MimeType: "x/y"},
	} {
		r, err := (&har.Request{Method: "POST", URL: "http://h/", PostData: p, Headers: []har.Pair{{Name: "Host", Value: "other"}}}).HTTP()
		require.NoError(t, err)
		have, _ := io.ReadAll(r.Body)
		if string(have) != want || want != "" && r.GetBody == nil || r.Host != "other" || len(r.Header) != 0 {
			t.Errorf("%q, want %q; host %q", have, want, r.Host)
		}
	}
	_, err := (&har.Request{Method: "NO METHOD", URL: "http://h/"}).HTTP()
	require.Error(t, err)
}

func TestPairsOfHeadersAndQueries(t *testing.T) {
	if diff := cmp.Diff([]har.Pair{{Name: "A", Value: "1"}, {Name: "A", Value: "2"}, {Name: "B", Value: "3"}}, har.Headers(http.Header{"B": {"3"}, "A": {"1", "2"}})); diff != "" {
		t.Error(diff)
	}
	u, _ := url.Parse("http://h/?b=2&a=%201&c&&d=%zz")
	if diff := cmp.Diff([]har.Pair{{Name: "b", Value: "2"}, {Name: "a", Value: " 1"}, {Name: "c"}, {Name: "d", Value: "%zz"}}, har.Query(u)); diff != "" {
		t.Error(diff)
	}
}

func FuzzArchiveThatIsReadCanBeWritten(f *testing.F) {
	f.Add(encoded(f, har.Options{}, full()))
	f.Add([]byte(`{"log":{"entries":[{}]}}`))
	f.Fuzz(func(t *testing.T, archive []byte) {
		var all []*har.Entry
		for e, err := range har.Entries(bytes.NewReader(archive)) {
			if err != nil {
				return
			}
			e.Request.HTTP()
			e.Response.HTTP()
			all = append(all, e)
		}
		var out bytes.Buffer
		d := har.NewEncoder(&out, har.Options{})
		for _, e := range all {
			if d.Encode(e) != nil {
				return // a year that RFC 3339 does not have
			}
		}
		require.NoError(t, d.Close())
		if n := len(decoded(t, out.Bytes())); n != len(all) {
			t.Errorf("%d entries became %d", len(all), n)
		}
	})
}

func TestTextInAnotherCharsetKeepsItsBytes(t *testing.T) {
	for _, c := range []struct{ body, mimeType, encoding string }{
		{"\xc3\xa4", "text/plain; charset=utf-8", ""}, {"\xc3\xa4", "text/plain; charset=ISO-8859-1", "base64"}, {"a", "text/plain; charset=iso-8859-1", ""},
		{"a\x00", "text/plain; charset=utf-16le", "base64"}, {"", "text/plain; charset=utf-16", ""}, {"\xc3\xa4", "no type;;", ""},
	} {
		have := har.NewContent([]byte(c.body), c.mimeType)
		body, err := have.Bytes()
		if err != nil || string(body) != c.body || have.Encoding != c.encoding {
			t.Errorf("%q of %s: %q in %q (%v)", c.body, c.mimeType, body, have.Encoding, err)
		}
	}
}

func TestTextThatABrowserHasRecodedIsUTF8(t *testing.T) {
	text := "Grüße"
	for mimeType, want := range map[string]string{"text/html; charset=windows-1252": "text/html; charset=utf-8", "text/html; charset=UTF-8": "text/html; charset=UTF-8", "text/html": "text/html"} {
		resp, err := (&har.Response{Status: 200, Headers: []har.Pair{{Name: "Content-Type", Value: mimeType}}, Content: har.Content{Size: 7, Text: &text}}).HTTP()
		require.NoError(t, err)
		if have := resp.Header.Get("Content-Type"); have != want {
			t.Errorf("%s became %s, want %s", mimeType, have, want)
		}
	}
}

func TestProtocolOfAResponse(t *testing.T) {
	for name, want := range map[string]string{"h2": "HTTP/2.0", "HTTP/2": "HTTP/2.0", "h3": "HTTP/3.0", "http/1.1": "HTTP/1.1", "HTTP/1.0": "HTTP/1.0", "unknown": "HTTP/1.1", "": "HTTP/1.1"} {
		resp, err := (&har.Response{Status: 204, HTTPVersion: name}).HTTP()
		require.NoError(t, err)
		if major, minor, ok := http.ParseHTTPVersion(resp.Proto); resp.Proto != want || !ok || major != resp.ProtoMajor || minor != resp.ProtoMinor {
			t.Errorf("%s became %s (%d.%d), want %s", name, resp.Proto, resp.ProtoMajor, resp.ProtoMinor, want)
		}
	}
}

func TestBinaryContentOfARequestIsInBase64(t *testing.T) {
	p := har.NewPostData([]byte("\xff\x00"), "application/octet-stream")
	r, err := (&har.Request{Method: "POST", URL: "http://h/", PostData: p}).HTTP()
	require.NoError(t, err)
	body, _ := io.ReadAll(r.Body)
	if string(body) != "\xff\x00" || p.Encoding != "base64" {
		t.Errorf("%q in %q", body, p.Encoding)
	}
	_, err = (&har.Request{Method: "POST", URL: "http://h/", PostData: &har.PostData{Text: "!", Encoding: "base64"}}).HTTP()
	require.Error(t, err)
}

package logging

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/redact"
)

// curlBody is the length of the longest request body that a command shows.
const curlBody = 4 << 10

// Curl returns a shell command that sends req, with REDACTED in place of its secrets.
//
// It has all header fields. It has the body if that comes from GetBody, is textual and not larger than 4 KiB;
// any other body the command reads from a file named body. Curl does not change req.
func Curl(req *http.Request) string { return CurlWith(nil, req) }

// CurlWith is [Curl] with the redactor r. Nil means that of the request's context ([redact.With]), or else the default.
func CurlWith(r *redact.Redactor, req *http.Request) string {
	return curl(redactorFor(r, req), MaskSecrets, req)
}

// CurlWithSecrets is [Curl] with the secrets, for the person who runs the command. Such a command does not belong in a log.
func CurlWithSecrets(req *http.Request) string {
	return curl(everything{}, func(_ string, body []byte) []byte { return body }, req)
}

// ShellQuote returns s as one word for a POSIX shell. Control characters other than line feeds and tabs become question marks.
func ShellQuote(s string) string { return quote(s) }

// shower decides what of a request a command shows.
type shower interface {
	URL(u *url.URL) string
	HeaderValue(name, value string) string
}

// everything shows all.
type everything struct{}

func (everything) URL(u *url.URL) string {
	if u == nil {
		return ""
	}
	sent := *u
	sent.Fragment, sent.RawFragment = "", ""
	return sent.String()
}

func (everything) HeaderValue(_, value string) string { return value }

func curl(r shower, mask func(mediaType string, body []byte) []byte, req *http.Request) string {
	hasBody := req.Body != nil && req.Body != http.NoBody
	sendsData := hasBody || saysThatEmpty(req.Method)
	args := append([]string{"curl"}, curlMethod(req.Method, sendsData)...)
	args = append(args, curlHeader(r, req)...)
	if sendsData {
		args = append(args, curlData(req, hasBody, mask)...)
	}
	target := r.URL(req.URL)
	if strings.ContainsAny(target, "[]{}") {
		args = append(args, "--globoff") // curl would read these as patterns
	}
	return strings.Join(append(args, quote(target)), " ")
}

// saysThatEmpty reports whether a request of the method without content has Content-Length: 0, as net/http sends it (RFC 9110 §8.6). curl sends that for data that are empty.
func saysThatEmpty(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// curlMethod names a method that curl would not choose by itself: it sends GET, or POST with data.
func curlMethod(method string, sendsData bool) []string {
	switch {
	case method == http.MethodHead:
		return []string{"--head"}
	case method == "", method == http.MethodGet && !sendsData, method == http.MethodPost && sendsData:
		return nil
	}
	return []string{"-X", quote(method)}
}

// curlHeader names the fields of the header, sorted, and the Host if it is not that of the URL.
func curlHeader(r shower, req *http.Request) (args []string) {
	if req.Host != "" && req.URL != nil && req.Host != req.URL.Host {
		args = append(args, "-H", quote(oneLine("Host: "+req.Host)))
	}
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		for _, value := range req.Header[name] {
			args = append(args, "-H", quote(curlField(name, r.HeaderValue(name, value))))
		}
	}
	return args
}

// curlField writes a field in the syntax of curl: an empty one ends in a semicolon, and a leading at sign would name a file.
func curlField(name, value string) string {
	if strings.HasPrefix(name, "@") {
		name = "?" + name[1:]
	}
	if value == "" {
		return oneLine(name + ";")
	}
	return oneLine(name + ": " + value)
}

// curlData gives the body: its text, or a file of that name for a body that cannot be shown, or none.
func curlData(req *http.Request, hasBody bool, mask func(string, []byte) []byte) (args []string) {
	if len(req.Header["Content-Type"]) == 0 {
		args = append(args, "-H", "Content-Type:") // curl would add one
	}
	if !hasBody {
		return append(args, "--data-binary", "''")
	}
	text, ok := shownBody(req, mask)
	switch {
	case !ok:
		return append(args, "--data-binary", "@body")
	case strings.HasPrefix(text, "@"):
		return append(args, "--data-raw", quote(text)) // --data-binary would read a file
	}
	return append(args, "--data-binary", quote(text))
}

// shownBody returns the text of a body that comes from GetBody, is textual and not too long, as mask shows it.
func shownBody(req *http.Request, mask func(string, []byte) []byte) (string, bool) {
	mediaType, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if req.GetBody == nil || !textual(mediaType) {
		return "", false
	}
	body, err := req.GetBody()
	if err != nil {
		return "", false
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, curlBody+1))
	if err != nil || len(data) > curlBody {
		return "", false
	}
	return string(mask(mediaType, data)), true
}

// oneLine replaces line breaks, which no valid header field has, so that a forged value cannot add lines to a log or fields to a request.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "?") }

// quote returns s as one word for a POSIX shell. It replaces control characters that would break the line.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+,", r)
}

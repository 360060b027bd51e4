package cache

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

const (
	// maxFiltered bounds the bodies that [Options.FilterBody] is shown: they are in memory as a whole.
	maxFiltered = 1 << 20

	tooLarge         = "body exceeds MaxEntryBytes"
	tooLargeToFilter = "body exceeds what FilterBody is shown"
	bodyRefused      = "filter of the body"
)

// keeps reports whether Options.FilterBody allows a response with this body to be stored.
func (c *Cache) keeps(r *http.Request, e *stored.Entry, body []byte) bool {
	return c.filterBody == nil || c.filterBody(r, e.WithoutBody(r, int64(len(body))), body)
}

// NoGraphQLErrors is an [Options.FilterBody] that keeps out GraphQL responses with errors, which mostly come with a 200: those that are a JSON object
// with a member "errors" that is neither null nor empty, or a list with such an object in it. It also keeps out what it cannot read: JSON that is malformed,
// a multipart response, and JSON with a content coding other than gzip. A response that is no JSON is stored.
func NoGraphQLErrors(_ *http.Request, resp *http.Response, body []byte) bool {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if strings.HasPrefix(mediaType, "multipart/") {
		return false
	}
	content, ok := decoded(resp.Header["Content-Encoding"], body)
	isJSON := strings.HasSuffix(mediaType, "json")
	switch first := bytes.TrimLeft(content, " \t\r\n"); {
	case !ok:
		return !isJSON && mediaType != ""
	case isJSON:
	case len(first) == 0 || first[0] != '{' && first[0] != '[':
		return true
	}
	failed, err := hasErrors(content)
	if err != nil {
		return !isJSON
	}
	return !failed
}

// decoded returns content without its coding. It is false for a coding other than gzip.
func decoded(coding []string, body []byte) ([]byte, bool) {
	codings := 0
	for member := range field.Members(coding) {
		switch {
		case field.EqualFold(member, "identity"):
		case field.EqualFold(member, "gzip") && codings == 0, field.EqualFold(member, "x-gzip") && codings == 0:
			codings++
		default:
			return nil, false
		}
	}
	if codings == 0 {
		return body, true
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	const most = 16 * maxFiltered
	content, err := io.ReadAll(io.LimitReader(r, most+1))
	return content, err == nil && len(content) <= most
}

// hasErrors reports whether a GraphQL response, or one of a batch, has errors (GraphQL, §7.1 Response Format).
func hasErrors(content []byte) (bool, error) {
	d := json.NewDecoder(bytes.NewReader(content))
	first, err := d.Token()
	if err != nil {
		return false, err
	}
	found := false
	switch first {
	case json.Delim('{'):
		found, err = membersHaveErrors(d)
	case json.Delim('['):
		for err == nil && d.More() {
			var one json.RawMessage
			if err = d.Decode(&one); err == nil && len(one) > 0 && one[0] == '{' {
				inner := json.NewDecoder(bytes.NewReader(one))
				inner.Token()
				has, failed := membersHaveErrors(inner)
				found, err = found || has, failed
			}
		}
		if err == nil {
			_, err = d.Token()
		}
	}
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = errors.New("more than one value")
		}
	}
	return found, err
}

// membersHaveErrors reads the members of an object, after its opening brace.
func membersHaveErrors(d *json.Decoder) (found bool, err error) {
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return found, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return found, err
		}
		if name == "errors" {
			switch text := string(bytes.Join(bytes.Fields(value), nil)); text {
			case "null", "[]":
			default:
				found = true
			}
		}
	}
	_, err = d.Token()
	return found, err
}

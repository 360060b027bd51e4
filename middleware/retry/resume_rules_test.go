package retry

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110 §14.4.
func TestContentRange(t *testing.T) {
	type parsed struct {
		First, Last, Total int64
		OK                 bool
	}
	for in, want := range map[string]parsed{
		"bytes 0-0/1":   {0, 0, 1, true},
		"bytes 4-9/10":  {4, 9, 10, true},
		"bytes 4-4/10":  {4, 4, 10, true},
		"bytes 4-9/*":   {4, 9, -1, true},
		"bytes 4-10/10": {}, "bytes 9-4/10": {}, "bytes 0-0/0": {}, "bytes 5-4/*": {},
		"": {}, "bytes": {}, "bytes ": {}, "4-9/10": {}, "lines 4-9/10": {}, "bytes 4-9": {}, "bytes */10": {}, "bytes 49/10": {},
		"bytes x-9/10": {}, "bytes 4-x/10": {}, "bytes 4-9/x": {}, "bytes 4-9/": {}, "bytes -9/10": {}, "bytes 4-/10": {}, "bytes +4-9/10": {},
		"bytes 4-9/9223372036854775808": {},
	} {
		var got parsed
		if got.First, got.Last, got.Total, got.OK = contentRange(in); got != want {
			t.Errorf("%q is %+v, want %+v", in, got, want)
		}
	}
}

// Each condition of a response whose rest can be requested, alone.
func TestResumableResponse(t *testing.T) {
	text := func() io.ReadCloser { return io.NopCloser(strings.NewReader("x")) }
	for name, tt := range map[string]struct {
		change func(*http.Request, *http.Response)
		want   bool
	}{
		"all is well":     {func(*http.Request, *http.Response) {}, true},
		"no method":       {func(r *http.Request, _ *http.Response) { r.Method = "" }, true},
		"QUERY":           {func(r *http.Request, _ *http.Response) { r.Method = "QUERY" }, false},
		"an empty body":   {func(r *http.Request, _ *http.Response) { r.Body = http.NoBody }, true},
		"a body":          {func(r *http.Request, _ *http.Response) { r.Body = text() }, false},
		"a range":         {func(r *http.Request, _ *http.Response) { r.Header.Set("Range", "bytes=1-") }, false},
		"201":             {func(_ *http.Request, r *http.Response) { r.StatusCode = 201 }, false},
		"206":             {func(_ *http.Request, r *http.Response) { r.StatusCode = 206 }, false},
		"decompressed":    {func(_ *http.Request, r *http.Response) { r.Uncompressed = true }, false},
		"nothing to read": {func(_ *http.Request, r *http.Response) { r.Body = http.NoBody }, false},
		"no ranges":       {func(_ *http.Request, r *http.Response) { r.Header.Del("Accept-Ranges") }, false},
		"other ranges":    {func(_ *http.Request, r *http.Response) { r.Header.Set("Accept-Ranges", "lines") }, false},
		"several ranges":  {func(_ *http.Request, r *http.Response) { r.Header.Set("Accept-Ranges", "lines, Bytes") }, true},
		"no validator":    {func(_ *http.Request, r *http.Response) { r.Header.Del("Etag") }, false},
	} {
		req := &http.Request{Method: "GET", Header: http.Header{}}
		resp := &http.Response{StatusCode: 200, Header: http.Header{"Accept-Ranges": {"bytes"}, "Etag": {`"v1"`}}, Body: text()}
		tt.change(req, resp)
		if got := resumable(req, resp); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Each condition of a part that continues a download at offset 4 of 10, alone (RFC 9110 §15.3.7).
func TestPartThatContinuesADownload(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*download, *http.Response)
		want   bool
	}{
		"all is well":              {func(*download, *http.Response) {}, true},
		"200":                      {func(_ *download, r *http.Response) { r.StatusCode = 200 }, false},
		"decompressed":             {func(_ *download, r *http.Response) { r.Uncompressed = true }, false},
		"another coding":           {func(_ *download, r *http.Response) { r.Header.Set("Content-Encoding", "br") }, false},
		"another tag":              {func(_ *download, r *http.Response) { r.Header.Set("Etag", `"v2"`) }, false},
		"the same date":            {func(_ *download, r *http.Response) { r.Header.Set("Last-Modified", "then") }, true},
		"another date":             {func(_ *download, r *http.Response) { r.Header.Set("Last-Modified", "now") }, false},
		"no range, from the start": {func(d *download, r *http.Response) { d.off = 0; r.Header.Del("Content-Range") }, false},
		"another start":            {func(_ *download, r *http.Response) { r.Header.Set("Content-Range", "bytes 5-9/10") }, false},
		"another total":            {func(_ *download, r *http.Response) { r.Header.Set("Content-Range", "bytes 4-9/11") }, false},
		"beyond the total":         {func(_ *download, r *http.Response) { r.Header.Set("Content-Range", "bytes 4-10/*") }, false},
		"total not repeated":       {func(_ *download, r *http.Response) { r.Header.Set("Content-Range", "bytes 4-9/*") }, true},
		"a part of the rest":       {func(_ *download, r *http.Response) { r.Header.Set("Content-Range", "bytes 4-5/*") }, true},
		"total unknown before":     {func(d *download, _ *http.Response) { d.total = -1 }, true},
		"total unknown":            {func(d *download, r *http.Response) { d.total = -1; r.Header.Set("Content-Range", "bytes 4-9/*") }, false},
		"a part of what has no bytes": {func(d *download, r *http.Response) {
			d.off, d.total = 0, 0
			r.Header.Set("Content-Range", "bytes 0-0/1")
		}, false},
	} {
		d := &download{off: 4, total: 10, header: http.Header{"Etag": {`"v1"`}, "Last-Modified": {"then"}}}
		resp := &http.Response{StatusCode: 206, Header: http.Header{"Etag": {`"v1"`}, "Content-Range": {"bytes 4-9/10"}}, Body: http.NoBody}
		tt.change(d, resp)
		if got := d.continues(resp); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A body that gives its last bytes together with the end.
type lastBytes struct{ rest string }

func (l *lastBytes) Read(p []byte) (int, error) {
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, io.EOF
}

func (*lastBytes) Close() error { return nil }

func TestSpanEndsAtItsLength(t *testing.T) {
	got, err := io.ReadAll(&span{ReadCloser: &lastBytes{"0123456789"}, left: 3})
	if diff := cmp.Diff("012", string(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

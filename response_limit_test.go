package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// stuck returns nothing at all.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestBodyIsReadUpToTheLimit(t *testing.T) {
	broken := errors.New("broken")
	large := `"` + strings.Repeat("x", 3<<20) + `"`
	tests := []struct {
		name   string
		answer served
		limit  int64
		want   string
		err    error
	}{
		{name: "whole", answer: served{body: literalSegment(annJSON), length: 21}, want: annJSON},
		{name: "length unknown", answer: served{body: literalSegment(annJSON)}, want: annJSON},
		{name: "byte by byte", answer: served{body: literalSegment(annJSON, iotest.OneByteReader), length: 21}, want: annJSON},
		{name: "byte by byte, length unknown", answer: served{body: literalSegment(annJSON, iotest.OneByteReader)}, want: annJSON},
		{name: "end with the last data", answer: served{body: literalSegment(annJSON, iotest.DataErrReader), length: 21}, want: annJSON},
		{name: "longer than announced", answer: served{body: literalSegment(annJSON), length: 3}, want: annJSON},
		{name: "large", answer: served{body: literalSegment(large), length: int64(len(large))}, want: large},
		{name: "large, length unknown", answer: served{body: literalSegment(large)}, want: large},
		{name: "at the limit", answer: served{body: literalSegment(annJSON), length: 21}, limit: 21, want: annJSON},
		{name: "at the limit, length unknown", answer: served{body: literalSegment(annJSON)}, limit: 21, want: annJSON},
		{name: "highest limit", answer: served{body: literalSegment(annJSON)}, limit: math.MaxInt64, want: annJSON},
		{name: "no limit", answer: served{body: literalSegment(large)}, limit: -1, want: large},

		{name: "cut", answer: served{body: literalSegment(annJSON[:9], failing(io.ErrUnexpectedEOF)), length: 21}, err: io.ErrUnexpectedEOF},
		{name: "shorter than announced", answer: served{body: literalSegment(annJSON), length: 22}, err: io.ErrUnexpectedEOF},
		{name: "empty though announced", answer: served{length: 21}, err: io.ErrUnexpectedEOF},
		{name: "error behind the data", answer: served{body: literalSegment(annJSON, failing(broken))}, err: broken},
		{name: "above the limit", answer: served{body: literalSegment(annJSON), length: 21}, limit: 20, err: &ply.BodyLimitError{}},
		{name: "above the limit, length unknown", answer: served{body: literalSegment(annJSON)}, limit: 20, err: &ply.BodyLimitError{}},
		{name: "above the limit, byte by byte", answer: served{body: literalSegment(annJSON, iotest.OneByteReader)}, limit: 20, err: &ply.BodyLimitError{}},
		{name: "never ending", answer: served{body: func() io.Reader { return endless{} }}, limit: 1 << 20, err: &ply.BodyLimitError{}},
		{name: "never ending, as announced", answer: served{body: func() io.Reader { return endless{} }, length: math.MaxInt64}, limit: 1 << 20, err: &ply.BodyLimitError{}},
	}
	for _, tt := range tests {
		for _, r := range readers {
			t.Run(tt.name+"/"+r.name, func(t *testing.T) {
				body, resp, err := tt.answer.get(ply.WithBodyLimit(t.Context(), tt.limit))
				got, err := r.read(resp, err)
				if got != tt.want {
					t.Errorf("content differs:\n%s", cmp.Diff(tt.want, got))
				}
				checkError(t, err, tt.err, tt.limit)
				if body.closed != 1 {
					t.Errorf("body closed %d times", body.closed)
				}
				if tt.limit > 0 && tt.limit < math.MaxInt64 && body.read > tt.limit+1 || tt.limit > 0 && tt.answer.length > tt.limit && body.read > 0 {
					t.Errorf("%d bytes fetched under a limit of %d", body.read, tt.limit)
				}
			})
		}
	}
}

// checkError checks that err is or wraps want, and that its text has no secret.
func checkError(t *testing.T, err, want error, limit int64) {
	t.Helper()
	var over *ply.BodyLimitError
	switch {
	case want == nil && err == nil:
		return
	case want == nil || err == nil:
		t.Fatalf("error %v, want %v", err, want)
	case errors.As(want, &over):
		if !errors.As(err, &over) || over.Limit != limit || !strings.Contains(err.Error(), fmt.Sprintf("limit of %d bytes", limit)) ||
			!strings.Contains(err.Error(), "ply.WithBodyLimit") {
			t.Errorf("error %q, want a BodyLimitError that names the limit of %d and how to raise it", err, limit)
		}
	case !errors.Is(err, want):
		t.Errorf("error %q, want %q", err, want)
	}
	for _, secret := range []string{"hush1", "hush2", "Ann"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	if !strings.Contains(err.Error(), "GET ") || !strings.Contains(err.Error(), "api.example.com/users/7") {
		t.Errorf("the error does not name the request: %v", err)
	}
}

func TestBodyLimitUnlessChosen(t *testing.T) {
	small := ply.WithBodyLimit(t.Context(), 5)
	for _, r := range readers {
		for name, ctx := range map[string]context.Context{"unchosen": t.Context(), "taken back": ply.WithBodyLimit(small, 0)} {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				large := `"` + strings.Repeat("x", int(ply.DefaultBodyLimit)-2) + `"`
				_, resp, err := served{body: literalSegment(large)}.get(ctx)
				if got, err := r.read(resp, err); err != nil || got != large {
					t.Errorf("at the default limit: %d bytes, %v", len(got), err)
				}
				_, resp, err = served{body: literalSegment(" " + large)}.get(ctx)
				got, err := r.read(resp, err)
				var over *ply.BodyLimitError
				switch r.name {
				case "CopyTo", "Save":
					if err != nil || len(got) != len(large)+1 {
						t.Errorf("what is not held in memory has a limit: %d bytes, %v", len(got), err)
					}
				default:
					if !errors.As(err, &over) || over.Limit != ply.DefaultBodyLimit {
						t.Errorf("above the default limit: %d bytes, %v", len(got), err)
					}
				}
			})
		}
	}
}

func TestBodyWithoutProgressFails(t *testing.T) {
	for _, r := range readers[:4] {
		body, resp, err := served{body: func() io.Reader { return stuck{} }}.get(t.Context())
		if _, err = r.read(resp, err); !errors.Is(err, io.ErrNoProgress) || body.closed != 1 {
			t.Errorf("%s: error %v, closed %d times", r.name, err, body.closed)
		}
	}
}

func TestMemoryGrowsWithTheBody(t *testing.T) {
	ctx := ply.WithBodyLimit(t.Context(), -1)
	allocated := func(a served) (bytes uint64) {
		_, resp, err := a.get(ctx)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ply.Bytes(resp, err)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if got := allocated(served{body: literalSegment("x"), length: 1 << 40}); got > 1<<20 {
		t.Errorf("%d bytes allocated for one byte that was announced as a tebibyte", got)
	}
	if got := allocated(served{body: literalSegment(strings.Repeat("x", 900_000)), length: 900_000}); got > 1_100_000 {
		t.Errorf("%d bytes allocated for 900000 announced", got)
	}
	if got := allocated(served{body: literalSegment(strings.Repeat("x", 8<<20)), length: 8 << 20}); got > 4*8<<20 {
		t.Errorf("%d bytes allocated for 8 MiB announced", got)
	}
}

func TestSmallAnnouncedBodyIsAllocatedOnce(t *testing.T) {
	content := strings.NewReader(annJSON)
	resp := &http.Response{StatusCode: http.StatusOK, ContentLength: 21, Body: io.NopCloser(content)}
	allocs := testing.AllocsPerRun(100, func() {
		content.Seek(0, io.SeekStart)
		if b, err := ply.Bytes(resp, nil); err != nil || len(b) != 21 {
			t.Fatal(len(b), err)
		}
	})
	if allocs != 1 {
		t.Errorf("%v allocations, want 1", allocs)
	}
}

func TestHEADResponseHasNoBody(t *testing.T) {
	hc := &http.Client{Transport: ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, ContentLength: 1 << 40, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
	})}
	for _, r := range append(readers, discard) {
		if got, err := r.read(hc.Head("https://api.example.com/users/7")); got != "" || err != nil && !errors.Is(err, ply.ErrEmptyBody) {
			t.Errorf("%s: %q, %v", r.name, got, err)
		}
	}
}

func TestALimitAsAnOptionBoundsWhatIsReadCopiedAndSaved(t *testing.T) {
	const text = "0123456789"
	tests := []struct {
		name    string
		client  int64
		context int64
		request int64
		limit   int64 // 0: all of it is read
	}{
		{"of the request", 0, 0, 5, 5},
		{"of the client", 5, 0, 0, 5},
		{"the request's before the context's", 0, 20, 5, 5},
		{"the request's before the client's", 5, 0, -1, 0},
		{"the context's before the client's", 5, 10, 0, 0},
		{"the length of the body", 0, 0, 10, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := ply.Options{Transport: plytest.NewOrigin(plytest.Reply{Body: text, Chunked: true})}
			if tt.client != 0 {
				o.Defaults = []ply.RequestOption{ply.MaxResponseBody(tt.client)}
			}
			c := newClient(t, o)
			get := func() (*http.Response, error) {
				return c.Get(ply.WithBodyLimit(t.Context(), tt.context), "http://a.test/", ply.MaxResponseBody(tt.request))
			}
			dir := t.TempDir()
			var copied strings.Builder
			if tt.request == 0 { // a request that says nothing at all
				get = func() (*http.Response, error) {
					req, err := http.NewRequestWithContext(ply.WithBodyLimit(t.Context(), tt.context), http.MethodGet, "http://a.test/", nil)
					require.NoError(t, err)
					return c.Do(req)
				}
			}
			_, read := ply.Bytes(get())
			_, copying := ply.CopyTo(&copied)(get())
			_, saving := ply.Save(filepath.Join(dir, "file"))(get())
			for what, err := range map[string]error{"Bytes": read, "CopyTo": copying, "Save": saving} {
				var over *ply.BodyLimitError
				if tt.limit == 0 && err != nil || tt.limit != 0 && (!errors.As(err, &over) || over.Limit != tt.limit) {
					t.Errorf("%s: %v, want a limit of %d", what, err, tt.limit)
				}
			}
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			if tt.limit != 0 && (copied.String() != text[:tt.limit] || len(files) != 0) {
				t.Errorf("%q was copied, and %v is left of the file", &copied, files)
			}
			if tt.limit == 0 && (copied.String() != text || len(files) != 1) {
				t.Errorf("%q was copied, and %v saved", &copied, files)
			}
		})
	}
}

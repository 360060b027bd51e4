package tape

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/keying"
)

func TestRangeKeepsThePaceOfItsChunks(t *testing.T) {
	chunks := []Chunk{{At: 1, Data: []byte("01")}, {At: 3, Data: []byte("234")}, {At: 7, Data: []byte("5")}, {At: 9, Data: []byte("678")}}
	for name, c := range map[string]struct {
		from, to int64
		want     []Chunk
	}{
		"all":            {0, 9, []Chunk{{Data: []byte("01")}, {At: 2, Data: []byte("234")}, {At: 6, Data: []byte("5")}, {At: 8, Data: []byte("678")}}},
		"within a chunk": {3, 4, []Chunk{{Data: []byte("3")}}},
		"from an edge":   {2, 6, []Chunk{{Data: []byte("234")}, {At: 4, Data: []byte("5")}}},
		"over edges":     {4, 8, []Chunk{{Data: []byte("4")}, {At: 4, Data: []byte("5")}, {At: 6, Data: []byte("67")}}},
		"none":           {9, 9, nil},
	} {
		if d := cmp.Diff(c.want, slice(chunks, c.from, c.to)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func get(ctx context.Context, t *testing.T) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, pageURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResponseIsAsRecorded(t *testing.T) {
	e := at(0, 200, "one")
	e.Response.Proto, e.Response.Length, e.Response.Trailer = "HTTP/2.0", -1, http.Header{"Checksum": {"1"}}
	for name, c := range map[string]struct {
		exchange *Exchange
		proto    string
		length   int64
		trailer  http.Header // at the end
	}{
		"HTTP/2 with a trailer": {e, "HTTP/2.0", -1, http.Header{"Checksum": {"1"}}},
		"without any":           {at(0, 200, "one"), "HTTP/1.1", 3, nil},
		"without a header":      {&Exchange{Request: Request{URL: pageURL}, Response: &Response{Status: 200}}, "HTTP/1.1", 0, nil},
	} {
		played(t, &Tape{Start: tapeStart, Exchanges: []*Exchange{c.exchange}}, func(r *run) {
			resp, err := r.origin.RoundTrip(get(context.Background(), t))
			if err != nil {
				t.Fatal(err)
			}
			major, minor, _ := http.ParseHTTPVersion(c.proto)
			if resp.Proto != c.proto || resp.ProtoMajor != major || resp.ProtoMinor != minor || resp.ContentLength != c.length || resp.Status != "200 OK" || resp.Header == nil {
				t.Errorf("%s: %+v", name, resp)
			}
			for field := range c.trailer {
				if lines, announced := resp.Trailer[field]; !announced || lines != nil {
					t.Errorf("%s: trailer before the end: %v", name, resp.Trailer)
				}
			}
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(c.trailer, resp.Trailer); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		})
	}
}

func TestOriginObeysTheContext(t *testing.T) {
	played(t, &Tape{Start: tapeStart, Exchanges: []*Exchange{at(0, 200, "one")}}, func(r *run) {
		gone := errors.New("the caller is gone")
		for name, after := range map[string]time.Duration{"before": 0, "while it waits": time.Second / 2, "in the body": 3 * time.Second / 2} {
			ctx, cancel := context.WithCancelCause(context.Background())
			if after == 0 {
				cancel(gone)
			}
			time.AfterFunc(after, func() { cancel(gone) })
			began := time.Now()
			resp, err := r.origin.RoundTrip(get(ctx, t))
			if answered := after > time.Second; (err == nil) != answered {
				t.Errorf("%s: %v, %v", name, resp, err)
			}
			if err == nil {
				_, err = io.ReadAll(resp.Body)
			}
			if !errors.Is(err, gone) || time.Since(began) != after {
				t.Errorf("%s: %v after %v", name, err, time.Since(began))
			}
		}
	})
}

func TestClosedBodyIsNotRead(t *testing.T) {
	played(t, &Tape{Start: tapeStart, Exchanges: []*Exchange{at(0, 200, "one")}}, func(r *run) {
		resp, err := r.origin.RoundTrip(get(context.Background(), t))
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if n, err := resp.Body.Read(first); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if n, err := resp.Body.Read(first); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("%d, %v", n, err)
		}
		if r.origin.report.BytesOrigin != 1 {
			t.Errorf("%d bytes are counted", r.origin.report.BytesOrigin)
		}
	})
}

// Conditions and ranges choose among the answers of one resource, also if all header fields are in the key.
func TestConditionsAreNotInTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		match := keying.New(keying.URL(keying.URLOptions{}), keying.AllHeaders())
		r := &run{origin: newOrigin(&Tape{}, match)}
		if err := r.prepare(&Tape{Start: tapeStart, Exchanges: []*Exchange{asked(at(0, 200, "one", "Etag", `"1"`), "Accept", "a")}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(r.origin.start))
		req := get(context.Background(), t)
		set(req.Header, []string{"Accept", "a", "If-None-Match", `"1"`})
		if got := show(r.origin, req); got != `1s: 304 ""` {
			t.Error(got)
		}
		if req.Header.Get("If-None-Match") == "" {
			t.Error("the request has lost its condition")
		}
		req.Header.Set("Accept", "b")
		if got := show(r.origin, req); got != "0s: tape: the tape has no answer to this request: GET "+pageURL {
			t.Error(got)
		}
	})
}

package decode_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// negotiated answers with content in the first coding that a request asks for, and confirms it by its entity tag.
func negotiated(content []byte, header ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		coding, _, _ := strings.Cut(r.Header.Get("Accept-Encoding"), ",")
		coding, _, _ = strings.Cut(coding, ";")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Vary", "Accept-Encoding")
		tag := fmt.Sprintf("%q", "v1-"+coding)
		w.Header().Set("Etag", tag)
		body := content
		if slices.Contains(allCodings, coding) {
			w.Header().Set("Content-Encoding", coding) // of a 304, too, as some servers send it
			body = encode(content, coding)
		}
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(body)
	})
}

func newCache(t *testing.T) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newClient(t *testing.T, origin http.RoundTripper, layers ...ply.Middleware) *ply.Client {
	t.Helper()
	client, err := ply.New(ply.Options{BaseURL: "http://example.test/", Transport: origin, Use: layers})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestACacheBelowKeepsBodiesEncoded(t *testing.T) {
	content := text(1, 100000)
	c, origin := newCache(t), plytest.NewHandlerOrigin(negotiated(content, "Cache-Control", "max-age=60"))
	client := newClient(t, origin, decode.New(decode.Options{}), c.Middleware)
	for range 3 {
		if got, err := ply.Bytes(client.Get(t.Context(), "/")); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if s := c.Stats(); s.Hits != 2 || s.Bytes > int64(len(content)/2) {
		t.Errorf("%d hits, %d bytes stored for a body of %d", s.Hits, s.Bytes, len(content))
	}
	// A request that asks for identity, or for a coding of its own choice, gets another variant.
	if got, err := ply.Bytes(client.Get(t.Context(), "/", ply.SetHeader("Accept-Encoding", "identity"))); err != nil || !bytes.Equal(got, content) {
		t.Errorf("identity: %d bytes, %v", len(got), err)
	}
	if got, err := ply.Bytes(client.Get(t.Context(), "/", ply.SetHeader("Accept-Encoding", "gzip"))); err != nil || !bytes.Equal(got, encode(content, decode.Gzip)) {
		t.Errorf("gzip: %d bytes, %v", len(got), err)
	}
}

func TestACacheAboveKeepsBodiesDecodedAndValidatesThem(t *testing.T) {
	content := text(1, 100000)
	synctest.Test(t, func(t *testing.T) {
		c, origin := newCache(t), plytest.NewHandlerOrigin(negotiated(content, "Cache-Control", "max-age=60"))
		client := newClient(t, origin, c.Middleware, decode.New(decode.Options{}))
		for range 3 {
			resp, err := client.Get(t.Context(), "/")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := readAll(resp); err != nil || !bytes.Equal(got, content) || resp.Header.Get("Content-Encoding") != "" || !resp.Uncompressed {
				t.Fatalf("%d bytes, %v; %v", len(got), err, resp.Header)
			}
			time.Sleep(40 * time.Second)
		}
		if s := c.Stats(); s.Hits != 1 || s.Revalidated != 1 || s.Bytes < int64(len(content)) {
			t.Errorf("%+v, want one hit and one response that is confirmed", s)
		}
		if tag := origin.Exchanges()[1].Header.Get("If-None-Match"); tag != `"v1-br"` {
			t.Errorf("asked with the tag %s, want that of the encoded content", tag)
		}
	})
}

func TestABrokenDownloadContinuesInEncodedBytes(t *testing.T) {
	content := text(1, 50000)
	for _, coding := range allCodings {
		synctest.Test(t, func(t *testing.T) {
			whole := encode(content, coding)
			header := []string{"Etag", `"v1"`, "Accept-Ranges", "bytes"}
			first := encoded(content, coding, header...)
			first.Fault = plytest.ResetAfter(len(whole) / 3)
			rest := encoded(content, coding, append(header, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", len(whole)/3, len(whole)-1, len(whole)))...)
			rest.Status, rest.Body = http.StatusPartialContent, rest.Body[len(whole)/3:]
			origin := plytest.NewOrigin(first, rest)
			client := newClient(t, origin, decode.New(decode.Options{}), retry.New(retry.Options{Resume: 1}))
			if got, err := ply.Bytes(client.Get(t.Context(), "/")); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%s: %d bytes, %v", coding, len(got), err)
			}
			x := origin.Exchanges()
			if len(x) != 2 || x[1].Header.Get("Range") != fmt.Sprintf("bytes=%d-", len(whole)/3) || x[1].Header.Get("If-Range") != `"v1"` {
				t.Errorf("%s: %d requests, the last one with %v", coding, len(x), x[len(x)-1].Header)
			}
		})
	}
}

// Above decode nothing may put parts of the encoded content behind what was decoded.
func TestRetryAboveDoesNotContinueADownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := encoded(text(1, 50000), decode.Gzip, "Etag", `"v1"`, "Accept-Ranges", "bytes")
		first.Fault = plytest.ResetAfter(1000)
		origin := plytest.NewOrigin(first, plytest.Text("must not be asked for"))
		client := newClient(t, origin, retry.New(retry.Options{Resume: 1}), decode.New(decode.Options{}))
		if _, err := ply.Bytes(client.Get(t.Context(), "/")); err == nil || origin.Count() != 1 {
			t.Errorf("error %v after %d requests, want that of the connection after one", err, origin.Count())
		}
	})
}

func TestTheRecordOfACallAndTheLogSayWhatWasDecoded(t *testing.T) {
	content := []byte(`{"name":"` + strings.Repeat("plain ", 1000) + `"}`)
	size := int64(len(encode(content, decode.Brotli)))
	var above, below bytes.Buffer
	logs := func(b *bytes.Buffer) ply.Middleware {
		return logging.New(logging.Options{Logger: slog.New(slog.NewTextHandler(b, nil)), BodyBytes: 100})
	}
	c := newCache(t)
	client := newClient(t, plytest.NewHandlerOrigin(negotiated(content, "Content-Type", "application/json", "Cache-Control", "max-age=60")),
		logs(&above), decode.New(decode.Options{}), logs(&below), c.Middleware)
	if names := fmt.Sprint(ply.Layers(client)); !strings.Contains(names, "logging decode logging cache") {
		t.Errorf("layers: %s", names)
	}
	for range 2 { // from the origin, and from the cache
		above.Reset()
		below.Reset()
		var received, total int64
		resp, err := client.Get(ply.WithCallInfo(t.Context()), "/", ply.DownloadProgress(func(n, of int64) { received, total = n, of }))
		if err != nil {
			t.Fatal(err)
		}
		open, _ := ply.CallInfoFrom(resp)
		if _, err := readAll(resp); err != nil {
			t.Fatal(err)
		}
		info, _ := ply.CallInfoFrom(resp)
		hop := info.Hops[0]
		if open.Hops[0].Decoded != "br" || hop.Decoded != "br" || hop.Encoded != size || hop.Received != int64(len(content)) {
			t.Errorf("record: %q, %d to %d bytes, want br, %d to %d", hop.Decoded, hop.Encoded, hop.Received, size, len(content))
		}
		if want := fmt.Sprintf("  decode: br, %d bytes encoded\n", size); !strings.Contains(info.String(), want) {
			t.Errorf("the waterfall lacks %q:\n%s", want, info)
		}
		if want := fmt.Sprintf("decode.codings=br decode.encoded_size=%d", size); !strings.Contains(above.String(), want) || !strings.Contains(above.String(), "plain plain") {
			t.Errorf("the log above lacks %q or the text of the body:\n%s", want, &above)
		}
		if s := below.String(); strings.Contains(s, "decode.") || strings.Contains(s, "response.body=") || !strings.Contains(s, fmt.Sprintf("http.response.body.size=%d", size)) {
			t.Errorf("the log below: %s", s)
		}
		if received != int64(len(content)) || total != -1 {
			t.Errorf("progress: %d of %d, want decoded bytes of an unknown number", received, total)
		}
	}
}

func TestStacksWithDecode(t *testing.T) {
	d := decode.New(decode.Options{})
	c := newCache(t)
	tests := []struct {
		name   string
		layers []ply.Middleware
		want   string // in the error of ply.New
	}{
		{"above the cache", []ply.Middleware{d, c.Middleware, retry.New(retry.Options{})}, ""},
		{"below the cache", []ply.Middleware{c.Middleware, d, retry.New(retry.Options{})}, ""},
		{"innermost", []ply.Middleware{c.Middleware, retry.New(retry.Options{}), d}, ""},
		{"twice", []ply.Middleware{d, c.Middleware, d}, "contains decode twice"},
		{"with options that mean nothing", []ply.Middleware{decode.New(decode.Options{Codings: []string{"lzma"}})}, `Codings[0]: is "lzma"`},
	}
	for _, tt := range tests {
		_, err := ply.New(ply.Options{Use: tt.layers})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestEachHopOfARedirectIsDecoded(t *testing.T) {
	content := text(1, 5000)
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/old": {func() plytest.Reply {
			r := encoded([]byte("moved"), decode.Gzip, "Location", "/new")
			r.Status = http.StatusFound
			return r
		}()},
		"/new": {encoded(content, decode.Zstd)},
	}}
	client := newClient(t, origin, decode.New(decode.Options{}))
	if got, err := ply.Bytes(client.Get(context.Background(), "/old")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, x := range origin.Exchanges() {
		if !strings.HasPrefix(x.Header.Get("Accept-Encoding"), "br,") {
			t.Errorf("%s was asked for %q", x.URL, x.Header.Get("Accept-Encoding"))
		}
	}
}

// An event can be read when the server has flushed it, in whatever coding.
func TestEventsOfAnEncodedStreamArriveOneByOne(t *testing.T) {
	for _, coding := range allCodings {
		synctest.Test(t, func(t *testing.T) {
			next := make(chan struct{})
			origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				w.Header().Set("Content-Encoding", named(coding))
				enc := encoder(coding, w)
				for i := range 3 {
					fmt.Fprintf(enc, "data: %d\n\n", i)
					enc.Flush()
					w.(http.Flusher).Flush()
					<-next
				}
				enc.Close()
			}))
			client := newClient(t, origin, decode.New(decode.Options{}))
			var got []string
			for event, err := range ply.Events(client.Get(t.Context(), "/")) {
				if err != nil {
					t.Fatalf("%s: %v", coding, err)
				}
				got = append(got, event.Data)
				next <- struct{}{}
			}
			if !slices.Equal(got, []string{"0", "1", "2"}) {
				t.Errorf("%s: events %q", coding, got)
			}
		})
	}
}

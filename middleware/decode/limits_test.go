package decode_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

// zeros is an endless supply.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bombs are 32 MiB of zeros, by coding.
var bombs = map[string]func() []byte{decode.Brotli: bomb(decode.Brotli), decode.Zstd: bomb(decode.Zstd), decode.Gzip: bomb(decode.Gzip)}

const bombSize = 32 << 20

func bomb(coding string) func() []byte {
	return sync.OnceValue(func() []byte {
		var b bytes.Buffer
		enc := encoder(coding, &b)
		io.CopyN(enc, zeros{}, bombSize)
		enc.Close()
		return b.Bytes()
	})
}

func TestContentThatGrowsTooMuchIsRefused(t *testing.T) {
	for coding, bomb := range bombs {
		body := bomb()
		resp := get(t, layer(decode.Options{}, plytest.NewOrigin(raw(body, coding))))
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		var over *decode.LimitError
		if !errors.As(err, &over) || over.MaxRatio != decode.DefaultMaxRatio || over.MaxBytes != 0 || over.Encoded == 0 || over.Coding != named(coding) {
			t.Errorf("%s: %d bytes to %d: %v, want a LimitError", coding, len(body), n, err)
		}
		if n < 15<<20 || n > 24<<20 {
			t.Errorf("%s: refused after %d bytes, want 16 MiB or a little more", coding, n)
		}
	}
}

func TestAStackOfCodingsThatGrowsOnTheWayIsRefused(t *testing.T) {
	// Empty members: as gzip they are megabytes, and decoded twice they are nothing.
	members := bytes.Repeat(encode(nil, decode.Gzip), 1<<20)
	body := encode(members, decode.Zstd)
	reply := plytest.Text(string(body))
	reply.Header = http.Header{"Content-Encoding": {"gzip, zstd"}}
	_, err := readAll(get(t, layer(decode.Options{}, plytest.NewOrigin(reply))))
	var over *decode.LimitError
	if !errors.As(err, &over) || over.Coding != decode.Zstd {
		t.Errorf("%d bytes, on the way %d: %v, want a LimitError", len(body), len(members), err)
	}
}

func TestTooManyCodingsAreAnError(t *testing.T) {
	reply := plytest.Text("x")
	reply.Header = http.Header{"Content-Encoding": {strings.Repeat("gzip, ", 1000) + "gzip"}}
	resp := get(t, layer(decode.Options{}, plytest.NewOrigin(reply)))
	codings, _ := resp.Body.(interface{ DecodedFrom() (string, int64) }).DecodedFrom()
	if len(codings) > 40 {
		t.Errorf("%d bytes of codings for logs", len(codings))
	}
	if _, err := readAll(resp); !errors.Is(err, decode.ErrTooManyCodings) {
		t.Errorf("error %v, want ErrTooManyCodings", err)
	}
}

func TestALimitOnBytesLetsExactlyThatMuchThrough(t *testing.T) {
	content := text(1, 5000)
	for _, coding := range allCodings {
		for _, limit := range []int64{1, 4999, 5000, 5001} {
			got, err := decoded(t, decode.Options{MaxBytes: limit}, encode(content, coding), coding)
			var over *decode.LimitError
			switch {
			case !bytes.Equal(got, content[:min(limit, 5000)]):
				t.Errorf("%s, limit %d: %d bytes", coding, limit, len(got))
			case limit >= 5000 && err != nil:
				t.Errorf("%s, limit %d: %v", coding, limit, err)
			case limit < 5000 && (!errors.As(err, &over) || over.MaxBytes != limit || over.MaxRatio != 0):
				t.Errorf("%s, limit %d: %v, want a LimitError", coding, limit, err)
			}
		}
	}
	reply := plytest.Text(string(encode([]byte("hello"), "gzip", "br")))
	reply.Header = http.Header{"Content-Encoding": {"gzip, br"}}
	if got, err := readAll(get(t, layer(decode.Options{MaxBytes: 5}, plytest.NewOrigin(reply)))); err != nil || len(got) != 5 {
		t.Errorf("two codings: %d bytes, %v; the limit is on the content", len(got), err)
	}
}

func TestARequestChoosesItsLimits(t *testing.T) {
	content := text(1, 5000)
	zeros := bombs[decode.Zstd]()
	tests := []struct {
		name    string
		options decode.Options
		choose  func(context.Context) context.Context
		body    []byte
		ok      bool
	}{
		{"fewer bytes", decode.Options{}, func(c context.Context) context.Context { return decode.WithMaxBytes(c, 100) }, encode(content, decode.Zstd), false},
		{"more bytes", decode.Options{MaxBytes: 100}, func(c context.Context) context.Context { return decode.WithMaxBytes(c, 5000) }, encode(content, decode.Zstd), true},
		{"any number of bytes", decode.Options{MaxBytes: 100}, func(c context.Context) context.Context { return decode.WithMaxBytes(c, -1) }, encode(content, decode.Zstd), true},
		{"the layer's again", decode.Options{MaxBytes: 100}, func(c context.Context) context.Context { return decode.WithMaxBytes(decode.WithMaxBytes(c, -1), 0) }, encode(content, decode.Zstd), false},
		{"a larger ratio", decode.Options{}, func(c context.Context) context.Context { return decode.WithMaxRatio(c, 100000) }, zeros, true},
		{"any ratio, and fewer bytes", decode.Options{}, func(c context.Context) context.Context { return decode.WithMaxBytes(decode.WithMaxRatio(c, -1), 100) }, zeros, false},
		{"a smaller ratio", decode.Options{MaxRatio: -1}, func(c context.Context) context.Context { return decode.WithMaxRatio(c, 2) }, zeros, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, http.MethodGet)
			resp, err := layer(tt.options, plytest.NewOrigin(raw(tt.body, decode.Zstd))).RoundTrip(req.WithContext(tt.choose(req.Context())))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := readAll(resp); (err == nil) != tt.ok {
				t.Errorf("error %v, want one: %t", err, !tt.ok)
			}
		})
	}
}

// No matter how much there is to read, little is in memory.
func TestMemoryStaysSmallWhateverTheContent(t *testing.T) {
	for coding, bomb := range bombs {
		h := layer(decode.Options{MaxRatio: -1}, plytest.NewOrigin(raw(bomb(), coding)))
		resp := get(t, h)
		var most uint64
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		before := stats.HeapAlloc
		for range 4 {
			if n, err := io.CopyN(io.Discard, resp.Body, bombSize/4); err != nil {
				t.Fatalf("%s: %d bytes, %v", coding, n, err)
			}
			runtime.GC()
			runtime.ReadMemStats(&stats)
			most = max(most, stats.HeapAlloc)
		}
		resp.Body.Close()
		if grown := int64(most) - int64(before); grown > 18<<20 {
			t.Errorf("%s: %d bytes in memory", coding, grown)
		}
	}
}

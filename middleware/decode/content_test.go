package decode_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

// The files of testdata come from the encoders in C: zlib, brotli at quality 11, zstd at level 19.
func TestContentOfTheReferenceEncodersIsDecoded(t *testing.T) {
	for file, coding := range map[string]string{
		"text.br": decode.Brotli, "text.zst": decode.Zstd, "text.gz": decode.Gzip, "text.zlib": decode.Deflate, "text.deflate": decode.Deflate,
	} {
		t.Run(file, func(t *testing.T) {
			body, err := os.ReadFile("testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decoded(t, decode.Options{}, body, coding)
			if err != nil || !bytes.Equal(got, text(1, 20000)) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestContentThatIsCutShortIsAnErrorOfTheRead(t *testing.T) {
	content := text(2, 600)
	for _, coding := range allCodings {
		t.Run(coding, func(t *testing.T) {
			whole := encode(content, coding)
			for n := 1; n < len(whole); n++ {
				got, err := decoded(t, decode.Options{}, whole[:n], coding)
				var bad *decode.ContentError
				if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &bad) || bad.Coding != named(coding) {
					t.Fatalf("%d of %d bytes: %v, want an unexpected EOF", n, len(whole), err)
				}
				if !bytes.HasPrefix(content, got) {
					t.Fatalf("%d of %d bytes: what was read is not the beginning of the content", n, len(whole))
				}
			}
		})
	}
}

func TestContentWithOtherBytesBehindItIsAnErrorAfterAllOfIt(t *testing.T) {
	content := text(3, 3000)
	for _, coding := range allCodings {
		for _, tail := range []string{"\x00", "x", "garbage behind", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
			t.Run(fmt.Sprintf("%s %q", coding, tail), func(t *testing.T) {
				got, err := decoded(t, decode.Options{}, append(encode(content, coding), tail...), coding)
				if !bytes.Equal(got, content) {
					t.Errorf("read %d bytes before the error, want %d", len(got), len(content))
				}
				var bad *decode.ContentError
				if !errors.As(err, &bad) {
					t.Errorf("error %v, want a ContentError", err)
				}
				want := decode.ErrTrailingData
				if coding == decode.Zstd && len(tail) < 4 { // it may have been the beginning of a frame
					want = io.ErrUnexpectedEOF
				}
				if !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
			})
		}
	}
}

func TestContentThatLiesIsAnError(t *testing.T) {
	tests := []struct {
		name, coding string
		body         []byte
	}{
		{"plain text as br", decode.Brotli, text(4, 500)},
		{"plain text as zstd", decode.Zstd, text(4, 500)},
		{"plain text as gzip", decode.Gzip, text(4, 500)},
		{"plain text as deflate", decode.Deflate, text(4, 500)},
		{"gzip as br", decode.Brotli, encode(text(4, 500), decode.Gzip)},
		{"zstd as gzip", decode.Gzip, encode(text(4, 500), decode.Zstd)},
		{"checksum of gzip", decode.Gzip, flipped(encode(text(4, 500), decode.Gzip), -6)},
		{"length of gzip", decode.Gzip, flipped(encode(text(4, 500), decode.Gzip), -1)},
		{"checksum of zlib", decode.Deflate, flipped(encode(text(4, 500), decode.Deflate), -1)},
		{"checksum of zstd", decode.Zstd, flipped(encode(text(4, 500), decode.Zstd), -1)},
		{"a dictionary that is not there", decode.Deflate, []byte{0x78, 0xbb, 1, 2, 3, 4, 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decoded(t, decode.Options{}, tt.body, tt.coding)
			var bad *decode.ContentError
			if !errors.As(err, &bad) || bad.Coding != tt.coding || !strings.HasPrefix(err.Error(), "decode: "+tt.coding+": ") {
				t.Errorf("error %v, want a ContentError of %s", err, tt.coding)
			}
		})
	}
}

// flipped is b with a bit of the byte at i, counted from the end, changed.
func flipped(b []byte, i int) []byte {
	b[len(b)+i] ^= 0x10
	return b
}

func TestContentInSeveralPiecesIsOne(t *testing.T) {
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'}
	a, b := text(5, 2000), text(6, 1000)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tests := []struct {
		name, coding string
		body         []byte
		want         []byte
	}{
		{"members of gzip", decode.Gzip, join(encode(a, decode.Gzip), encode(b, decode.Gzip)), join(a, b)},
		{"empty members of gzip", decode.Gzip, join(encode(nil, decode.Gzip), encode(nil, decode.Gzip), encode(b, decode.Gzip), encode(nil, decode.Gzip)), b},
		{"frames of zstd", decode.Zstd, join(encode(a, decode.Zstd), encode(b, decode.Zstd)), join(a, b)},
		{"skippable frames of zstd", decode.Zstd, join(skippable, encode(a, decode.Zstd), skippable), a},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decoded(t, decode.Options{}, tt.body, tt.coding)
			if err != nil || !bytes.Equal(got, tt.want) {
				t.Errorf("got %d bytes, %v; want %d", len(got), err, len(tt.want))
			}
			if tt.coding == decode.Gzip {
				_, err := decoded(t, decode.Options{}, tt.body[:len(tt.body)-3], tt.coding)
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the last member cut short: %v, want an unexpected EOF", err)
				}
			}
		})
	}
}

func TestEmptyContentIsEmptyWhetherItIsEncodedOrNot(t *testing.T) {
	for _, coding := range allCodings {
		for name, body := range map[string][]byte{"encoded": encode(nil, coding), "nothing at all": nil} {
			origin := &plytest.Origin{Script: []plytest.Reply{{Body: string(body), Header: raw(nil, coding).Header, Fault: plytest.Fault{}}}}
			resp := get(t, layer(decode.Options{}, chunked{origin}))
			if got, err := readAll(resp); err != nil || len(got) > 0 {
				t.Errorf("%s, %s: got %q, %v", coding, name, got, err)
			}
		}
	}
}

func TestAnErrorOfTheConnectionComesAsItIs(t *testing.T) {
	broken := errors.New("broken")
	content := text(7, 5000)
	for _, coding := range allCodings {
		whole := encode(content, coding)
		for _, cut := range []int{0, 1, len(whole) / 2, len(whole)} {
			for _, want := range []error{broken, io.ErrUnexpectedEOF, context.Canceled} {
				body := io.MultiReader(bytes.NewReader(whole[:cut]), iotest.ErrReader(want))
				resp := get(t, layer(decode.Options{}, &fixed{body: io.NopCloser(body), coding: coding}))
				got, err := readAll(resp)
				if err != want {
					t.Errorf("%s, after %d of %d bytes: %v, want %v itself", coding, cut, len(whole), err, want)
				}
				if !bytes.HasPrefix(content, got) {
					t.Errorf("%s, after %d of %d bytes: other bytes were read", coding, cut, len(whole))
				}
				if again, err := resp.Body.Read(make([]byte, 1)); again != 0 || err == nil {
					t.Errorf("%s: a read after the error gave %d bytes, %v", coding, again, err)
				}
			}
		}
	}
}

func TestAWindowThatIsTooLargeIsRefused(t *testing.T) {
	huge, err := os.ReadFile("testdata/window128m.zst")
	if err != nil {
		t.Fatal(err)
	}
	singleSegment := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40} // of 1 GiB
	for name, body := range map[string][]byte{"128 MiB": huge, "a single segment of 1 GiB": singleSegment} {
		_, err := decoded(t, decode.Options{}, body, decode.Zstd)
		if !errors.Is(err, decode.ErrWindowSize) {
			t.Errorf("%s: %v, want ErrWindowSize", name, err)
		}
	}
	var largest bytes.Buffer
	enc, _ := zstd.NewWriter(&largest, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	enc.Write(text(8, 1<<20))
	enc.Flush() // so that the frame does not know its length
	enc.Close()
	if got, err := decoded(t, decode.Options{}, largest.Bytes(), decode.Zstd); err != nil || len(got) != 1<<20 {
		t.Errorf("8 MiB: %d bytes, %v", len(got), err)
	}
}

func TestAReferenceBehindTheBeginningFindsNothingOfAnotherBody(t *testing.T) {
	secret := bytes.Repeat([]byte("SECRET of another caller; "), 2000)
	// A block with fixed codes: the literal 'a', then a match of length 10 at distance 3072 (RFC 1951 §3.2.5, §3.2.6).
	reaching := bits("1", "10", "10010001", "0001000", "10110", "1111111111", "0000000")
	if got, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(reaching), secret)); err != nil || len(got) != 11 {
		t.Fatalf("the block is not what it should be: %q, %v", got, err)
	}
	h := layer(decode.Options{}, plytest.NewOrigin(encoded(secret, bare), raw(reaching, bare), encoded(secret, decode.Gzip), raw(gzipOf(reaching), decode.Gzip)))
	for range 2 {
		if got, err := readAll(get(t, h)); err != nil || !bytes.Equal(got, secret) {
			t.Fatal(err)
		}
		got, err := readAll(get(t, h))
		if err == nil || bytes.Contains(got, []byte("SECRET")) {
			t.Errorf("got %q, %v; want an error", got, err)
		}
	}
}

// bits packs bits into bytes, from the lowest to the highest.
func bits(fields ...string) []byte {
	all := strings.Join(fields, "")
	b := make([]byte, (len(all)+7)/8)
	for i, c := range all {
		if c == '1' {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

func gzipOf(deflated []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Close()
	return append(append(bytes.Clone(b.Bytes()[:10]), deflated...), make([]byte, 8)...)
}

package decode_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/plyhttp/ply/middleware/decode"
)

// mostFuzzed bounds what a fuzzed input becomes.
const mostFuzzed = 1 << 20

// byReference decodes body with a decoder that has decoded nothing before, for gzip and deflate that of the standard library.
// It says whether all of body was content.
func byReference(coding string, body []byte) ([]byte, error) {
	var r io.Reader
	var err error
	src := bytes.NewReader(body)
	switch coding {
	case decode.Brotli:
		r = brotli.NewReader(src)
	case decode.Zstd:
		dec, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, err
		}
		defer dec.Close()
		r = dec
	case decode.Gzip:
		return gzipByReference(src)
	case decode.Deflate:
		if r, err = zlib.NewReader(src); errors.Is(err, zlib.ErrHeader) {
			src.Seek(0, io.SeekStart)
			r, err = flate.NewReader(src), nil
		}
	}
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, mostFuzzed+1))
	if err == nil && len(content) <= mostFuzzed && src.Len() > 0 {
		err = errors.New("bytes are left")
	}
	return content, err
}

// gzipByReference decodes members, and refuses one whose header has a reserved flag (RFC 1952 §2.3.1.2), which the standard library does not look at.
func gzipByReference(src io.Reader) (content []byte, err error) {
	in := bufio.NewReader(src)
	for first := true; ; first = false {
		head, _ := in.Peek(4)
		switch {
		case len(head) == 0 && !first, len(content) > mostFuzzed:
			return content, nil
		case len(head) == 4 && head[3]>>5 != 0:
			return content, errors.New("a reserved flag")
		}
		member, err := gzip.NewReader(in)
		if err != nil {
			return content, err
		}
		member.Multistream(false)
		part, err := io.ReadAll(io.LimitReader(member, mostFuzzed+1))
		content = append(content, part...)
		if err != nil {
			return content, err
		}
	}
}

// FuzzDecodersAgree has three decode the same bytes: the reference, the layer with whole reads, and the layer with reads of single bytes,
// each with a decoder that has seen another body before.
func FuzzDecodersAgree(f *testing.F) {
	for i, coding := range allCodings {
		for _, content := range [][]byte{nil, []byte("a"), text(1, 300)} {
			whole := encode(content, coding)
			f.Add(byte(i), whole)
			f.Add(byte(i), whole[:len(whole)*2/3])
			f.Add(byte(i), append(bytes.Clone(whole), whole...))
			f.Add(byte(i), append(bytes.Clone(whole), 0))
		}
	}
	for i, file := range []string{"text.br", "text.zst", "text.gz", "text.zlib", "text.deflate"} {
		if body, err := os.ReadFile("testdata/" + file); err == nil {
			f.Add(byte(i), body)
		}
	}
	others := map[string][]byte{}
	for _, coding := range allCodings {
		others[named(coding)] = encode([]byte("SECRET of another body"), named(coding))
	}
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		coding := named(allCodings[int(kind)%len(allCodings)])
		want, wantErr := byReference(coding, body)
		if len(body) == 0 {
			want, wantErr = nil, nil
		}
		if len(want) > mostFuzzed {
			return
		}
		bytewise := &fixed{coding: coding}
		h := layer(decode.Options{MaxBytes: mostFuzzed, MaxRatio: -1}, bytewise)
		for _, reads := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader} {
			bytewise.body = io.NopCloser(bytes.NewReader(others[coding]))
			if _, err := readAll(get(t, h)); err != nil {
				t.Fatal(err)
			}
			bytewise.body = io.NopCloser(reads(bytes.NewReader(body)))
			resp := get(t, h)
			got, err := io.ReadAll(reads(resp.Body))
			resp.Body.Close()
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%s: error %v, of the reference: %v", coding, err, wantErr)
			}
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("%s: %q, of the reference: %q", coding, got, want)
			}
			if bytes.Contains(got, []byte("SECRET of")) && !bytes.Contains(want, []byte("SECRET of")) {
				t.Fatalf("%s: bytes of another body: %q", coding, got)
			}
		}
	})
}

// FuzzStacks encodes content with up to four codings, in pieces that are flushed, and reads it back.
func FuzzStacks(f *testing.F) {
	f.Add([]byte("hello, hello, hello"), uint16(0), byte(3))
	f.Add(text(1, 5000), uint16(0x1234), byte(200))
	f.Add([]byte{}, uint16(0x0003), byte(1))
	encoders := map[string]flusher{} // each worker is a process of its own with one goroutine
	for _, coding := range allCodings {
		encoders[coding] = encoder(coding, nil)
	}
	f.Fuzz(func(t *testing.T, content []byte, choice uint16, piece byte) {
		body, header := content, make(http.Header)
		for i := range 1 + int(choice>>12)%4 {
			coding := allCodings[int(choice>>(3*i))%len(allCodings)]
			var b bytes.Buffer
			enc := encoders[coding]
			enc.Reset(&b)
			for len(body) > 0 {
				n := min(len(body), 1+int(piece)*16)
				enc.Write(body[:n])
				enc.Flush()
				body = body[n:]
			}
			enc.Close()
			body = b.Bytes()
			header.Add("Content-Encoding", named(coding))
		}
		h := layer(decode.Options{}, answering(header, body))
		if got, err := readAll(get(t, h)); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%v: %d of %d bytes, %v", header, len(got), len(content), err)
		}
	})
}

package ply_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

func noise(n int) string {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{})
	rng.Read(b)
	return string(b)
}

func TestCompress(t *testing.T) {
	bodies := map[string]string{
		"one byte":    "x",
		"text":        strings.Repeat("ply assembles HTTP clients from layers. ", 1000),
		"noise":       noise(50_000),
		"noise, then": noise(100) + strings.Repeat("\x00", 100_000),
	}
	for _, encoding := range []string{"gzip", "deflate", "GZIP"} {
		for name, body := range bodies {
			for kind, opt := range map[string]ply.RequestOption{
				"memory":             ply.BodyBytes([]byte(body)),
				"single bytes":       ply.BodyReader(iotest.OneByteReader(strings.NewReader(body))),
				"data with its end":  ply.BodyReader(iotest.DataErrReader(strings.NewReader(body))),
				"known and measured": ply.Combine(ply.BodyString(body), ply.OmitHeader("Content-Type"), ply.UploadProgress(func(_, _ int64) {})),
			} {
				t.Run(encoding+", "+name+", "+kind, func(t *testing.T) {
					server := receive(t)
					server.post(t, "/", 200, opt, ply.CompressBody(encoding))
					got := server.all()[0]
					if got.Encoding != strings.ToLower(encoding) || got.Length != -1 || !got.Chunked || got.err != nil {
						t.Errorf("Content-Encoding %q, length %d, chunked %t, %v", got.Encoding, got.Length, got.Chunked, got.err)
					}
					plain, err := inflated(got.Encoding, bytes.NewReader(got.raw))
					if string(plain) != body || err != nil {
						t.Errorf("%d bytes, %v; want %d", len(plain), err, len(body))
					}
				})
			}
		}
	}
}

func TestCompressedBodyInSmallReads(t *testing.T) {
	want := noise(50_000)
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyString(want), ply.CompressBody("gzip"))
	require.NoError(t, err)
	defer req.Body.Close()
	plain, err := inflated("gzip", iotest.OneByteReader(req.Body))
	if string(plain) != want || err != nil {
		t.Errorf("%d bytes, %v; want %d", len(plain), err, len(want))
	}
	if n, err := req.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read %d, %v after the end", n, err)
	}

	// Bodies that are read in turn do not share what compresses them.
	var bodies [2]io.ReadCloser
	var sent [2]bytes.Buffer
	for i := range bodies {
		bodies[i], err = req.GetBody()
		require.NoError(t, err)
		defer bodies[i].Close()
	}
	for ended := 0; ended < 2; {
		for i, b := range bodies {
			_, err := io.CopyN(&sent[i], b, 1000)
			if err == io.EOF {
				ended++
			} else {
				require.NoError(t, err)
			}
		}
	}
	for i := range sent {
		if plain, err := inflated("gzip", &sent[i]); string(plain) != want || err != nil {
			t.Errorf("body %d: %d bytes, %v; want %d", i, len(plain), err, len(want))
		}
	}
}

// A body cut short by an error must not end like a complete one: its checksum is missing.
func TestFailedCompressedBodyIsNotTerminated(t *testing.T) {
	boom := errors.New("boom")
	r := io.MultiReader(strings.NewReader(noise(100_000)), iotest.ErrReader(boom))
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(r), ply.CompressBody("gzip"))
	require.NoError(t, err)
	defer req.Body.Close()
	sent, err := io.ReadAll(req.Body)
	if !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	if _, err := inflated("gzip", bytes.NewReader(sent)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("what was sent inflates with %v", err)
	}
}

func TestCompressBodyLeavesEmptyRequestsAlone(t *testing.T) {
	server := receive(t)
	server.post(t, "/", 200, ply.CompressBody("gzip"))
	if got := server.all()[0]; got.Encoding != "" || got.Length != 0 {
		t.Errorf("Content-Encoding %q, length %d", got.Encoding, got.Length)
	}
}

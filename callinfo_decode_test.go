package ply_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

// decodedBody says of itself what the body of a decode layer says.
type decodedBody struct {
	io.ReadCloser
	encoded int64
}

func (b *decodedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), 4)])
	b.encoded += int64(n) / 2
	return n, err
}

func (b *decodedBody) DecodedFrom() (string, int64) { return "gzip, br", b.encoded }

func TestTheRecordTellsWhatADecodeLayerRemoved(t *testing.T) {
	decodeLike := func(next ply.Handler) ply.Handler {
		return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Body = &decodedBody{ReadCloser: resp.Body}
			}
			return resp, err
		})
	}
	client, err := ply.New(ply.Options{Transport: plytest.NewOrigin(plytest.Text("12345678")), Use: []ply.Middleware{decodeLike}})
	require.NoError(t, err)
	resp, err := client.Get(ply.WithCallInfo(t.Context()), "http://example.test/")
	require.NoError(t, err)
	defer resp.Body.Close()
	for _, want := range []int64{0, 2, 4} {
		info, _ := ply.CallInfoFrom(resp)
		if h := info.Hops[0]; h.Decoded != "gzip, br" || h.Encoded != want || h.Received != 2*want {
			t.Errorf("%q, %d to %d bytes; want %d to %d", h.Decoded, h.Encoded, h.Received, want, 2*want)
		}
		resp.Body.Read(make([]byte, 4))
	}
	info, _ := ply.CallInfoFrom(resp)
	if text := info.String(); info.Open || !strings.Contains(text, "\n  decode: gzip, br, 4 bytes encoded\n") {
		t.Errorf("open %t, and the waterfall is:\n%s", info.Open, text)
	}
}

func TestDecodeTwiceIsRefused(t *testing.T) {
	decodeLike := func(next ply.Handler) ply.Handler { return &pretender{next, "decode"} }
	var refused *ply.OptionError
	_, err := ply.New(ply.Options{Use: []ply.Middleware{decodeLike, plain, decodeLike}})
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Reason, "decode twice")
}

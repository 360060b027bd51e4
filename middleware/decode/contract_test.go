package decode_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

func TestContract(t *testing.T) {
	plytest.CheckMiddleware(t, decode.New(decode.Options{}))
}

// encoding has the bodies of next encoded, each write of the server in a flushed piece, so that the rules are checked on bodies that the layer decodes.
func encoding(coding string, next http.RoundTripper) http.RoundTripper {
	return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil || resp.Body == nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols || req.Method == http.MethodHead {
			return resp, err
		}
		var out bytes.Buffer
		resp.Body = &encodingBody{src: resp.Body, out: &out, enc: encoder(coding, &out)}
		resp.ContentLength = -1
		resp.Header.Del("Content-Length")
		resp.Header.Set("Content-Encoding", named(coding))
		return resp, nil
	})
}

type encodingBody struct {
	src io.ReadCloser
	out *bytes.Buffer
	enc flusher
	err error
}

func (b *encodingBody) Read(p []byte) (int, error) {
	for b.out.Len() == 0 && b.err == nil {
		chunk := make([]byte, 4096)
		n, err := b.src.Read(chunk)
		b.enc.Write(chunk[:n])
		if b.err = err; err == io.EOF {
			b.enc.Close()
		} else {
			b.enc.Flush()
		}
	}
	if b.out.Len() > 0 {
		return b.out.Read(p)
	}
	return 0, b.err
}

func (b *encodingBody) Close() error { return b.src.Close() }

func TestContractHoldsForBodiesThatAreDecoded(t *testing.T) {
	for _, coding := range []string{decode.Zstd, decode.Gzip} {
		t.Run(coding, func(t *testing.T) {
			plytest.CheckMiddleware(t, func(next http.RoundTripper) http.RoundTripper {
				if next == nil {
					return decode.New(decode.Options{})(nil)
				}
				return decode.New(decode.Options{})(&forwarding{encoding(coding, next), next})
			})
		})
	}
}

// forwarding hands CloseIdleConnections on.
type forwarding struct {
	http.RoundTripper
	next http.RoundTripper
}

func (f *forwarding) CloseIdleConnections() {
	if c, ok := f.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

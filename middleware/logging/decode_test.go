package logging_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

// decodedBody says of itself what the body of a decode layer says.
type decodedBody struct{ io.ReadCloser }

func (decodedBody) DecodedFrom() (string, int64) { return "br", 7 }

func TestWhatADecodeLayerInsideRemovedIsSaid(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("hello", "Content-Type", "text/plain"))
	inside := testutil.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		resp, err := origin.RoundTrip(r)
		if err == nil {
			resp.Body = decodedBody{resp.Body}
		}
		return resp, err
	})
	var b bytes.Buffer
	// The inner one takes the body: the outer one looks through it.
	o := logging.Options{Logger: slog.New(slog.NewTextHandler(&b, nil)), BodyBytes: 100}
	resp, err := logging.New(o)(logging.New(o)(inside)).RoundTrip(newRequest(t, t.Context(), http.MethodGet, ""))
	if err != nil {
		t.Fatal(err)
	}
	testutil.ReadAll(resp.Body)
	if n := strings.Count(b.String(), "decode.codings=br decode.encoded_size=7"); n != 2 {
		t.Errorf("%d of 2 records say it:\n%s", n, &b)
	}
}

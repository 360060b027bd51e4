package decode_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

func TestWhatTheServerIsAskedFor(t *testing.T) {
	const all = "br, zstd;q=0.9, gzip;q=0.8, deflate;q=0.7"
	tests := []struct {
		name    string
		options decode.Options
		method  string
		header  http.Header
		want    []string
	}{
		{"all codings, the preferred one first", decode.Options{}, "GET", nil, []string{all}},
		{"those of the options, in their order", decode.Options{Codings: []string{"gzip", "br"}}, "GET", nil, []string{"gzip, br;q=0.9"}},
		{"one coding", decode.Options{Codings: []string{"zstd"}}, "GET", nil, []string{"zstd"}},
		{"POST", decode.Options{}, "POST", nil, []string{all}},
		{"no header at all", decode.Options{}, "", nil, []string{all}},
		{"HEAD", decode.Options{}, "HEAD", http.Header{}, nil},
		{"Range", decode.Options{}, "GET", http.Header{"Range": {"bytes=0-9"}}, nil},
		{"identity, chosen by the caller", decode.Options{}, "GET", http.Header{"Accept-Encoding": {"identity"}}, []string{"identity"}},
		{"gzip, chosen by the caller", decode.Options{}, "GET", http.Header{"Accept-Encoding": {"gzip"}}, []string{"gzip"}},
		{"left out by the caller", decode.Options{}, "GET", http.Header{"Accept-Encoding": nil}, nil},
		{"in another case", decode.Options{}, "GET", http.Header{"accept-encoding": {"identity"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origin := plytest.NewOrigin(plytest.Text("ok"))
			req := request(t, tt.method)
			req.Header = tt.header
			resp, err := layer(tt.options, origin).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.Request != req {
				t.Error("the response has another request than the caller's")
			}
			if got := origin.Exchanges()[0].Header.Values("Accept-Encoding"); !slices.Equal(got, tt.want) {
				t.Errorf("the server was asked for %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOptionsThatCannotMeanAnythingAreRefused(t *testing.T) {
	for want, o := range map[string]decode.Options{
		`Codings[0]: is "lzma"`:      {Codings: []string{"lzma"}},
		`Codings[1]: repeats "gzip"`: {Codings: []string{"gzip", "gzip"}},
		`Codings[0]: is "identity"`:  {Codings: []string{"identity"}},
		"MaxBytes: is negative":      {MaxBytes: -1},
	} {
		origin := &plytest.Origin{}
		_, err := layer(o, origin).RoundTrip(request(t, http.MethodGet))
		if err == nil || !strings.HasPrefix(err.Error(), "decode: "+want) || origin.Count() != 0 {
			t.Errorf("%+v: %v after %d requests, want an error with %q", o, err, origin.Count(), want)
		}
	}
}

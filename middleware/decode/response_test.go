package decode_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

func TestADecodedResponseSaysWhatIsTrueOfItsBody(t *testing.T) {
	content := text(1, 3000)
	for _, coding := range allCodings {
		origin := plytest.NewOrigin(encoded(content, coding, "Etag", `"v1"`, "Content-Type", "text/plain", "Vary", "Accept-Encoding", "Accept-Ranges", "bytes",
			"Content-Digest", "sha-256=:abc=:", "Repr-Digest", "sha-256=:abc=:", "Digest", "sha-256=abc", "Content-Md5", "abc", "Unencoded-Digest", "sha-256=:abc=:"))
		resp := get(t, layer(decode.Options{}, origin))
		if resp.ContentLength != -1 || !resp.Uncompressed {
			t.Errorf("%s: ContentLength %d, Uncompressed %t", coding, resp.ContentLength, resp.Uncompressed)
		}
		resp.Header.Del("Date")
		want := []string{"Content-Type", "Etag", "Unencoded-Digest", "Vary"}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(resp.Header))); diff != "" || resp.Header.Get("Etag") != `"v1"` {
			t.Errorf("%s: fields (-want +got):\n%s", coding, diff)
		}
		if got, err := readAll(resp); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", coding, len(got), err)
		}
	}
}

func TestNamesOfCodingsAreReadAsRFC9110Says(t *testing.T) {
	content := text(1, 3000)
	tests := []struct {
		field   []string
		applied []string
	}{
		{[]string{"gzip, br"}, []string{"gzip", "br"}},
		{[]string{"gzip", "br"}, []string{"gzip", "br"}},
		{[]string{"br,gzip,,zstd"}, []string{"br", "gzip", "zstd"}},
		{[]string{"identity, GZip ,"}, []string{"gzip"}},
		{[]string{"x-gzip"}, []string{"gzip"}},
		{[]string{"\tZSTD"}, []string{"zstd"}},
		{[]string{"deflate, gzip, br, zstd"}, []string{"deflate", "gzip", "br", "zstd"}},
	}
	for _, tt := range tests {
		reply := plytest.Text(string(encode(content, tt.applied...)))
		reply.Header = http.Header{"Content-Encoding": tt.field}
		resp := get(t, layer(decode.Options{}, plytest.NewOrigin(reply)))
		got, err := readAll(resp)
		if err != nil || !bytes.Equal(got, content) || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%q: %d bytes, %v", tt.field, len(got), err)
		}
	}
}

func TestWhatIsNotDecodedStaysAsItIs(t *testing.T) {
	body := string(encode(text(1, 3000), decode.Gzip))
	tests := []struct {
		name    string
		options decode.Options
		request []string
		reply   plytest.Reply
	}{
		{"no coding", decode.Options{}, nil, plytest.Text(body)},
		{"identity", decode.Options{}, nil, plytest.Text(body, "Content-Encoding", "identity")},
		{"an unknown coding", decode.Options{}, nil, plytest.Text(body, "Content-Encoding", "dcb")},
		{"an unknown coding below a known one", decode.Options{}, nil, plytest.Text(body, "Content-Encoding", "aws-chunked, gzip")},
		{"a coding that the options leave out", decode.Options{Codings: []string{"br"}}, nil, plytest.Text(body, "Content-Encoding", "gzip")},
		{"a part of encoded content", decode.Options{}, []string{"Range", "bytes=5-9"},
			plytest.Reply{Status: 206, Body: body[5:10], Header: http.Header{"Content-Encoding": {"gzip"}, "Content-Range": {"bytes 5-9/1000"}}}},
		{"the caller's own Accept-Encoding", decode.Options{}, []string{"Accept-Encoding", "gzip"}, plytest.Text(body, "Content-Encoding", "gzip")},
		{"identity refused by the server", decode.Options{}, []string{"Accept-Encoding", "identity"}, plytest.Text(body, "Content-Encoding", "gzip")},
		{"204", decode.Options{}, nil, plytest.Status(204, "Content-Encoding", "gzip")},
		{"304", decode.Options{}, nil, plytest.Status(304, "Content-Encoding", "gzip", "Etag", `"v1"`)},
		{"an empty 200", decode.Options{}, nil, plytest.Status(200, "Content-Encoding", "gzip")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origin := plytest.NewOrigin(tt.reply)
			want, got := get(t, origin, tt.request...), get(t, layer(tt.options, origin), tt.request...)
			wanted, _ := readAll(want)
			body, err := readAll(got)
			if err != nil || !bytes.Equal(body, wanted) || got.ContentLength != want.ContentLength || got.Uncompressed {
				t.Errorf("%d bytes, %v; ContentLength %d, Uncompressed %t", len(body), err, got.ContentLength, got.Uncompressed)
			}
			want.Header.Del("Date")
			got.Header.Del("Date")
			if diff := cmp.Diff(want.Header, got.Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheAnswerToHEADStaysAsItIs(t *testing.T) {
	h := layer(decode.Options{}, plytest.NewOrigin(encoded(text(1, 3000), decode.Gzip)))
	resp, err := h.RoundTrip(request(t, http.MethodHead))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Content-Encoding") != "gzip" || resp.Uncompressed || resp.ContentLength <= 0 {
		t.Errorf("%v, Uncompressed %t, ContentLength %d", resp.Header, resp.Uncompressed, resp.ContentLength)
	}
}

func TestContentThatIsEncodedUnaskedIsDecoded(t *testing.T) {
	content := text(1, 3000)
	h := layer(decode.Options{}, plytest.NewOrigin(encoded(content, decode.Gzip)))
	if got, err := readAll(get(t, h, "Range", "bytes=0-99")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("a whole answer to a Range: %d bytes, %v", len(got), err)
	}
}

func TestTrailersArriveWithoutTheDigestsOfTheEncodedContent(t *testing.T) {
	content := text(1, 3000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Content-Digest, X-Checked")
		w.Header().Set("Content-Encoding", "br")
		w.Write(encode(content, decode.Brotli))
		w.Header().Set("Content-Digest", "sha-256=:abc=:")
		w.Header().Set("X-Checked", "yes")
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	client := &http.Client{Transport: layer(decode.Options{}, server.Client().Transport)}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(resp); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if diff := cmp.Diff(http.Header{"X-Checked": {"yes"}}, resp.Trailer); diff != "" {
		t.Errorf("trailer (-want +got):\n%s", diff)
	}
}

// net/http decodes gzip itself where it has asked for it. It is not asked twice, and nothing is decoded twice.
func TestTheTransportsOwnGzipIsNotDecodedTwice(t *testing.T) {
	content := text(1, 3000)
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Accept-Encoding"))
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(encode(content, decode.Gzip))
			return
		}
		w.Write(content)
	}))
	defer server.Close()
	for _, disabled := range []bool{false, true} {
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.DisableCompression = disabled
		defer transport.CloseIdleConnections()
		for _, header := range [][]string{nil, {"Range", "bytes=0-9999"}} {
			resp := getFrom(t, layer(decode.Options{}, transport), server.URL, header...)
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, content) || resp.Header.Get("Content-Encoding") != "" {
				t.Errorf("DisableCompression %t, %q: %d bytes, %v", disabled, header, len(got), err)
			}
			resp.Body.Close()
		}
	}
	if want := "br, zstd;q=0.9, gzip;q=0.8, deflate;q=0.7"; !slices.Equal(asked, []string{want, "", want, ""}) {
		t.Errorf("the server was asked for %q", asked)
	}
}

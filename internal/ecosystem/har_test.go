//go:build unix

package ecosystem

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/internal/testserver"
	"github.com/plyhttp/ply/plytest/tape"
)

// harTool runs testdata/har/har.js, and returns what it prints. It has the packages of others that validate archives, and that open them in Chromium.
func harTool(t *testing.T, args ...string) string {
	t.Helper()
	node := testserver.Find(t, "node", "nodejs")
	dir := testserver.NPM(t, "har", os.DirFS("testdata/har"))
	cmd := exec.CommandContext(t.Context(), node, append([]string{filepath.Join(dir, "har.js")}, args...)...)
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("har.js %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// shop is a page that asks its server for one response of each kind, and keeps in window.seen what came.
func shop(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><title>Grüße</title><link rel=icon href="data:,"><script>
window.seen = (async () => {
  const seen = [document.title];
  for (const [method, path, body] of [["GET", "/text?page=1"], ["GET", "/zipped"], ["GET", "/bytes"], ["POST", "/echo", "some content"], ["GET", "/moved"], ["GET", "/missing"], ["GET", "/empty"]]) {
    const r = await fetch(path, {method, body});
    seen.push([method, path, r.status, r.headers.get("X-Sent"), Array.from(new Uint8Array(await r.arrayBuffer())).join(" ")]);
  }
  for (const path of ["/broken", "/cut"]) {
    try { await (await fetch(path)).text(); } catch { seen.push(path + " failed"); }
  }
  return seen;
})();
</script>`)
	case "/text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Sent", "one")
		io.WriteString(w, "Grüße von Seite "+r.FormValue("page"))
	case "/zipped":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, `{"zipped": true}`)
		z.Close()
	case "/bytes":
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write([]byte{0, 1, 254, 255})
	case "/echo":
		io.Copy(w, r.Body)
	case "/moved":
		http.Redirect(w, r, "/text?page=2", http.StatusFound)
	case "/empty":
		w.WriteHeader(http.StatusNoContent)
	case "/broken":
		panic(http.ErrAbortHandler)
	case "/cut":
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "the beginning")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		http.Error(w, "there is none", http.StatusNotFound)
	}
}

// What Chromium has recorded becomes a tape, and the archive of that tape is enough for Chromium to show the same page without its server.
func TestChromiumShowsThePageThatItRecordedFromTheArchiveOfATape(t *testing.T) {
	chromium := testserver.Find(t, "chromium", "chromium-browser", "google-chrome")
	origin := serve(t, shop)
	recorded := filepath.Join(t.TempDir(), "recorded.har")
	seen := harTool(t, "record", chromium, recorded, origin.URL)
	harTool(t, "validate", recorded)
	f, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tp, err := tape.FromHAR(f)
	if err != nil {
		t.Fatal(err)
	}
	failures := map[string]tape.FailureKind{}
	whole := &tape.Tape{Start: tp.Start}
	for _, e := range tp.Exchanges {
		if e.Failure != nil {
			failures[strings.TrimPrefix(e.Request.URL, origin.URL)] = e.Failure.Kind
			continue // Playwright cannot replay it: without an entry, the request fails
		}
		whole.Exchanges = append(whole.Exchanges, e)
	}
	same(t, "the connection that ended before a response", failures["/broken"], tape.FailureEOF)
	same(t, "the body that ended early", failures["/cut"], tape.FailureEOF)
	same(t, "whole exchanges", len(whole.Exchanges), 9)
	origin.Close()
	written := writeHAR(t, whole, har.Options{KeepSecrets: true})
	harTool(t, "validate", written)
	same(t, "what the page sees without its server", harTool(t, "show", chromium, written, origin.URL), seen)
}

func writeHAR(t *testing.T, tp *tape.Tape, o har.Options) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "written.har")
	if err := os.WriteFile(file, harOf(t, tp, o).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whatever is on a tape, its archive is one by the JSON Schema of HAR 1.2.
func TestArchiveOfATapeIsValidHAR(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{
		{At: time.Second, Request: tape.Request{URL: "http://h.example/"}, Failure: &tape.Failure{Kind: tape.FailureDNS}},
		{Request: tape.Request{Method: "POST", URL: "https://h.example/?a=1&b&a=%20", Host: "other.example", Header: http.Header{"Cookie": {"a=1; b=2", "no cookie"}, "X-Many": {"1", "2"}}, Body: []byte("\xff"), Trailer: http.Header{"X-End": {"1"}}},
			Failure: &tape.Failure{At: time.Hour, Kind: tape.FailureReset, Text: "reset"},
			Response: &tape.Response{Status: 200, Header: http.Header{"Set-Cookie": {"a=1; Expires=Mon, 02 Mar 2026 09:00:00 GMT; HttpOnly", "=", "b=2; Domain=h.example"}, "Location": {"/next"}}, Trailer: http.Header{"X-Sum": {"1"}},
				Wait: 1, Length: -1, Uncompressed: true, Chunks: []tape.Chunk{{Data: []byte("\xff")}, {At: time.Minute, Data: []byte("ü")}}}},
		{Request: tape.Request{Method: "HEAD", URL: "http://h.example/"}, Response: &tape.Response{Status: 204, Proto: "HTTP/2.0", Length: 5}},
		{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 299, Header: http.Header{"Content-Encoding": {"gzip"}}, Chunks: []tape.Chunk{{Data: []byte("no gzip")}}}},
	}}
	harTool(t, "validate", writeHAR(t, &tape.Tape{}, har.Options{}), writeHAR(t, tp, har.Options{}), writeHAR(t, tp, har.Options{KeepSecrets: true}),
		writeHAR(t, tp, har.Options{OmitBodies: true, Comment: "of a test", Creator: har.Creator{Name: "test", Version: "2"}}))
}

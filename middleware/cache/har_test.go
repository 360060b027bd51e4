package cache_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
)

// archived is what a cache writes as an archive.
func (g *rig) archived(o har.Options) []byte {
	g.Helper()
	var out bytes.Buffer
	_, err := g.ExportHAR(g.Context(), &out, o)
	require.NoError(g, err)
	return out.Bytes()
}

func (g *rig) importsHAR(archive []byte, o cache.HARImport) cache.MoveReport {
	g.Helper()
	report, err := g.ImportHAR(g.Context(), bytes.NewReader(archive), o)
	require.NoError(g, err)
	return report
}

func entriesOf(t *testing.T, archive []byte) (all []*har.Entry) {
	t.Helper()
	for e, err := range har.Entries(bytes.NewReader(archive)) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestArchiveOfACacheHasItsEntriesWithoutSecrets(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := says("Grüße", "Cache-Control: max-age=100", "Content-Type: text/plain", `ETag: "v"`, "Vary: Accept, X-Token", "X-Secret: hidden")
				o.delay = 20 * time.Millisecond
				g := newPlainRig(t, o, cache.Options{Store: open(t)})
				g.get("http://h/a?key=hidden", "Accept: text/*", "X-Token: hidden", "Authorization: hidden")
				time.Sleep(time.Second)
				archive := g.archived(har.Options{})
				if bytes.Contains(archive, []byte("hidden")) {
					t.Errorf("%s", archive)
				}
				all := entriesOf(t, archive)
				require.Len(t, all, 1)
				all[0].Ply = nil
				text := "Grüße"
				want := &har.Entry{
					Started: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Time: 20, Timings: har.Timings{Wait: 20},
					Request: har.Request{
						Method: "GET", URL: "http://h/a?key=REDACTED", HTTPVersion: "HTTP/1.1", Cookies: []har.Cookie{}, Headers: []har.Pair{{Name: "Accept", Value: "text/*"}},
						QueryString: []har.Pair{{Name: "key", Value: "REDACTED"}}, HeadersSize: -1, BodySize: -1,
					},
					Response: har.Response{
						Status: 200, StatusText: "OK", HTTPVersion: "HTTP/1.1", Cookies: []har.Cookie{}, Content: har.Content{Size: 7, MimeType: "text/plain", Text: &text},
						Headers: []har.Pair{
							{Name: "Cache-Control", Value: "max-age=100"}, {Name: "Content-Type", Value: "text/plain"}, {Name: "Date", Value: "Sat, 01 Jan 2000 00:00:00 GMT"},
							{Name: "Etag", Value: `"v"`}, {Name: "Vary", Value: "Accept, X-Token"}, {Name: "X-Secret", Value: "REDACTED"},
						}, HeadersSize: -1, BodySize: 7,
					},
					Cache: har.Cache{After: &har.CacheState{Expires: "2000-01-01T00:01:40Z", LastAccess: "2000-01-01T00:00:00.02Z", ETag: `"v"`}},
				}
				if want.Cache.After.Expires = all[0].Cache.After.Expires; !strings.HasPrefix(want.Cache.After.Expires, "2000-01-01T00:01:40") {
					t.Error(want.Cache.After.Expires)
				}
				if diff := cmp.Diff(want, all[0]); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// tools/har.sh has a validator of others look at it.
func TestArchiveOfACacheIsOneOfHAR12(t *testing.T) {
	o := says("\x00\xff", "Cache-Control: max-age=100", `ETag: "v"`, "Vary: Accept", "Location: /b?c=d")
	g := newPlainRig(t, o, cache.Options{})
	g.get("http://h/a?key=value&x", "Accept: a")
	g.get("http://h/b")
	archive := g.archived(har.Options{})
	require.Len(t, entriesOf(t, archive), 2)
	if dir := os.Getenv("HAR_ARCHIVES"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cache.har"), archive, 0o600))
	}
}

func TestArchiveOfACacheFillsAnotherWithTheAgeOfToday(t *testing.T) {
	between(t, func(t *testing.T, from, to store.Store) {
		o := says("\x1f\x8b not really", "Cache-Control: max-age=100", "Content-Encoding: gzip", `ETag: "v"`)
		a := newPlainRig(t, o, cache.Options{Store: from})
		a.get("http://h/a")
		archive := a.archived(har.Options{})
		time.Sleep(40 * time.Second)
		b := newPlainRig(t, mute(t), cache.Options{Store: to})
		if report := b.importsHAR(archive, cache.HARImport{}); report.Entries != 1 || report.Skipped != nil {
			t.Errorf("%+v", report)
		}
		time.Sleep(2 * time.Second)
		have, resp := b.get("http://h/a")
		b.want(have, 200, "\x1f\x8b not really", "hit", 0)
		if resp.Header.Get("Age") != "42" || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Etag") != `"v"` {
			t.Errorf("%v", resp.Header)
		}
		want := cache.MoveReport{Skipped: map[cache.Skip]int{cache.SkipNewer: 1}}
		if diff := cmp.Diff(want, b.importsHAR(archive, cache.HARImport{})); diff != "" {
			t.Error(diff)
		}
	})
}

// The archive has no credentials and no principals: what was stored for one must not come to be stored for all.
func TestArchiveOfACacheBringsNoAnswerToAnotherPerson(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newPlainRig(t, says("for one", "Cache-Control: max-age=100"), cache.Options{})
		a.as("alice", "GET", "http://h/named")
		a.get("http://h/authorized", "Authorization: Bearer bob")
		a.get("http://h/keyed?api_key=secret")
		a.get("http://h/all")
		for _, o := range []har.Options{{}, {KeepSecrets: true}} {
			archive := a.archived(o)
			for name, options := range map[string]cache.Options{"private": {}, "one person's": {Key: keying.SingleUser()}, "shared": {Shared: true}} {
				b := newPlainRig(t, says("of the origin"), options)
				b.importsHAR(archive, cache.HARImport{Complete: true})
				for _, path := range []string{"named", "authorized"} {
					if have, _ := b.get("http://h/" + path); have.Body == "for one" {
						t.Errorf("%s: %s: %v", name, path, have)
					}
				}
				if have, _ := b.get("http://h/all"); (have.Body == "for one") != (name == "private") {
					t.Errorf("%s: %v", name, have)
				}
			}
		}
	})
}

// browser makes an archive of exchanges, as a browser would: of a URL each, with these fields of the request and the response.
func browser(t *testing.T, started time.Time, change ...func(*har.Entry)) []byte {
	t.Helper()
	var out bytes.Buffer
	d := har.NewEncoder(&out, har.Options{KeepSecrets: true})
	for _, change := range change {
		e := &har.Entry{
			Started: started,
			Request: har.Request{Method: "GET", URL: "http://h/a", HTTPVersion: "h2", Headers: []har.Pair{{Name: ":method", Value: "GET"}}},
			Response: har.Response{
				Status: 200, HTTPVersion: "h2", Content: har.NewContent([]byte("archived"), "text/html"),
				Headers: []har.Pair{{Name: "cache-control", Value: "max-age=100"}, {Name: "content-encoding", Value: "br"}, {Name: "content-length", Value: "3"}},
			},
		}
		change(e)
		require.NoError(t, d.Encode(e))
	}
	require.NoError(t, d.Close())
	return out.Bytes()
}

func TestArchiveOfABrowserIsJudgedLikeTheOriginsAnswers(t *testing.T) {
	says := func(line string) func(*har.Entry) {
		name, value, _ := strings.Cut(line, ": ")
		return func(e *har.Entry) {
			e.Response.Headers = append(e.Response.Headers, har.Pair{Name: name, Value: value})
		}
	}
	sent := func(line string) func(*har.Entry) {
		name, value, _ := strings.Cut(line, ": ")
		return func(e *har.Entry) { e.Request.Headers = append(e.Request.Headers, har.Pair{Name: name, Value: value}) }
	}
	asItIs := func(*har.Entry) {}
	for name, tt := range map[string]struct {
		change  func(*har.Entry)
		o       cache.HARImport
		options cache.Options
		skip    cache.Skip
	}{
		"perhaps without credentials":             {asItIs, cache.HARImport{}, cache.Options{}, cache.SkipUnknown},
		"perhaps without credentials, one person": {asItIs, cache.HARImport{}, cache.Options{Key: keying.SingleUser()}, cache.SkipUnknown},
		"complete":                      {asItIs, cache.HARImport{Complete: true}, cache.Options{}, ""},
		"for all":                       {says("cache-control: public"), cache.HARImport{}, cache.Options{}, ""},
		"for all, by s-maxage":          {says("cache-control: s-maxage=9"), cache.HARImport{}, cache.Options{}, ""},
		"public and private":            {says("cache-control: public, private"), cache.HARImport{}, cache.Options{}, cache.SkipUnknown},
		"with credentials":              {sent("authorization: Bearer a"), cache.HARImport{}, cache.Options{}, ""},
		"with hidden credentials":       {sent("authorization: REDACTED"), cache.HARImport{Complete: true}, cache.Options{}, cache.SkipHidden},
		"a hidden value in the URL":     {func(e *har.Entry) { e.Request.URL += "?a=REDACTED" }, cache.HARImport{Complete: true}, cache.Options{}, cache.SkipHidden},
		"private in a shared cache":     {says("cache-control: private"), cache.HARImport{Complete: true}, cache.Options{Shared: true}, "private"},
		"credentials in a shared cache": {sent("authorization: Bearer a"), cache.HARImport{Complete: true}, cache.Options{Shared: true}, "*"},
		"no-store":                      {says("cache-control: no-store"), cache.HARImport{Complete: true}, cache.Options{}, "no-store"},
		"no response":                   {func(e *har.Entry) { e.Response.Status = 0 }, cache.HARImport{Complete: true}, cache.Options{}, cache.SkipNoResponse},
		"no URL of HTTP":                {func(e *har.Entry) { e.Request.URL = "data:,x" }, cache.HARImport{Complete: true}, cache.Options{}, cache.SkipNoResponse},
		"no body":                       {func(e *har.Entry) { e.Response.Content.Text = nil }, cache.HARImport{Complete: true}, cache.Options{}, cache.SkipNoBody},
		"an unsafe method":              {func(e *har.Entry) { e.Request.Method = "PUT" }, cache.HARImport{Complete: true}, cache.Options{}, "*"},
		"of tomorrow":                   {func(e *har.Entry) { e.Started = e.Started.Add(24 * time.Hour) }, cache.HARImport{Complete: true}, cache.Options{}, cache.SkipFuture},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newPlainRig(t, numbered(), tt.options)
				report := b.importsHAR(browser(t, time.Now(), tt.change), tt.o)
				switch {
				case tt.skip == "*" && report.Entries == 0 && len(report.Skipped) == 1:
				case tt.skip == "" && report.Entries == 1:
				case tt.skip != "" && report.Skipped[tt.skip] == 1 && report.Entries == 0:
				default:
					t.Errorf("%+v, want it left for %q", report, tt.skip)
				}
				if b.entries() != report.Entries {
					t.Errorf("%d entries", b.entries())
				}
			})
		})
	}
}

func TestArchiveOfABrowserAnswersDecoded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		started := time.Now()
		time.Sleep(30 * time.Second)
		b := newPlainRig(t, mute(t), cache.Options{})
		ctx := cache.WithPrincipal(t.Context(), "alice")
		report, err := b.ImportHAR(ctx, bytes.NewReader(browser(t, started, func(*har.Entry) {})), cache.HARImport{})
		require.NoError(t, err)
		if diff := cmp.Diff(cache.MoveReport{Entries: 1, Bytes: 8}, report); diff != "" {
			t.Error(diff)
		}
		b.want(b.as("alice", "GET", "http://h/a"), 200, "archived", "hit", 0)
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://h/a", nil)
		_, resp := b.send(r)
		if !resp.Uncompressed || resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Age") != "30" {
			t.Errorf("%v", resp.Header)
		}
	})
}

func TestLaterExchangeOfAnArchiveReplacesTheEarlierOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		at := func(after time.Duration, body string) func(*har.Entry) {
			return func(e *har.Entry) {
				e.Started, e.Response.Content = e.Started.Add(after), har.NewContent([]byte(body), "")
			}
		}
		archive := browser(t, time.Now(), at(0, "first"), at(2*time.Second, "last"), at(time.Second, "late in the archive"))
		time.Sleep(10 * time.Second)
		b := newPlainRig(t, mute(t), cache.Options{})
		want := cache.MoveReport{Entries: 2, Bytes: 9, Skipped: map[cache.Skip]int{cache.SkipNewer: 1}}
		if diff := cmp.Diff(want, b.importsHAR(archive, cache.HARImport{Complete: true})); diff != "" {
			t.Error(diff)
		}
		have, _ := b.get("http://h/a")
		b.want(have, 200, "last", "hit", 0)
	})
}

func TestArchiveDoesNotBringBackWhatWasInvalidated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		archive := browser(t, time.Now(), func(*har.Entry) {})
		time.Sleep(time.Second)
		b := newPlainRig(t, says("of the origin"), cache.Options{})
		b.do("POST", "http://h/a")
		if report := b.importsHAR(archive, cache.HARImport{Complete: true}); report.Skipped[cache.SkipInvalidated] != 1 || b.entries() != 0 {
			t.Errorf("%+v", report)
		}
	})
}

func TestWhatIsNoArchiveIsRefused(t *testing.T) {
	b := newPlainRig(t, mute(t), cache.Options{})
	_, err := b.ImportHAR(t.Context(), strings.NewReader("plycache"), cache.HARImport{})
	require.ErrorIs(t, err, har.ErrNoArchive)
	unmounted, err := cache.New(cache.Options{})
	require.NoError(t, err)
	defer unmounted.Close()
	_, err = unmounted.ImportHAR(t.Context(), bytes.NewReader(browser(t, time.Now(), func(*har.Entry) {})), cache.HARImport{Complete: true})
	require.ErrorContains(t, err, "Middleware")
}

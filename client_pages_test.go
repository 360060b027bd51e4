package ply_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
)

// numbered serves n pages, each with a link to the next.
func numbered(n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		page = max(page, 1)
		w.Header().Set("Link", `</items?page=1>; rel="first"`)
		if page < n {
			w.Header().Add("Link", fmt.Sprintf(`</items?page=%d>; rel="NEXT last-but-one"`, page+1))
		}
		fmt.Fprintf(w, "%d", page)
	}
}

// readPages reads pages to their end.
func readPages(ctx context.Context, c *ply.Client, url string, opts ...ply.RequestOption) (pages []string, err error) {
	for resp, err := range c.Pages(ctx, url, opts...) {
		text, err := ply.Text(resp, err)
		if err != nil {
			return pages, err
		}
		pages = append(pages, text)
	}
	return pages, nil
}

func pagesFrom(t *testing.T, origin http.RoundTripper, change ...func(*ply.Options)) *ply.Client {
	t.Helper()
	o := ply.Options{BaseURL: "http://api.test/", Transport: origin}
	for _, c := range change {
		c(&o)
	}
	return newClient(t, o)
}

func TestPagesFollowLinksToTheLastOne(t *testing.T) {
	origin := plytest.NewHandlerOrigin(numbered(4))
	c := pagesFrom(t, origin)
	pages := c.Pages(t.Context(), "/items")
	for range 2 { // it can be ranged over again
		var got []string
		for resp, err := range pages {
			text, err := ply.Text(resp, err)
			require.NoError(t, err)
			got = append(got, text)
		}
		if diff := cmp.Diff([]string{"1", "2", "3", "4"}, got); diff != "" {
			t.Error(diff)
		}
	}
	if n := origin.Count(); n != 8 {
		t.Errorf("%d requests, want 8", n)
	}
}

func TestEachPageHasTheOptionsOfTheRequest(t *testing.T) {
	origin := plytest.NewHandlerOrigin(numbered(3))
	c := pagesFrom(t, origin, func(o *ply.Options) { o.Defaults = []ply.RequestOption{ply.Query("key", "k")} })
	var edited int
	pages, err := readPages(t.Context(), c, "/{list}", ply.PathValue("list", "items"), ply.Query("per_page", "10"), ply.SetHeader("X-Mine", "1"), ply.Bearer("token"),
		ply.Edit(func(*http.Request) error { edited++; return nil }))
	require.NoError(t, err)
	require.Len(t, pages, 3)
	var urls []string
	for _, x := range origin.Exchanges() {
		urls = append(urls, x.URL.String())
		if x.Header.Get("X-Mine") != "1" || x.Header.Get("Authorization") != "Bearer token" || x.Method != http.MethodGet {
			t.Errorf("%s %s was sent with %v", x.Method, x.URL, x.Header)
		}
	}
	want := []string{"http://api.test/items?per_page=10&key=k", "http://api.test/items?page=2&key=k", "http://api.test/items?page=3&key=k"}
	if diff := cmp.Diff(want, urls); diff != "" {
		t.Error(diff)
	}
	if edited != 3 {
		t.Errorf("Edit ran %d times, want once for each page", edited)
	}
}

func TestPagesEndWhereNoPageShouldBeMissed(t *testing.T) {
	page := func(link string) plytest.Reply { return plytest.Text("page", "Link", link) }
	tests := []struct {
		name    string
		replies []plytest.Reply
		opts    []ply.RequestOption
		pages   int
		reason  error
		next    string
	}{
		{"the page links to itself", []plytest.Reply{page(`<?a=1>; rel=next`)}, nil, 1, ply.ErrPageLoop, "http://api.test/items?a=1"},
		{"but for a fragment", []plytest.Reply{page(`<HTTP://API.test/items?a=1#top>; rel=next`)}, nil, 1, ply.ErrPageLoop, "http://API.test/items?a=1"},
		{"two pages link to each other", []plytest.Reply{page(`</b>; rel=next`), page(`</items?a=1>; rel=next`)}, nil, 2, ply.ErrPageLoop, "http://api.test/items?a=1"},
		{"a redirect leads to a page that was there", []plytest.Reply{page(`</b>; rel=next`), plytest.Status(302, "Location", "/c"), page(`</c>; rel=next`)}, nil, 2, ply.ErrPageLoop, "http://api.test/c"},
		{"another host", []plytest.Reply{page(`<http://evil.test/b>; rel=next`)}, nil, 1, ply.ErrPageOrigin, "http://evil.test/b"},
		{"another scheme", []plytest.Reply{page(`<https://api.test/b>; rel=next`)}, nil, 1, ply.ErrPageOrigin, "https://api.test/b"},
		{"another port", []plytest.Reply{page(`<//api.test:8080/b>; rel=next`)}, nil, 1, ply.ErrPageOrigin, "http://api.test:8080/b"},
		{"a file", []plytest.Reply{page(`<file:///etc/passwd>; rel=next`)}, nil, 1, ply.ErrPageOrigin, "file:/etc/passwd"},
		{"a redirect to another host, and on there", []plytest.Reply{plytest.Status(302, "Location", "http://evil.test/a"), page(`</b>; rel=next`)}, nil, 1, ply.ErrPageOrigin, "http://evil.test/b"},
		{"no URL", []plytest.Reply{page("<http://[::1>; rel=next")}, nil, 1, ply.ErrPageLink, ""},
		{"an open quote", []plytest.Reply{page(`</b>; rel="next`)}, nil, 1, ply.ErrPageLink, ""},
		{"an open target", []plytest.Reply{page(`</b; REL = "prev next"`)}, nil, 1, ply.ErrPageLink, ""},
		{"a target without brackets", []plytest.Reply{page(`/b; rel=next`)}, nil, 1, ply.ErrPageLink, ""},
		{"behind what is no link", []plytest.Reply{page(`x, </b>; rel=next`)}, nil, 1, ply.ErrPageLink, ""},
		{"the limit", []plytest.Reply{page(`</b>; rel=next`), page(`</c>; rel=next`), page(`</d>; rel=next`)}, []ply.RequestOption{ply.MaxPages(2)}, 2, ply.ErrPageLimit, "http://api.test/c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origin := plytest.NewOrigin(tt.replies...)
			pages, err := readPages(t.Context(), pagesFrom(t, origin), "/items?a=1", tt.opts...)
			var ended *ply.PageError
			if !errors.As(err, &ended) || !errors.Is(err, tt.reason) || ended.Pages != tt.pages || ended.Next != withQueryHidden(tt.next) || len(pages) != tt.pages {
				t.Errorf("%d pages, %#v; want %d and %v with %s", len(pages), err, tt.pages, tt.reason, tt.next)
			}
		})
	}
}

// withQueryHidden is a URL as errors show it.
func withQueryHidden(url string) string { return strings.ReplaceAll(url, "a=1", "a=REDACTED") }

// What cannot be parsed and names no next page is none.
func TestPagesPassOverLinksThatCannotBeParsed(t *testing.T) {
	c := pagesFrom(t, plytest.NewOrigin(
		plytest.Text("1", "Link", `</b; rel=next`, "Link", `</b>; rel=next`),
		plytest.Text("2", "Link", `</next; rel=prev; as=next, <x>; rel=preload as`),
	))
	pages, err := readPages(t.Context(), c, "/a")
	require.NoError(t, err)
	if diff := cmp.Diff([]string{"1", "2"}, pages); diff != "" {
		t.Error(diff)
	}
}

func TestThereMayBeAsManyPagesAsTheLimit(t *testing.T) {
	pages, err := readPages(t.Context(), pagesFrom(t, plytest.NewHandlerOrigin(numbered(3))), "/items", ply.MaxPages(3))
	require.NoError(t, err)
	require.Len(t, pages, 3)

	endless := pagesFrom(t, plytest.NewHandlerOrigin(numbered(1<<30)))
	pages, err = readPages(t.Context(), endless, "/items")
	require.ErrorIs(t, err, ply.ErrPageLimit)
	require.Len(t, pages, ply.DefaultMaxPages)
}

func TestPagesAtAnotherOriginGetNoCredentials(t *testing.T) {
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/items": {plytest.Text("1", "Link", `<http://user:password@other.test/b>; rel=next`)},
		"/b":     {plytest.Text("2", "Link", `<http://api.test/c?x=1>; rel=next`)},
		"/c":     {plytest.Text("3")},
	}}
	for _, base := range []string{"http://api.test/", ""} {
		c := pagesFrom(t, origin, func(o *ply.Options) {
			o.BaseURL = base
			o.Header = http.Header{"X-Api-Key": {"secret"}, "Accept": {"application/json"}}
			o.Defaults = []ply.RequestOption{ply.Query("key", "secret"), ply.Cookies(&http.Cookie{Name: "a", Value: "secret"})}
			o.CrossOrigin = []string{"X-Tenant"}
		})
		before := origin.Count()
		pages, err := readPages(t.Context(), c, "http://api.test/items", ply.CrossOriginPages(), ply.Bearer("secret"), ply.SetHeader("X-Token", "secret"), ply.SetHeader("X-Tenant", "7"))
		require.NoError(t, err)
		require.Equal(t, []string{"1", "2", "3"}, pages)
		for i, x := range origin.Exchanges()[before:] {
			sent := fmt.Sprint(x.Header, x.URL.RawQuery)
			if i == 0 != strings.Contains(sent, "secret") || strings.Contains(sent, "password") || x.Header.Get("Accept") == "" || x.Header.Get("X-Tenant") != "7" {
				t.Errorf("base %q: %s was sent with %s", base, x.URL, sent)
			}
			if x.Header.Get("Authorization") != "" && i > 0 {
				t.Errorf("base %q: %s got credentials", base, x.URL)
			}
		}
	}
}

func TestCredentialsInTheURLGoToEachPageOfTheirOrigin(t *testing.T) {
	origin := plytest.NewHandlerOrigin(numbered(3))
	_, err := readPages(t.Context(), newClient(t, ply.Options{Transport: origin}), "http://user:word@api.test/items")
	require.NoError(t, err)
	for _, x := range origin.Exchanges() {
		if x.Header.Get("Authorization") != "Basic dXNlcjp3b3Jk" {
			t.Errorf("%s was sent with %v", x.URL, x.Header)
		}
	}
}

func TestPagesAtAnotherOriginGetNoLoginFromNetrc(t *testing.T) {
	file := filepath.Join(t.TempDir(), "netrc")
	require.NoError(t, os.WriteFile(file, []byte("machine other.test login user password word\nmachine api.test login user password word\n"), 0o600))
	t.Setenv("NETRC", file)
	origin := &plytest.Origin{Paths: map[string][]plytest.Reply{
		"/items": {plytest.Text("1", "Link", `<http://other.test/b>; rel=next`)},
		"/b":     {plytest.Text("2")},
	}}
	pages, err := readPages(t.Context(), newClient(t, ply.Options{Transport: origin, TrustEnv: true}), "http://api.test/items", ply.CrossOriginPages())
	require.NoError(t, err)
	require.Len(t, pages, 2)
	if x := origin.Exchanges(); x[0].Header.Get("Authorization") == "" || x[1].Header.Get("Authorization") != "" {
		t.Errorf("at home %q, away from it %q", x[0].Header.Get("Authorization"), x[1].Header.Get("Authorization"))
	}
}

func TestAPageThatFailsEndsThePages(t *testing.T) {
	gone := errors.New("gone")
	tests := []struct {
		name   string
		second plytest.Reply
		check  func(error) bool
	}{
		{"status", plytest.Status(503, "Link", "</c>; rel=next"), func(err error) bool { return ply.StatusIs(err, 503) }},
		{"connection", plytest.Fail(gone), func(err error) bool { return errors.Is(err, gone) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			origin := plytest.NewOrigin(plytest.Text("1", "Link", "</b>; rel=next"), tt.second)
			var errs []error
			for resp, err := range pagesFrom(t, origin).Pages(t.Context(), "/items") {
				if errs = append(errs, err); err != nil && resp != nil {
					t.Error("an error comes with a response")
				}
			}
			if len(errs) != 2 || errs[0] != nil || !tt.check(errs[1]) || origin.Count() != 2 {
				t.Errorf("errors %v after %d requests", errs, origin.Count())
			}
		})
	}
}

func TestOptionsThatPagesCannotHave(t *testing.T) {
	for name, opts := range map[string][]ply.RequestOption{
		"a body":        {ply.BodyString("x")},
		"no pages":      {ply.MaxPages(0)},
		"path values":   {ply.PathValue("id", "7")},
		"a bad address": {ply.ProxyURL("ftp://x")},
	} {
		origin := plytest.NewHandlerOrigin(numbered(2))
		pages, err := readPages(t.Context(), pagesFrom(t, origin), "/items", opts...)
		var refused *ply.OptionError
		if !errors.As(err, &refused) || len(pages) != 0 || origin.Count() != 0 {
			t.Errorf("%s: %v after %d requests", name, err, origin.Count())
		}
	}
}

func TestTheBodyOfAPageIsClosedWhenTheLoopGoesOnOrEnds(t *testing.T) {
	for _, leave := range []string{"break", "panic", "to the end"} {
		t.Run(leave, func(t *testing.T) {
			origin := plytest.NewHandlerOrigin(numbered(3))
			func() {
				defer func() { recover() }()
				for _, err := range pagesFrom(t, origin).Pages(t.Context(), "/items") {
					require.NoError(t, err)
					for _, x := range origin.Exchanges()[:origin.Count()-1] {
						if !x.BodyClosed {
							t.Errorf("the body of %s is open while a later page is read", x.URL)
						}
					}
					if origin.Count() == 2 && leave == "break" {
						break
					} else if origin.Count() == 2 && leave == "panic" {
						panic("in the loop")
					}
				}
			}()
			want := 2
			if leave == "to the end" {
				want = 3
			}
			if n := origin.Count(); n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
			for _, x := range origin.Exchanges() {
				if !x.BodyClosed {
					t.Errorf("the body of %s was not closed", x.URL)
				}
			}
		})
	}
}

func TestTheContextEndsThePages(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	origin := plytest.NewHandlerOrigin(numbered(5))
	var last error
	var pages int
	for resp, err := range pagesFrom(t, origin).Pages(ctx, "/items") {
		if last = err; err == nil {
			io.Copy(io.Discard, resp.Body)
			pages++
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || pages != 1 {
		t.Errorf("%v after %d pages", last, pages)
	}
}

func TestTheHeaderOfAPageIsTheCallers(t *testing.T) {
	var n int
	for resp, err := range pagesFrom(t, plytest.NewHandlerOrigin(numbered(3))).Pages(t.Context(), "/items") {
		require.NoError(t, err)
		resp.Header.Del("Link")
		n++
	}
	require.Equal(t, 3, n)
}

// A redirect to another origin ends the pages, also if that origin's link leads back: it would choose the URL of a request with credentials.
func TestPageBehindARedirectToAnotherOriginGetsNoCredentialsBack(t *testing.T) {
	for name, tt := range map[string]struct {
		options []ply.RequestOption
		pages   int
		err     error
	}{
		"by default":            {nil, 1, ply.ErrPageOrigin},
		"with CrossOriginPages": {[]ply.RequestOption{ply.CrossOriginPages()}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			origin := plytest.NewHandlerOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Host == "evil.test":
					w.Header().Set("Link", `<http://api.test/admin?do=it>; rel="next"`)
				case r.URL.Path == "/items":
					w.Header().Set("Location", "http://evil.test/")
					w.WriteHeader(http.StatusFound)
				case r.Header.Get("Authorization") != "":
					t.Errorf("%s was asked for with credentials", r.URL)
				}
			}))
			pages, err := readPages(t.Context(), pagesFrom(t, origin), "/items", append(tt.options, ply.SetHeader("Authorization", "Bearer secret"))...)
			if len(pages) != tt.pages || !errors.Is(err, tt.err) {
				t.Errorf("%d pages, %v; want %d, %v", len(pages), err, tt.pages, tt.err)
			}
		})
	}
}

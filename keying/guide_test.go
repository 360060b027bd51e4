package keying_test

import (
	"cmp"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/keying"
)

// The table "When there is no key" in docs/keying.md has the errors of the strategies of this package, and no others.
func TestGuideListsWhyThereIsNoKey(t *testing.T) {
	page, err := os.ReadFile("../docs/keying.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## When there is no key\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var shown []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1) {
		shown = append(shown, row[1])
	}

	graphQL := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
	request := func(body string) *http.Request {
		r, err := http.NewRequest(http.MethodPost, "http://h/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	stream, twice, signed := request("{}"), request(`{"query": "{me}"}`), request("")
	stream.GetBody = nil
	twice.Header.Add("Content-Type", "text/plain")
	signed.Header.Set("Authorization", "NTLM abc")
	var said []string
	for _, c := range []struct {
		key keying.Strategy
		r   *http.Request
	}{
		{keying.New(keying.Body(keying.BodyOptions{})), stream},
		{keying.New(keying.Body(keying.BodyOptions{MaxBytes: 1})), request("{}")},
		{graphQL, request(`{"query": "mutation { rename }"}`)},
		{graphQL, request("{me}")},
		{graphQL, twice},
		{keying.Default(), signed},
	} {
		if _, err := c.key.AppendKey(nil, c.r); err != nil {
			said = append(said, err.Error())
		}
	}
	slices.Sort(said)
	slices.Sort(shown)
	if d := diff.Diff(said, shown); d != "" {
		t.Errorf("-said +shown\n%s", d)
	}
}

var articleKey = keying.Func(func(key []byte, r *http.Request) ([]byte, error) {
	key = append(key, cmp.Or(r.Host, r.URL.Host)...) // a request that follows a redirect has no Host of its own
	key = append(key, strings.TrimSuffix(r.URL.EscapedPath(), "/print")...)
	return key, nil // an error means: do not cache this request
})

// byArticle takes /articles/7 and /articles/7/print for one.
func byArticle(dst []byte, r *http.Request) ([]byte, error) {
	host := cmp.Or(r.Host, r.URL.Host) // a request that follows a redirect has no Host of its own
	return append(dst, r.URL.Scheme+"://"+host+strings.TrimSuffix(r.URL.EscapedPath(), "/print")...), nil
}

// The functions that the pages show are those above, and have two hosts share nothing, also in the requests that net/http makes of a redirect.
func TestKeysOfYourOwnHoldTheHost(t *testing.T) {
	source, err := os.ReadFile("guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		page, begin, end string
		key              keying.Strategy
	}{
		{"getting-started", " = keying.Func(func(key []byte,", "\n})\n", articleKey},
		{"keying", "func byArticle(", "\n}\n", keying.Func(byArticle)},
	} {
		page, err := os.ReadFile("../docs/" + of.page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(source), of.begin)
		text, _, _ = strings.Cut(text, of.end)
		if !strings.Contains(string(page), of.begin+text+of.end) {
			t.Errorf("%s.md does not have the function of this test", of.page)
		}
		keyOf := func(host, url string) string {
			r, err := http.NewRequest(http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = host
			key, err := of.key.AppendKey(nil, r)
			if err != nil {
				t.Fatal(err)
			}
			return string(key)
		}
		seven := keyOf("a.example", "http://a.example/articles/7")
		if keyOf("", "http://a.example/articles/7/print") != seven {
			t.Errorf("%s: the printed form of an article does not share", of.page)
		}
		for _, other := range []string{keyOf("", "http://b.example/articles/7"), keyOf("b.example", "http://a.example/articles/7"), keyOf("", "http://a.example/articles/7%2Fprint")} {
			if other == seven {
				t.Errorf("%s: two resources share: %s", of.page, other)
			}
		}
	}
}

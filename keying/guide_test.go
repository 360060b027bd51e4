package keying_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	if diff := cmp.Diff(said, shown); diff != "" {
		t.Errorf("-said +shown\n%s", diff)
	}
}

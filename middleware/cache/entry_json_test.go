package cache_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/redact"
	"github.com/plyhttp/ply/store/storetest"
)

var updateJSON = flag.Bool("update-json", false, "write testdata/entry.json anew")

// the is the one entry of a cache.
func (g *rig) the() *cache.Entry {
	g.Helper()
	for e := range g.Entries(g.Context()) {
		return e
	}
	g.Fatal("nothing is stored")
	return nil
}

func TestReadableFormOfAnEntryIsTheGoldenOne(t *testing.T) {
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := says("<Grüße & mehr>\n", "Cache-Control: max-age=100, stale-while-revalidate=50, must-revalidate", `ETag: "v"`, "Age: 7", "Vary: Accept, Cookie",
					"X-Token: hidden", "Content-Type: text/plain; charset=utf-8", "Location: /next?code=hidden")
				g := newPlainRig(t, o, cache.Options{Store: store(t), VaryHashKey: []byte("a key for the hashes of this test, as long as it must be")})
				g.get("http://h/a?secret=hidden&acl", "Accept: text/*", "Cookie: hidden=hidden")
				time.Sleep(30 * time.Second)
				var out bytes.Buffer
				require.NoError(t, cache.WriteJSON(t.Context(), &out, g.the(), cache.JSONOptions{}))
				if strings.Contains(out.String(), "hidden") {
					t.Error("a secret is in it")
				}
				const golden = "testdata/entry.json"
				if *updateJSON {
					require.NoError(t, os.WriteFile(golden, out.Bytes(), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				charged := regexp.MustCompile(`"Size": \d+`) // a byte store has no values of the query
				if diff := cmp.Diff(charged.ReplaceAllString(string(want), ""), charged.ReplaceAllString(out.String(), "")); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestBodyOfTheReadableFormIsTextOrBase64WithinItsLimit(t *testing.T) {
	for name, tt := range map[string]struct {
		body  string
		limit int64
		want  string
	}{
		"text":                         {"ä", 0, `{"Text":"ä"}`},
		"empty":                        {"", 0, `{"Text":""}`},
		"bytes":                        {"\xff\x00", 0, `{"Base64":"/wA="}`},
		"text with a zero byte":        {"a\x00", 0, `{"Base64":"YQA="}`},
		"as long as the limit":         {"abc", 3, `{"Text":"abc"}`},
		"longer":                       {"abcd", 3, `{"Text":"abc","Truncated":true}`},
		"cut within a character":       {"aää", 4, `{"Text":"aä","Truncated":true}`},
		"bytes, longer":                {"\xff\xfe\xfd", 2, `{"Base64":"//4=","Truncated":true}`},
		"no body":                      {"abc", -1, "null"},
		"longer than the limit of 4 K": {strings.Repeat("a", 5000), 0, `{"Text":"` + strings.Repeat("a", 4096) + `","Truncated":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				g := newPlainRig(t, says(tt.body, "Cache-Control: max-age=1"), cache.Options{Store: storetest.NewMap(1 << 20)})
				g.get("http://h/")
				var out bytes.Buffer
				require.NoError(t, cache.WriteJSON(t.Context(), &out, g.the(), cache.JSONOptions{MaxBody: tt.limit}))
				var form struct{ Body any }
				require.NoError(t, json.Unmarshal(out.Bytes(), &form))
				have, err := json.Marshal(form.Body)
				require.NoError(t, err)
				if string(have) != tt.want {
					t.Errorf("%.100s, want %.100s", have, tt.want)
				}
			})
		})
	}
}

func TestReadableFormObeysTheRedactor(t *testing.T) {
	g := newPlainRig(t, says("a", "Cache-Control: max-age=1", "X-Shown: shown"), cache.Options{})
	g.get("http://h/?page=2")
	shows := &redact.Redactor{ShowHeaders: []string{"X-Shown"}, ShowParams: []string{"page"}}
	form := func(o cache.JSONOptions, r *http.Request) string {
		var out bytes.Buffer
		require.NoError(t, cache.WriteJSON(r.Context(), &out, g.the(), o))
		return out.String()
	}
	r, _ := http.NewRequestWithContext(redact.With(t.Context(), shows), "GET", "http://h/", nil)
	for name, have := range map[string]string{"option": form(cache.JSONOptions{Redactor: shows}, r.WithContext(t.Context())), "context": form(cache.JSONOptions{}, r)} {
		if !strings.Contains(have, "page=2") || !strings.Contains(have, `"shown"`) {
			t.Errorf("%s: %s", name, have)
		}
	}
}

func TestMarshalledEntryHasNoBody(t *testing.T) {
	g := newPlainRig(t, says("the body", "Cache-Control: max-age=1"), cache.Options{})
	g.get("http://h/?secret=hidden")
	text, err := json.Marshal(g.the())
	require.NoError(t, err)
	if !json.Valid(text) || bytes.Contains(text, []byte("the body")) || bytes.Contains(text, []byte("hidden")) {
		t.Errorf("%s", text)
	}
	_, err = json.Marshal(new(cache.Entry))
	require.Error(t, err)
	require.Error(t, cache.WriteJSON(t.Context(), &bytes.Buffer{}, nil, cache.JSONOptions{}))
}

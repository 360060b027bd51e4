package storeurl_test

import (
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/plyhttp/ply/internal/storeurl"
)

type settings struct {
	Name  string
	Sync  bool
	TTL   time.Duration
	Count int
	Max   int64
}

func read(t *testing.T, rawURL string) (settings, error) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	var s settings
	o := storeurl.Take("shelf", u)
	o.String("name", &s.Name)
	o.Bool("sync", &s.Sync)
	o.Duration("ttl", &s.TTL)
	o.Int("count", &s.Count)
	o.Bytes("max", &s.Max)
	if u.RawQuery != "" {
		t.Errorf("%s: the query %q is left in the URL", rawURL, u.RawQuery)
	}
	return s, o.Err()
}

func TestOptionsAreReadFromTheQuery(t *testing.T) {
	for query, want := range map[string]settings{
		"":                     {},
		"name=a%20b&sync=true": {Name: "a b", Sync: true},
		"sync=false":           {},
		"ttl=1m30s&count=12":   {TTL: 90 * time.Second, Count: 12},
		"max=1":                {Max: 1},
		"max=512MiB":           {Max: 512 << 20},
		"max=1.5GiB":           {Max: 3 << 29},
		"max=2GB":              {Max: 2e9},
		"max=64KiB":            {Max: 64 << 10},
		"max=3KB":              {Max: 3000},
		"max=100B":             {Max: 100},
		"max=1TiB":             {Max: 1 << 40},
	} {
		got, err := read(t, "shelf://host/?"+query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestOptionsThatCannotBeReadAreErrorsWithoutTheirValues(t *testing.T) {
	for query, want := range map[string]string{
		"name=":                 "shelf: name in the URL must be a text that is not empty",
		"sync=hunter2":          "shelf: sync in the URL must be true or false",
		"sync=":                 "shelf: sync in the URL must be true or false",
		"ttl=hunter2":           "shelf: ttl in the URL must be a duration such as 30s",
		"ttl=-1s":               "shelf: ttl in the URL must be a duration such as 30s",
		"count=0":               "shelf: count in the URL must be a number from 1 on",
		"max=hunter2":           "shelf: max in the URL must be a size such as 512MiB",
		"max=0":                 "shelf: max in the URL must be a size such as 512MiB",
		"max=-1MiB":             "shelf: max in the URL must be a size such as 512MiB",
		"max=NaN":               "shelf: max in the URL must be a size such as 512MiB",
		"max=1e300TiB":          "shelf: max in the URL must be a size such as 512MiB",
		"max=Inf":               "shelf: max in the URL must be a size such as 512MiB",
		"name=a&name=b":         "shelf: the URL has name twice",
		"colour=hunter2&age=1":  `shelf: the URL has options that are not known: "age", "colour"; known are count, max, name, sync, ttl`,
		"name=a;max=hunter2":    "shelf: the query of the URL cannot be parsed",
		"name=%zzhunter2":       "shelf: the query of the URL cannot be parsed",
		"sync=x&ttl=y&unknown=": "shelf: sync in the URL must be true or false",
	} {
		_, err := read(t, "shelf://host/?"+query)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
}

func TestPartsOfAPasswordAreNoNamesOfOptions(t *testing.T) {
	const want = "shelf: the URL has options that are not known, or a password with a ? that must be written %3F; known are count, max, name, sync, ttl"
	for _, rawURL := range []string{"shelf://user:12?hunter2@host", "shelf://token?hunter2@host", "shelf://user:?hunter2=x@host/a", "shelf://user:1?hunter2&x@host", "shelf://user:1?hunter2#x@host"} {
		if _, err := read(t, rawURL); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", rawURL, err, want)
		}
	}
}

func TestRestIsForTheDriver(t *testing.T) {
	u, _ := url.Parse("shelf://host/?ttl=1s&addr=b&addr=c&z=%20")
	var s settings
	o := storeurl.Take("shelf", u)
	o.Duration("ttl", &s.TTL)
	if got, want := o.Rest(), "addr=b&addr=c&z=+"; got != want {
		t.Errorf("rest %q, want %q", got, want)
	}
	if err := o.Err(); err != nil {
		t.Error(err)
	}
	want := `shelf: the URL has options that are not known: "adr"; known are ttl and what the driver knows`
	if got := o.Unknown("adr").Error(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPathOfAURL(t *testing.T) {
	for rawURL, want := range map[string]string{
		"file:///var/cache/app":          "/var/cache/app",
		"file://localhost/var/cache/app": "/var/cache/app",
		"file:/var/cache/app":            "/var/cache/app",
		"file:app/cache":                 "app/cache",
		"file:my%20app":                  "my app",
		"file:///my%20app":               "/my app",
		"file:../cache":                  "../cache",
	} {
		u, err := url.Parse(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		got, err := storeurl.Path("file", u)
		if err != nil || got != filepath.FromSlash(want) {
			t.Errorf("%s: got %q, %v, want %q", rawURL, got, err, want)
		}
	}
	if u, _ := url.Parse("file:///C:/cache"); runtime.GOOS == "windows" {
		if got, err := storeurl.Path("file", u); err != nil || got != `C:\cache` {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestURLsThatNameNoPathAreErrorsWithoutSecrets(t *testing.T) {
	for rawURL, want := range map[string]string{
		"file://var/cache":              "file: a file URL names no machine: write file:///absolute/path or file:relative/path",
		"file://user:hunter2@/cache":    "file: a file URL names no machine: write file:///absolute/path or file:relative/path",
		"file:":                         "file: the URL has no path",
		"file://":                       "file: the URL has no path",
		"file:///cache#hunter2":         "file: the URL has a fragment: write # as %23",
		"file:app%zzhunter2":            "file: the path of the URL has a bad escape: write % as %25",
		"file:///cache%00hunter2":       "file: the path of the URL has a zero byte",
		"file:cache" + "%00" + "hunter": "file: the path of the URL has a zero byte",
	} {
		u, err := url.Parse(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		_, err = storeurl.Path("file", u)
		if err == nil || err.Error() != want || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v, want %s", rawURL, err, want)
		}
	}
}

package benchmarks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// keyedHit is a hit whose key or whose variant takes more to find than that of a plain request.
type keyedHit struct {
	name   string
	vary   string
	fields []string // of the request, "Name: value"
	path   string
	key    keying.Strategy
}

var (
	usualFields = []string{"Accept: text/html, application/json;q=0.9", "Accept-Language: en", "User-Agent: benchmarks/1.0"}
	cookie      = "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark"

	keyedHits = []keyedHit{
		{name: "plain", fields: usualFields},
		{name: "Authorization", fields: append([]string{"Authorization: Bearer 0123456789abcdef0123456789abcdef"}, usualFields...)},
		{name: "Authorization of 1 KiB", fields: append([]string{"Authorization: Bearer " + strings.Repeat("0123456789abcdef", 64)}, usualFields...)},
		{name: "Cookie", fields: append([]string{cookie}, usualFields...)},
		{name: "Vary of 1 field", vary: "Accept-Language", fields: usualFields},
		{name: "Vary of 3 fields", vary: "Accept, Accept-Language, User-Agent", fields: usualFields},
		{name: "Vary Cookie", vary: "Cookie", fields: append([]string{cookie}, usualFields...)},
		{name: "Vary Cookie, one user", vary: "Cookie", fields: append([]string{cookie}, usualFields...), key: keying.SingleUser()},
		{name: "Ignore and Sort", fields: usualFields, path: "/page/0?utm_source=x&b=2&a=1", key: keying.New(keying.URL(keying.URLOptions{Ignore: []string{"utm_source"}, Sort: true}))},
	}
)

// mount returns a cache that has the response, and the request for it.
func (k keyedHit) mount(tb testing.TB) (http.RoundTripper, *http.Request) {
	o := newOrigin(says{size: KiB, fields: 6, control: "max-age=86400", vary: k.vary}, numbered(1)...)
	path := k.path
	if path == "" {
		path = "/page/0"
	}
	r := request(tb, path, "")
	for _, line := range k.fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	if k.vary == "" {
		for p, page := range o.pages { // the same body, whatever language is asked for
			o.pages[strings.TrimSuffix(p, " ")+" en"] = page
		}
	}
	h := mountPlyOf(tb, o, cache.Options{Key: k.key})
	get(tb, h, r, KiB)
	return h, r
}

// BenchmarkKeyedHit is for hits whose key or variant has to be worked out.
func BenchmarkKeyedHit(b *testing.B) {
	for _, k := range keyedHits {
		b.Run(k.name, func(b *testing.B) {
			h, r := k.mount(b)
			b.ReportAllocs()
			for b.Loop() {
				get(b, h, r, KiB)
			}
		})
	}
}

// jsonContent returns a request in JSON, of about n bytes, that is one of GraphQL as well.
func jsonContent(n size) string {
	var b strings.Builder
	b.WriteString(`{"query": "query Q { me { id } }", "variables": [0`)
	for i := 0; b.Len() < int(n)-100; i++ {
		fmt.Fprintf(&b, `, {"id": %d, "name": "item %d", "tags": ["a", "b"], "price": 1.5, "ok": true}`, i, i)
	}
	b.WriteString("]}")
	return b.String()
}

var formats = []struct {
	name string
	is   keying.Format
}{{"raw", keying.FormatRaw}, {"JSON", keying.FormatJSON}, {"GraphQL", keying.FormatGraphQL}}

// contentKey returns a function that makes the key of content in a format.
func contentKey(tb testing.TB, content string, format keying.Format) func() {
	r, err := http.NewRequest(http.MethodPost, "http://origin.test/graphql", strings.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	s, dst := keying.New(keying.Body(keying.BodyOptions{Format: format})), make([]byte, 0, 512)
	return func() {
		if _, err := s.AppendKey(dst, r); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkContentKey makes keys of content, beside json.Compact of the same content.
func BenchmarkContentKey(b *testing.B) {
	for _, n := range []size{KiB, 64 * KiB} {
		content := jsonContent(n)
		for _, f := range formats {
			b.Run(n.String()+"/"+f.name, func(b *testing.B) {
				key := contentKey(b, content, f.is)
				b.ReportAllocs()
				for b.Loop() {
					key()
				}
			})
		}
		b.Run(n.String()+"/json.Compact", func(b *testing.B) {
			var out bytes.Buffer
			src := []byte(content)
			b.ReportAllocs()
			for b.Loop() {
				out.Reset()
				if err := json.Compact(&out, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

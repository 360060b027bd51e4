package keying_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plyhttp/ply/keying"
)

// FuzzDefault checks that a key is stable, and different for different queries and hosts.
func FuzzDefault(f *testing.F) {
	f.Add("/a", "b=c", "/ab", "=c")
	f.Add("/a/../b", "", "/b", "%7e")
	f.Fuzz(func(t *testing.T, path1, query1, path2, query2 string) {
		one := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path1, RawQuery: query1}}
		two := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path2, RawQuery: query2}}
		k1, k2 := key(t, keying.Default(), one), key(t, keying.Default(), two)
		if k1 != key(t, keying.Default(), one) {
			t.Fatal("a key must be stable")
		}
		plain := func(s string) bool { return !strings.ContainsAny(s, "%./") }
		if plain(path1) && plain(path2) && plain(query1) && plain(query2) {
			if same := path1 == path2 && query1 == query2; same != (k1 == k2) {
				t.Fatalf("%q?%q and %q?%q: same key = %v", path1, query1, path2, query2, k1 == k2)
			}
		}
		params := strings.Split(query1, "&")
		slices.SortStableFunc(params, func(a, b string) int {
			return strings.Compare(strings.SplitN(b, "=", 2)[0], strings.SplitN(a, "=", 2)[0])
		})
		other := &http.Request{URL: &url.URL{Scheme: "http", Host: "h", Path: "/" + path1, RawQuery: strings.Join(params, "&")}}
		sorted := keying.New(keying.URL(keying.URLOptions{Sort: true}))
		if !strings.ContainsAny(query1, "%+") && key(t, sorted, one) != key(t, sorted, other) {
			t.Fatalf("the order of %q makes a difference", query1)
		}
	})
}

// FuzzBody: content with equal keys has equal meaning, and content has one key however it is indented.
func FuzzBody(f *testing.F) {
	f.Add(`{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1}`)
	f.Add(`{"a":"\u0062"}`, `{"a":"b"}`)
	f.Add(`{"a":1,"a":2}`, `{"a":2}`)
	f.Add(`"\ud800"`, `"\ud801"`)
	f.Add(`1.0`, `1`)
	f.Add("\xff", "\xfe")
	f.Fuzz(func(t *testing.T, a, b string) {
		s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatJSON}))
		of := func(content string) string {
			return key(t, s, request(t, "QUERY http://h/", "Content-Type: application/json", "", content))
		}
		decode := func(content string) (value any, ok bool) {
			d := json.NewDecoder(strings.NewReader(content))
			d.UseNumber()
			err := d.Decode(&value)
			return value, err == nil && !d.More()
		}
		x, xOK := decode(a)
		y, yOK := decode(b)
		if same := of(a) == of(b); same && a != b && !(xOK && yOK && reflect.DeepEqual(x, y)) {
			t.Fatalf("%q and %q share a key", a, b)
		}
		var indented bytes.Buffer
		if json.Indent(&indented, []byte(a), " ", "\t") == nil && (of(a) == of(indented.String())) != comparable(a) {
			t.Fatalf("%q indented has another key: %v, want %v", a, of(a) != of(indented.String()), !comparable(a))
		}
	})
}

// comparable reports whether JSON is compared by its meaning, or its indented form is the same text.
func comparable(content string) bool {
	var indented bytes.Buffer
	json.Indent(&indented, []byte(content), " ", "\t")
	if indented.String() == content {
		return true
	}
	return unambiguous(json.NewDecoder(strings.NewReader(content)), 0)
}

// unambiguous reports whether the next value of d has neither a member twice, nor text that was repaired, nor more than 100 levels.
func unambiguous(d *json.Decoder, depth int) bool {
	d.UseNumber()
	token, err := d.Token()
	if err != nil || depth > 100 {
		return false
	}
	switch token := token.(type) {
	case string:
		return !strings.ContainsRune(token, utf8.RuneError)
	case json.Delim:
		names := map[string]bool{}
		for d.More() {
			if token == '{' {
				name, err := d.Token()
				text, _ := name.(string)
				if err != nil || names[text] || strings.ContainsRune(text, utf8.RuneError) {
					return false
				}
				names[text] = true
			}
			if !unambiguous(d, depth+1) {
				return false
			}
		}
		_, err := d.Token()
		return err == nil
	}
	return true
}

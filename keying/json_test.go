package keying_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/plyhttp/ply/keying"
)

// jsonForm is the oracle: the content as encoding/json reads it and writes it again, with sorted members and without those that are ignored.
// It is false for content that is compared byte by byte.
func jsonForm(content string, ignored [][]string) (string, bool) {
	d := json.NewDecoder(strings.NewReader(content))
	d.UseNumber()
	o := oracle{d: d, ignored: ignored}
	value, err := o.value(0, nil)
	if err != nil {
		return "", false
	}
	if _, err := d.Token(); err != io.EOF {
		return "", false
	}
	text, err := json.Marshal(value)
	return string(text), err == nil
}

type oracle struct {
	d       *json.Decoder
	ignored [][]string
}

var errCompareRaw = errors.New("ambiguous, or nested too deeply")

func (o oracle) value(depth int, path []string) (any, error) {
	token, err := o.d.Token()
	if err != nil || depth > 100 {
		return nil, errors.Join(err, errCompareRaw)
	}
	switch token := token.(type) {
	case string:
		if strings.ContainsRune(token, utf8.RuneError) {
			return nil, errCompareRaw
		}
	case json.Delim:
		if token == '{' {
			return o.object(depth, path)
		}
		list := []any{}
		for o.d.More() {
			element, err := o.value(depth+1, path)
			if err != nil {
				return nil, err
			}
			list = append(list, element)
		}
		_, err := o.d.Token()
		return list, err
	}
	return token, nil
}

func (o oracle) object(depth int, path []string) (any, error) {
	object, seen := map[string]any{}, map[string]bool{}
	for o.d.More() {
		token, err := o.d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		here := append(slices.Clone(path), name)
		member, err := o.value(depth+1, here)
		if err != nil {
			return nil, err
		}
		if seen[name] || strings.ContainsRune(name, utf8.RuneError) {
			return nil, errCompareRaw
		}
		seen[name] = true
		if !slices.ContainsFunc(o.ignored, func(pattern []string) bool { return matchesPath(pattern, here) }) {
			object[name] = member
		}
	}
	_, err := o.d.Token()
	return object, err
}

// matchesPath reports whether a pattern of names matches the path of a member.
func matchesPath(pattern, path []string) bool {
	if len(pattern) > 1 && pattern[0] == "**" {
		pattern = pattern[1:]
		path = path[max(len(path)-len(pattern), 0):]
	}
	return slices.EqualFunc(pattern, path, func(p, name string) bool { return p == "*" || p == name })
}

// Two contents share a key exactly if encoding/json makes the same of both, or if both are the same bytes where it makes nothing of them.
func FuzzJSONKeysEqualWhereEncodingJSONDoes(f *testing.F) {
	long := strings.Repeat("x", 80)
	for _, seed := range [][3]string{
		{`{"a":1,"b":[1,2]}`, `{"b":[1,2],"a":1}`, ""},
		{`{"a":{"id":1,"b":"` + long + `"},"id":2}`, `{"a":{"b":"` + long + `"}}`, "**.id"},
		{`{"b":{"y":"` + long + `","x":1},"a":2}`, `{"a":2,"b":{"x":1,"y":"` + long + `"}}`, "b.z"},
		{`{"a":"\u0062"}`, `{"a":"b"}`, "a"}, {`{"a":1,"a":2}`, `{"a":2}`, "a"}, {`"\ud83d\ude00"`, `"😀"`, ""}, {`"\ud83d\u0041"`, `"\ud83dA"`, ""},
		{`"\ufffd"`, "\"\ufffd\"", ""}, {"\"\xff\"", "\"\xfe\"", ""}, {"\"\xe2\x82\"", `"\u20ac"`, ""}, {`"\/\b\f\n\r\t\"\\"`, `"/\u0008\u000c\u000a\u000d\u0009\u0022\u005c"`, ""},
		{`1.0`, `1`, ""}, {`-0`, `0`, ""}, {`1e5`, `1E5`, ""}, {`01`, `1`, ""}, {`[1,]`, `[1]`, ""}, {`[1 2]`, `[12]`, ""}, {`{"a":1,}`, `{"a":1}`, ""}, {`{"a" 1}`, `{"a":1}`, ""},
		{`{} {}`, `{}`, ""}, {`[]`, `[[]]`, ""}, {`tru`, `true`, ""}, {`{1:2}`, `{"1":2}`, ""}, {`-`, `- 1`, ""}, {`1.`, `1.e1`, ""}, {"\"\x1f\"", `"\u001f"`, ""}, {"\"\x7f\"", `"\u007f"`, ""},
		{strings.Repeat("[", 101) + strings.Repeat("]", 101), strings.Repeat("[", 101) + " " + strings.Repeat("]", 101), ""},
		{`{"a":{"id":{"id":1}}}`, `{"a":{}}`, "*.id"}, {`[[{"id":1}]]`, `[[{}]]`, "id"}, {`{"":{"":1}}`, `{"":{}}`, "."}, {"\ufeff{}", "{}", ""}, {"", " ", ""}, {`"\uD800\uD800"`, `"\u00e9"`, ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, a, b, ignore string) {
		o := keying.BodyOptions{Format: keying.FormatJSON}
		var ignored [][]string
		if ignore != "" && !strings.Contains(ignore, `\`) {
			o.Ignore, ignored = []string{ignore}, [][]string{strings.Split(ignore, ".")}
		}
		s := keying.New(keying.Body(o))
		of := func(content string) string {
			return key(t, s, request(t, "QUERY http://h/", "Content-Type: application/json", "", content))
		}
		checkForms := func(a, b string) {
			formA, byMeaningA := jsonForm(a, ignored)
			formB, byMeaningB := jsonForm(b, ignored)
			want := a == b || byMeaningA && byMeaningB && formA == formB
			if got := of(a) == of(b); got != want {
				t.Fatalf("%q and %q without %q share a key: %v, want %v", a, b, ignore, got, want)
			}
		}
		checkForms(a, b)
		if form, ok := jsonForm(a, ignored); ok {
			checkForms(a, form) // what the fuzzer seldom finds: two spellings of one value
		}
	})
}

// The members of a large object, in whatever order they come and however deep it is nested, are what counts.
func TestKeysOfLargeObjectsDoNotDependOnTheOrderOfMembers(t *testing.T) {
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatJSON, Ignore: []string{"**.n500"}}))
	of := func(order []int, last string) string {
		var members []string
		for _, i := range order {
			members = append(members, fmt.Sprintf(`"n%d": {"z": %d, "y": [{"b": "%s", "a": {}}], "x": null}`, i, i, strings.Repeat("é", i%70)))
		}
		return key(t, s, request(t, "QUERY http://h/", "", `{"top": [{`+strings.Join(members, ", ")+`}], "last": `+last+`}`))
	}
	var up []int
	for i := range 1000 {
		up = append(up, i)
	}
	down := slices.Clone(up)
	slices.Reverse(down)
	if of(up, "1") != of(down, "1") {
		t.Error("the order of members counts")
	}
	if of(up, "1") == of(down, "2") || of(up[1:], "1") == of(up, "1") {
		t.Error("a value, or a member, does not count")
	}
	if without := slices.Concat(up[:500], up[501:]); of(without, "1") != of(down, "1") {
		t.Error("an ignored member counts")
	}
}

// Content that comes in small pieces, or is longer than it says, has the key of the same content at once.
func TestKeysDoNotDependOnHowContentIsRead(t *testing.T) {
	content := `{"b": "` + strings.Repeat("x", 20_000) + `", "a": [1, 2]}`
	for _, format := range []keying.Format{keying.FormatRaw, keying.FormatJSON, keying.FormatForm} {
		s := keying.New(keying.Body(keying.BodyOptions{Format: format}))
		whole, pieces := request(t, "QUERY http://h/", "", content), request(t, "QUERY http://h/", "", content)
		pieces.ContentLength = -1
		pieces.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(iotest.DataErrReader(iotest.HalfReader(strings.NewReader(content)))), nil
		}
		if key(t, s, whole) != key(t, s, pieces) {
			t.Errorf("format %d: another key for content in pieces", format)
		}
	}
}

// A key costs the copy that GetBody makes, whatever the content and its size.
func TestKeysOfContentAllocateLittle(t *testing.T) {
	for _, size := range []int{1 << 10, 64 << 10, 1<<20 - 100} {
		var b strings.Builder
		for i := 0; b.Len() < size-100; i++ {
			fmt.Fprintf(&b, `, {"name": "\u00e9t\u00e9 %d", "id": %d, "tags": ["a", {}], "ok": true}`, i, i)
		}
		content := `{"query": "query Q { me { id } }", "items": [1` + b.String() + `]}`
		for _, format := range []keying.Format{keying.FormatRaw, keying.FormatJSON, keying.FormatGraphQL} {
			s := keying.New(keying.Body(keying.BodyOptions{Format: format, Ignore: []string{"items.ok"}}))
			r := request(t, "POST http://h/", "Content-Type: application/json", "", content)
			dst := make([]byte, 0, 512)
			got := testing.AllocsPerRun(20, func() {
				if _, err := s.AppendKey(dst, r); err != nil {
					t.Fatal(err)
				}
			})
			if got > 30 {
				t.Errorf("%d bytes, format %d: %v allocations, want 30 at most", len(content), format, got)
			}
		}
	}
}

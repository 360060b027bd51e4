package keying

import (
	"encoding/json"
	"strings"
	"testing"
)

// texts calls f with every text of up to n of the given tokens.
func texts(tokens []string, n int, f func(string)) {
	var extend func(string, int)
	extend = func(text string, n int) {
		f(text)
		if n == 0 {
			return
		}
		for _, token := range tokens {
			extend(text+token, n-1)
		}
	}
	extend("", n)
}

// A number is one by the grammar of JSON (RFC 8259 §6), for every text of up to five of its characters: encoding/json agrees.
func TestNumberByTheGrammar(t *testing.T) {
	texts(strings.Split("0 1 - + . e E", " "), 5, func(s string) {
		if got, want := s != "" && numberLen(s) == len(s), json.Valid([]byte(s)); got != want {
			t.Errorf("%q is a number: %v, want %v", s, got, want)
		}
		if s != "" && json.Valid([]byte(s)) && numberLen(s+",1") != len(s) {
			t.Errorf("the number %q does not end at a comma", s)
		}
	})
}

// A text is JSON by its grammar, for every text of up to five tokens: encoding/json agrees.
func TestJSONByTheGrammar(t *testing.T) {
	texts([]string{"[", "]", "{", "}", ",", ":", `"a"`, "1", " ", "true", "nul"}, 5, func(s string) {
		scan := scanners.Get().(*scanner)
		defer scan.free()
		scan.content = append(scan.content, s...)
		if got, want := scan.json(), json.Valid([]byte(s)); got != want {
			t.Errorf("%q is JSON: %v, want %v", s, got, want)
		}
	})
}

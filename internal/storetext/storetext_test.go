package storetext_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plyhttp/ply/internal/storetext"
)

func TestKeysOfTheContractAreTaken(t *testing.T) {
	for key, want := range map[string]bool{
		"a": true, "AZaz09_.:-": true, ".": true, "..": true, ":": true, strings.Repeat("k", 128): true,
		"": false, strings.Repeat("k", 129): false, "a b": false, "a/b": false, "a\x00": false, "ä": false, "a\n": false, "a@b": false, "a[b": false, "a`b": false, "a{b": false, "a,b": false, "a;b": false,
	} {
		if got := storetext.ValidKey(key); got != want {
			t.Errorf("%q: %t", key, got)
		}
		err := storetext.CheckKey("shelf", key)
		if (err == nil) != want {
			t.Errorf("%q: %v", key, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "shelf: the key ") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestLabelsCanBeShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"GET https://example.com/ä":  "GET https://example.com/ä",
		"a\x00b\r\nc\x1b[31m\x7f":    "a?b??c?[31m?",
		"\u009b31m\u202eevil\u2028x": "?31m?evil?x",
		"cut\xff":                    "cut?",
	} {
		if got := storetext.Label(text, 100); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := storetext.Label("äöü", 3); got != "ä?" { // a character that the end cuts
		t.Errorf("%q", got)
	}
}

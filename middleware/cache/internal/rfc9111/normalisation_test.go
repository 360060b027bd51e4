package rfc9111

import (
	"testing"
)

// RFC 9110 §12.5.4: a response in the language that a request ranks first is what the server would choose.
func TestSelectionByPreferredLanguage(t *testing.T) {
	for _, test := range []struct {
		accept, content string
		want            bool
	}{
		{"fr;q=0.5, de;q=1.0", "de", true}, {"fr;q=0.5, de", "DE", true}, {"fr, de", "de", false}, {"fr, de;q=0.9", "de", false},
		{"de;q=0", "de", false}, {"de;q=2", "de", false}, {"de", "de, fr", false}, {"", "de", false},
	} {
		if got := prefersLanguage([]string{test.accept}, []string{test.content}); got != test.want {
			t.Errorf("%q for %q: %v, want %v", test.content, test.accept, got, test.want)
		}
	}
}

package parseerror_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/plyhttp/ply/internal/parseerror"
)

func TestReasonQuotesNothingOfTheURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://u:hun/ter2@h/":    "invalid port REDACTED after host",
		"http://u:hunter2":        "invalid port REDACTED after host",
		"http://u:hun%zzter2@h/":  "invalid URL escape REDACTED",
		"http://[::1:hunter2]/":   "invalid host: ParseAddr(REDACTED)",
		"http://hunter2 h/":       "invalid character REDACTED in host name",
		"://u:hunter2@h/":         "missing protocol scheme",
		"http://u:hunter2@h/\x7f": "net/url: invalid control character in URL",
	} {
		_, err := url.Parse(in)
		if got := parseerror.Reason(err, "REDACTED"); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
	if got := parseerror.Reason(errors.New(`one " mark`), "REDACTED"); got != `one " mark` {
		t.Errorf("one quotation mark: %q", got)
	}
}

package redact_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/plyhttp/ply/redact"
)

func parseError(s string) error {
	_, err := url.Parse(s)
	return err
}

func TestError(t *testing.T) {
	parse, escape := parseError("http://user:pass/word@example.com/"), parseError("http://user:pa%zzss@example.com/")
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"no URL", io.EOF, "EOF"},
		{"question", errors.New("what now? try again"), "what now? try again"},
		{"url.Error", &url.Error{Op: "Get", URL: "http://u:p@h/?k=v", Err: io.EOF}, `Get "http://REDACTED:REDACTED@h/?k=REDACTED": EOF`},
		{"wrapped url.Error", fmt.Errorf("x: %w", &url.Error{Op: "Get", URL: "http://h/?k=v", Err: io.EOF}), `x: Get "http://h/?k=REDACTED": EOF`},
		{"url in text", errors.New("moved to https://u:p@h/p?k=v, sorry"), "moved to https://REDACTED:REDACTED@h/p?k=REDACTED, sorry"},
		{"reference in text", errors.New("moved to /p?token=v"), "moved to /p?token=REDACTED"},
		{"unparsable URL", parse, `parse "REDACTED": invalid port REDACTED after host`},
		{"bad escape", escape, `parse "REDACTED": invalid URL escape REDACTED`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := redact.Error(tt.err)
			if got.Error() != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if !errors.Is(got, tt.err) {
				t.Error("the error is lost")
			}
		})
	}
	if redact.Error(nil) != nil {
		t.Error("nil became an error")
	}
	late := redact.Error(&url.Error{Op: "Get", URL: "http://h/?k=v", Err: context.DeadlineExceeded})
	if timeout, ok := late.(interface{ Timeout() bool }); !ok || !timeout.Timeout() {
		t.Error("the timeout is lost")
	}
}

// net/http and what it is made of quote what they cannot read.
func TestErrorThatQuotesAServerIsRedacted(t *testing.T) {
	for in, want := range map[string]string{
		`net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon: "Set-Cookie sid=hush"`: `net/http: HTTP/1.x transport connection broken: malformed MIME header: missing colon: "REDACTED"`,
		`malformed MIME header line: "Key\x00: hu\"sh"; again`:                                                        `malformed MIME header line: "REDACTED"; again`,
		`malformed HTTP response "hush"`:                                                                              `malformed HTTP response "REDACTED"`,
		`malformed HTTP status code "hush"`:                                                                           `malformed HTTP status code "REDACTED"`,
		`malformed HTTP version "hush"`:                                                                               `malformed HTTP version "REDACTED"`,
		`bad Content-Length "hush"`:                                                                                   `bad Content-Length "REDACTED"`,
		`http: message cannot contain multiple Content-Length headers; got ["hush" "hush"]`:                           `http: message cannot contain multiple Content-Length headers; got ["REDACTED" "REDACTED"]`,
		`unsupported transfer encoding: "hush"`:                                                                       `unsupported transfer encoding: "REDACTED"`,
		`strconv.ParseInt: parsing "hush": invalid syntax`:                                                            `strconv.ParseInt: parsing "REDACTED": invalid syntax`,
		`parsing of nothing`:                                                                                          `parsing of nothing`,
		`parsing "hush""hush": no`:                                                                                    `parsing "REDACTED""REDACTED": no`,
		`parsing "hush", "shown"`:                                                                                     `parsing "REDACTED", "shown"`,
		`malformed HTTP response "hush… and no end`:                                                                   `malformed HTTP response REDACTED`,
	} {
		if got := redact.ErrorText(errors.New(in)); got != want {
			t.Errorf("%s\nreads %s\nwant  %s", in, got, want)
		}
	}
}

// An error that was cleaned shows its text however it is printed, and what is in it is still found.
func TestRedactedErrorPrintsItsText(t *testing.T) {
	inner := textproto.ProtocolError(`malformed MIME header: missing colon: "Set-Cookie sid=hush"`)
	err := redact.Error(fmt.Errorf("x: %w", inner))
	marshaled, _ := json.Marshal(map[string]any{"err": err})
	for _, shown := range []string{
		fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%q", err), fmt.Sprintf("%d", err), fmt.Sprintf("%x", err), string(marshaled),
		fmt.Sprintf("%#v", struct{ Err error }{err}),
	} {
		if strings.Contains(shown, "hush") || strings.Contains(shown, fmt.Sprintf("%x", "hush")) {
			t.Error(shown)
		}
	}
	if !errors.Is(err, inner) {
		t.Error("the error is lost")
	}
}

// late is an error with the method that net/http asks for.
type late bool

func (l late) Error() string { return "token=hush" }
func (l late) Timeout() bool { return bool(l) }

func TestRedactedErrorIsATimeoutIfItsErrorIs(t *testing.T) {
	for err, want := range map[error]bool{late(true): true, late(false): false, errors.New("token=hush"): false} {
		got, ok := redact.Error(err).(interface{ Timeout() bool })
		if !ok || got.Timeout() != want {
			t.Errorf("%T(%v): got %v, %v", err, err, got, ok)
		}
	}
}

package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"retry: GET http://a.test: 1 attempt in 1s (attempts): EOF":                            {Attempts: make([]Outcome, 1), Stop: StopAttempts, last: io.EOF},
		"retry: GET http://a.test: 2 attempts in 1s (attempts): EOF":                           {Attempts: make([]Outcome, 2), Stop: StopAttempts, last: io.EOF},
		"retry: GET http://a.test: 2 attempts in 1s (canceled): status 503: context canceled":  {Attempts: []Outcome{{Status: 500}, {Status: 503}}, Stop: StopCanceled, cause: context.Canceled},
		"retry: GET http://a.test: 0 attempts in 1s (canceled): context canceled":              {Stop: StopCanceled, cause: context.Canceled},
		"retry: GET http://a.test: 1 attempt in 1s (canceled): context canceled":               {Attempts: make([]Outcome, 1), Stop: StopCanceled, last: context.Canceled, cause: context.Canceled},
		"retry: GET http://a.test: 1 attempt in 1s (deadline): EOF: context deadline exceeded": {Attempts: make([]Outcome, 1), Stop: StopDeadline, last: io.EOF, cause: context.DeadlineExceeded},
	} {
		e.Method, e.URL, e.Elapsed = "GET", "http://a.test", time.Second
		if got := e.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if got := fmt.Sprintf("%+v, %q", e, e); got != want+", "+fmt.Sprintf("%q", want) {
			t.Errorf("printed as %s", got)
		}
	}
}

func TestErrorIsATimeoutIfOneOfItsErrorsIs(t *testing.T) {
	plain := errors.New("x")
	for _, tt := range []struct {
		last, cause error
		want        bool
	}{
		{nil, nil, false}, {plain, nil, false}, {plain, plain, false}, {context.DeadlineExceeded, nil, true}, {nil, context.DeadlineExceeded, true}, {plain, context.DeadlineExceeded, true},
	} {
		if got := (&Error{last: tt.last, cause: tt.cause}).Timeout(); got != tt.want {
			t.Errorf("%v, %v: %v", tt.last, tt.cause, got)
		}
	}
}

func TestOriginIsNotUnavailableWithoutAnAttemptThatFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		e    *Error
		want bool
	}{
		"lost":              {&Error{last: io.EOF}, true},
		"the caller left":   {&Error{last: io.EOF, gone: true}, false},
		"Prepare failed":    {&Error{last: io.EOF, Stop: StopPrepare}, false},
		"nothing came back": {&Error{}, false},
	} {
		if got := tt.e.OriginUnavailable(); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCoolDownErrorMatchesADeadlineOnlyIfItIsBeforeTheEnd(t *testing.T) {
	late := &CoolDownError{deadline: true}
	if !errors.Is(late, context.DeadlineExceeded) || errors.Is(late, context.Canceled) || errors.Is(&CoolDownError{}, context.DeadlineExceeded) {
		t.Error("the cool-down matches what it is not")
	}
}

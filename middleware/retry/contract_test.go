package retry

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

type closeCounter struct {
	io.Reader
	n int
}

func (c *closeCounter) Close() error { c.n++; return nil }

// A next layer that breaks the contract of http.RoundTripper breaks nothing else.
func TestAnswerAgainstTheContractOfRoundTripper(t *testing.T) {
	cause := errors.New("x")
	if resp, err := checked(nil, nil); resp != nil || !errors.Is(err, errNothing) {
		t.Errorf("neither: %v, %v", resp, err)
	}
	body := &closeCounter{Reader: strings.NewReader("x")}
	if resp, err := checked(&http.Response{Body: body}, cause); resp != nil || !errors.Is(err, errBoth) || !errors.Is(err, cause) || body.n != 1 {
		t.Errorf("both: %v, %v, body closed %d times", resp, err, body.n)
	}
	if resp, err := checked(&http.Response{}, cause); resp != nil || !errors.Is(err, errBoth) {
		t.Errorf("both, without a body: %v, %v", resp, err)
	}
	if resp, err := checked(&http.Response{}, nil); err != nil || resp.Body != http.NoBody {
		t.Errorf("no body: %v, %v", resp, err)
	}
	if resp, err := checked(&http.Response{Body: body}, nil); err != nil || resp.Body != body || body.n != 1 {
		t.Errorf("a body: %v, %v", resp, err)
	}
	if resp, err := checked(nil, cause); resp != nil || err != cause {
		t.Errorf("an error: %v, %v", resp, err)
	}
}

func TestHeaderOfAnAttemptIsItsOwn(t *testing.T) {
	r := &http.Request{}
	ownHeader(r).Set("A", "1")
	before := r.Header
	ownHeader(r).Set("A", "2")
	if before.Get("A") != "1" || r.Header.Get("A") != "2" {
		t.Errorf("%v, %v", before, r.Header)
	}
}

func TestBodyThatWasReadIsNoted(t *testing.T) {
	var tr trace
	body := tr.watched(io.NopCloser(strings.NewReader("x")))
	if body.Read(nil); tr.read.Load() {
		t.Error("a read of nothing counts")
	}
	if body.Read(make([]byte, 1)); !tr.read.Load() {
		t.Error("a byte that was read does not count")
	}
}

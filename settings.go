package ply

import (
	"context"
	"net/http"

	"github.com/plyhttp/ply/internal/body"
)

// settings are the choices of one request that are not in the request itself. They travel in its context,
// from hop to hop of a redirect, and are never sent.
type settings struct {
	timeouts     Timeouts
	maxRedirects int // 0: not chosen; noRedirects: none
	status       func(*http.Response) error
	statusChosen bool
	progress     func(received, total int64)
	variant      variant
	transport    *variantTransport // what variant comes to, once the client has resolved it
	single       bool              // one exchange, no redirects: see Client.RoundTrip
	around       bool              // single, and an *http.Client follows redirects: see Client.HTTPClient

	// resolved says that a client has completed the settings and acts on them.
	// They are not those of another request that somebody makes with the same context.
	resolved bool
}

const noRedirects = -1

type settingsKey struct{}

func withSettings(ctx context.Context, s *settings) context.Context {
	return context.WithValue(ctx, settingsKey{}, s)
}

// settingsOf returns what the context carries; nil says that nothing was chosen. The result is read only.
func settingsOf(ctx context.Context) *settings {
	s, _ := ctx.Value(settingsKey{}).(*settings)
	return s
}

// over returns s completed by the defaults d.
func (s settings) over(d settings) settings {
	s.timeouts = s.timeouts.over(d.timeouts)
	if s.maxRedirects == 0 {
		s.maxRedirects = d.maxRedirects
	}
	if !s.statusChosen {
		s.status, s.statusChosen = d.status, d.statusChosen
	}
	if s.progress == nil {
		s.progress = d.progress
	}
	s.variant = s.variant.over(d.variant)
	return s
}

// CheckStatus makes [Client.Do] and the verbs look at each final response with check and fail with the error that it returns,
// the body closed. check may read the body but not close it. The usual one is [Below400]:
//
//	ply.CheckStatus(ply.Below400)
//
// A nil check takes back one given as a default. The check sees answers from a cache like any other.
func CheckStatus(check func(*http.Response) error) RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.status, d.settings.statusChosen = check, true
		return nil
	}}
}

// DownloadProgress calls f as the body of the response is read, with the bytes received so far and
// the length that was announced, -1 if none was. f runs on the goroutine that reads.
func DownloadProgress(f func(received, total int64)) RequestOption {
	return RequestOption{func(d *draft) error {
		d.settings.progress = f
		return nil
	}}
}

// checked returns resp if the check of [CheckStatus] lets it pass, and closes it otherwise.
func (s *settings) checked(resp *http.Response) (*http.Response, error) {
	if s.status == nil {
		return resp, nil
	}
	err := unfollowed(resp)
	if err == nil {
		err = s.status(resp)
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (s *settings) reportProgress(resp *http.Response) {
	if s.progress == nil || resp.StatusCode == http.StatusSwitchingProtocols || !hasBody(resp) {
		return
	}
	var received int64
	total := resp.ContentLength
	resp.Body = body.Watch(resp.Body, body.Hooks{Read: func(n int, err error) error {
		received += int64(n)
		s.progress(received, total)
		return err
	}})
}

package cli

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/plyhttp/ply/har"
	"github.com/plyhttp/ply/plytest/tape"
	"github.com/plyhttp/ply/redact"
)

// maxHARBody bounds what an archive keeps of each body.
const maxHARBody = 32 << 20

// harRecorder records the exchanges with servers: it is the layer next to the transport, so that each redirect and each attempt is one.
type harRecorder struct {
	start time.Time
	file  *os.File

	mu        sync.Mutex
	exchanges []*tape.Exchange // each with what mu guards until its body has ended
}

// newHARRecorder returns a recorder for the file at path, which is opened before anything is sent: what cannot be kept is not done. save closes it.
// The file is for the user alone: even without secrets it says what the user did.
func newHARRecorder(path string) (*harRecorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &harRecorder{start: time.Now(), file: f}, nil
}

func (h *harRecorder) middleware(next http.RoundTripper) http.RoundTripper {
	return harLayer{h, next}
}

// harLayer is the recorder in a chain.
type harLayer struct {
	recorder *harRecorder
	next     http.RoundTripper
}

func (l harLayer) Unwrap() http.RoundTripper { return l.next }

func (l harLayer) RoundTrip(r *http.Request) (*http.Response, error) {
	h := l.recorder
	began := time.Now()
	x := &tape.Exchange{At: began.Sub(h.start), Request: tape.Request{Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone(), Body: bodyOf(r)}}
	if r.Host != r.URL.Host {
		x.Request.Host = r.Host
	}
	h.mu.Lock()
	h.exchanges = append(h.exchanges, x)
	h.mu.Unlock()
	resp, err := l.next.RoundTrip(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		x.Failure = &tape.Failure{At: time.Since(began), Kind: tape.KindOf(err, false), Text: redact.ErrorText(err)}
		return nil, err
	}
	headerAt := time.Now()
	x.Response = &tape.Response{Status: resp.StatusCode, Proto: resp.Proto, Header: resp.Header.Clone(), Wait: headerAt.Sub(began),
		Length: resp.ContentLength, Uncompressed: resp.Uncompressed}
	if resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = &harBody{ReadCloser: resp.Body, recorder: h, exchange: x, began: headerAt}
	}
	return resp, nil
}

// bodyOf returns a copy of what r sends, as far as it can be read again.
func bodyOf(r *http.Request) []byte {
	if r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxHARBody))
	if err != nil {
		return nil
	}
	return data
}

// harBody copies a body as it is read.
type harBody struct {
	io.ReadCloser
	recorder *harRecorder
	exchange *tape.Exchange
	began    time.Time
	size     int
}

func (b *harBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.recorder.mu.Lock()
	defer b.recorder.mu.Unlock()
	if n > 0 && b.size < maxHARBody {
		b.exchange.Response.Chunks = append(b.exchange.Response.Chunks, tape.Chunk{At: time.Since(b.began), Data: bytes.Clone(p[:n])})
		if b.size += n; b.size >= maxHARBody {
			b.exchange.Failure = &tape.Failure{At: time.Since(b.began), Kind: tape.FailureOther, Text: "the archive keeps no more of the body"}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && b.exchange.Failure == nil {
		b.exchange.Failure = &tape.Failure{At: time.Since(b.began), Kind: tape.KindOf(err, true), Text: redact.ErrorText(err)}
	}
	return n, err
}

// save writes the archive in place of what the file had, and closes it.
func (h *harRecorder) save(secrets bool) (err error) {
	defer func() {
		if closeErr := h.file.Close(); err == nil {
			err = closeErr
		}
	}()
	if info, statErr := h.file.Stat(); statErr == nil && info.Mode().IsRegular() {
		if err := h.file.Truncate(0); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &tape.Tape{Start: h.start, Exchanges: h.exchanges}
	return t.WriteHAR(h.file, har.Options{KeepSecrets: secrets, Creator: har.Creator{Name: "ply", Version: version()}})
}

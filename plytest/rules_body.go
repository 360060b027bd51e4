package plytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing/iotest"
	"time"
)

func randomText(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return string(b)
}

// bodyKind is a body of a certain text that comes and is read in a certain way.
type bodyKind struct {
	what   string
	text   string
	source func(string) io.Reader
	read   func(io.Reader) (string, error)
	sized  bool // with Content-Length
}

func (k *bodyKind) length() int64 {
	if k.sized {
		return int64(len(k.text))
	}
	return -1
}

func (c *check) bytesUnchanged() {
	large, small := randomText(256<<10+17), randomText(700)
	kinds := []bodyKind{
		{"with Content-Length", large, newReader, readAll, true},
		{"without Content-Length", large, newReader, readAll, false},
		{"arriving byte by byte", small, func(s string) io.Reader { return iotest.OneByteReader(newReader(s)) }, readAll, true},
		{"read byte by byte", small, newReader, func(r io.Reader) (string, error) { return readAll(iotest.OneByteReader(r)) }, true},
		{"ending with its last bytes", small, func(s string) io.Reader { return iotest.DataErrReader(newReader(s)) }, readAll, true},
		{"copied", large, newReader, copyAll, true},
		{"empty", "", newReader, readAll, true},
	}
	for _, k := range kinds {
		for _, directive := range []string{"max-age=600", "no-store"} {
			c.compareBytes(k, directive)
		}
	}
	for _, directive := range []string{"max-age=600", "no-store"} {
		c.truncated(large, directive, true)
		c.truncated(large, directive, false)
	}
}

func newReader(s string) io.Reader { return strings.NewReader(s) }

func readAll(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

func copyAll(r io.Reader) (string, error) {
	var b bytes.Buffer
	_, err := io.Copy(&b, r)
	return b.String(), err
}

func bodyResponse(r io.Reader, length int64, directive string) *http.Response {
	resp := answer(http.StatusOK, "", "Content-Type", "application/octet-stream", "Cache-Control", directive)
	resp.Body = io.NopCloser(r)
	resp.ContentLength = length
	if length >= 0 {
		resp.Header.Set("Content-Length", fmt.Sprint(length))
	}
	return resp
}

// compareBytes reads a body through the layer twice, the second time perhaps from its store.
func (c *check) compareBytes(k bodyKind, directive string) {
	what, text := "a body "+k.what, k.text
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := bodyResponse(k.source(text), k.length(), directive)
		if !k.sized {
			withTrailer(resp)
		}
		return resp, nil
	}}
	h, url := c.layer(next), newURL()
	for n := range 2 {
		resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
		if err != nil || !next.called() {
			return
		}
		got, err := k.read(resp.Body)
		resp.Body.Close()
		c.settle()
		switch {
		case err != nil:
			c.breach(BytesUnchanged, "%s (%s): reading it failed: %v", what, directive, err)
		case got != text:
			c.breach(BytesUnchanged, "%s (%s): of %d bytes %d came, %d of them right", what, directive, len(text), len(got), common(got, text))
		case resp.ContentLength >= 0 && resp.ContentLength != int64(len(text)):
			c.breach(BytesUnchanged, "%s (%s): ContentLength is %d, the body has %d bytes", what, directive, resp.ContentLength, len(text))
		case !k.sized && n == 0 && resp.Trailer.Get("X-Sum") == "": // RFC 9110 §6.5.1: what answers from a store may have dropped it
			c.breach(BytesUnchanged, "%s (%s): at its end the trailer of the response is missing: hand on the map that next fills in then, not a copy", what, directive)
		}
	}
}

// withTrailer announces a trailer, and sets it when the body has been read, as http.Transport does.
func withTrailer(resp *http.Response) {
	resp.Trailer = http.Header{"X-Sum": nil}
	resp.Body = &trailed{ReadCloser: resp.Body, trailer: resp.Trailer}
}

type trailed struct {
	io.ReadCloser
	trailer http.Header
}

func (b *trailed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.trailer.Set("X-Sum", "right")
	}
	return n, err
}

func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// truncated sends half a body. A layer that gets the rest by other means may return it whole.
func (c *check) truncated(text, directive string, sized bool) {
	length := (&bodyKind{text: text, sized: sized}).length()
	half := len(text) / 2
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		return bodyResponse(io.MultiReader(newReader(text[:half]), brokenReader{}), length, directive), nil
	}}
	h, url := c.layer(next), newURL()
	for range 2 {
		resp, err := c.do(h, newRequest(context.Background(), http.MethodGet, url, nil))
		if err != nil || !next.called() || resp.StatusCode != http.StatusOK {
			continue
		}
		got, err := readAll(resp.Body)
		resp.Body.Close()
		c.settle()
		if err == nil && got != text {
			c.breach(BytesUnchanged, "a body cut short (%s): %d of %d bytes look complete", directive, len(got), len(text))
		}
	}
}

// eventBody has its second event only when the first has arrived.
type eventBody struct {
	c       *check
	events  []string
	arrived chan struct{}
	early   *atomic.Bool
	once    sync.Once
	closed  chan struct{}
	sent    int
}

func (b *eventBody) Read(p []byte) (int, error) {
	if b.sent == len(b.events) {
		return 0, io.EOF
	}
	if b.sent > 0 {
		b.await()
	}
	n := copy(p, b.events[b.sent])
	if b.events[b.sent] = b.events[b.sent][n:]; b.events[b.sent] == "" {
		b.sent++
	}
	return n, nil
}

func (b *eventBody) await() {
	timer := time.NewTimer(b.c.giveUp())
	defer timer.Stop()
	select {
	case <-b.arrived:
	case <-b.closed:
	case <-timer.C:
		b.early.Store(true)
	}
}

func (b *eventBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (c *check) bodyStreamed() {
	for _, header := range [][]string{
		{"Content-Type", "text/event-stream", "Cache-Control", "no-store"},
		{"Content-Type", "text/plain", "Cache-Control", "max-age=600"},
	} {
		arrived, early := make(chan struct{}), &atomic.Bool{}
		next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
			consume(req)
			resp := answer(http.StatusOK, "", header...)
			resp.ContentLength = -1
			resp.Body = &eventBody{c: c, events: []string{"data: 1\n\n", "data: 2\n\n"}, arrived: arrived, early: early, closed: make(chan struct{})}
			return resp, nil
		}}
		resp, err := c.do(c.layer(next), newRequest(context.Background(), http.MethodGet, newURL(), nil))
		if err == nil {
			resp.Body.Read(make([]byte, 64))
			close(arrived)
			drain(resp)
		}
		if early.Load() {
			c.errorf("%s: the first part of a body does not arrive before the server sends the second", header[1])
		}
	}
}

func (c *check) upgradeKept() {
	client, server := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(server, server)
		server.Close()
	}()
	next := &transport{answer: func(req *http.Request, _ int) (*http.Response, error) {
		consume(req)
		resp := answer(http.StatusSwitchingProtocols, "", "Connection", "Upgrade", "Upgrade", "echo")
		resp.Body = client
		return resp, nil
	}}
	defer client.Close()
	req := newRequest(context.Background(), http.MethodGet, newURL(), nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := c.do(c.layer(next), req)
	if err != nil || !next.called() {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.errorf("a 101 became a %d", resp.StatusCode)
		return
	}
	w, ok := resp.Body.(io.Writer)
	if !ok {
		c.errorf("the body of a 101 (%T) is no io.Writer", resp.Body)
		return
	}
	got := make([]byte, 4)
	go io.WriteString(w, "ping")
	if n, err := io.ReadFull(resp.Body, got); string(got) != "ping" {
		c.errorf("bytes do not go both ways: wrote ping, read %q, %v", got[:n], err)
	}
	resp.Body.Close()
	if !c.eventually(func() bool { return isClosed(ended) }) {
		c.errorf("closing the body of a 101 does not close the connection")
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

package ply_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
)

// The reader is closed once, whatever happens to the request.
func TestCallersReaderIsClosedOnce(t *testing.T) {
	server := receive(t)
	boom := errors.New("boom")
	refuse := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		req.Body.Close()
		req.Body.Close() // once too often, as layers do
		return nil, boom
	})
	answer := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		req.Body.Close()
		return reply(req, 200, nil, "from a cache"), nil
	})
	twice := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		if req.GetBody != nil {
			again, err := req.GetBody()
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, again)
			require.NoError(t, errors.Join(err, again.Close()))
		}
		return http.DefaultTransport.RoundTrip(req)
	})
	for _, path := range []struct {
		name string
		do   func(t *testing.T, body ply.RequestOption) error
	}{
		{"sent", send(ply.Options{BaseURL: server.URL}, "/")},
		{"sent compressed", send(ply.Options{BaseURL: server.URL}, "/", ply.CompressBody("gzip"))},
		{"sent with progress", send(ply.Options{BaseURL: server.URL}, "/", ply.Chunked(), ply.UploadProgress(func(_, _ int64) {}))},
		{"redirected", send(ply.Options{BaseURL: server.URL}, "/again")},
		{"attempted twice", send(ply.Options{BaseURL: server.URL, Transport: twice}, "/")},
		{"answered unread", send(ply.Options{BaseURL: server.URL, Transport: answer}, "/")},
		{"refused by the transport", send(ply.Options{BaseURL: server.URL, Transport: refuse}, "/")},
		{"relative URL without a base", send(ply.Options{}, "/")},
		{"no URL", send(ply.Options{}, "http://[::1")},
		{"a later option fails", send(ply.Options{BaseURL: server.URL}, "/", ply.CompressBody("none"))},
		{"a second body", send(ply.Options{BaseURL: server.URL}, "/", ply.BodyBytes(nil))},
		{"a contradicting header", send(ply.Options{BaseURL: server.URL}, "/", ply.Chunked(), ply.SetHeader("Content-Length", "3"))},
		{"client closed", func(t *testing.T, body ply.RequestOption) error {
			c := newClient(t, ply.Options{BaseURL: server.URL})
			c.Close()
			_, err := c.Post(t.Context(), "/", body)
			return err
		}},
		{"cancelled", func(t *testing.T, body ply.RequestOption) error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(ctx, "/", body)
			return err
		}},
		{"refused as a second body", func(t *testing.T, body ply.RequestOption) error {
			_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/", ply.BodyBytes(nil), body)
			return err
		}},
	} {
		for _, kind := range []string{"stream", "seekable"} {
			for _, as := range []string{"BodyReader", "part"} {
				t.Run(path.name+", "+kind+" as "+as, func(t *testing.T) {
					var r io.Reader
					var closes *atomic.Int32
					if kind == "stream" {
						s := &stream{Reader: strings.NewReader("abc")}
						r, closes = s, &s.closes
					} else {
						s := &seekable{Reader: strings.NewReader("abc")}
						r, closes = s, &s.closes
					}
					option := ply.BodyReader(r)
					if as == "part" {
						option = ply.BodyMultipart(ply.PartField("a", "1"), ply.PartReader("r", "", r))
					}
					err := path.do(t, option)
					if n := closes.Load(); n != 1 {
						t.Errorf("closed %d times, want once (error: %v)", n, err)
					}
				})
			}
		}
	}
}

func send(o ply.Options, target string, more ...ply.RequestOption) func(*testing.T, ply.RequestOption) error {
	return func(t *testing.T, body ply.RequestOption) error {
		resp, err := newClient(t, o).Post(t.Context(), target, append([]ply.RequestOption{body}, more...)...)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
}

func TestEmptyReaderIsClosedWhenTheRequestIsMade(t *testing.T) {
	empty := &seekable{Reader: strings.NewReader("")}
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(empty))
	require.NoError(t, err)
	if req.Body != http.NoBody || empty.closes.Load() != 1 {
		t.Errorf("body %T, closed %d times", req.Body, empty.closes.Load())
	}
}

func TestCallersReaderStaysOpenWhileAnAttemptReads(t *testing.T) {
	s := &seekable{Reader: strings.NewReader("abcdef")}
	var late io.ReadCloser
	early := ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
		late = req.Body // a transport may go on reading after the response
		return reply(req, 200, nil, "early"), nil
	})
	c := newClient(t, ply.Options{Transport: early})
	req, err := c.NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(s))
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	if s.closes.Load() != 0 {
		t.Fatal("closed while an attempt reads")
	}
	got, err := io.ReadAll(late)
	if string(got) != "abcdef" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	late.Close()
	late.Close()
	if n := s.closes.Load(); n != 1 {
		t.Errorf("closed %d times", n)
	}
	if _, err := req.GetBody(); err == nil || !strings.Contains(err.Error(), "make a new request") {
		t.Errorf("opened after the end of its call: %v", err)
	}
}

func TestAttemptsReadIndependently(t *testing.T) {
	want := strings.Repeat("0123456789", 10_000)
	f := open(t, file(t, "x", "???"+want), 3)
	req, err := newClient(t, ply.Options{}).NewRequest(t.Context(), "POST", "http://example.com/", ply.BodyReader(f))
	require.NoError(t, err)
	var wg sync.WaitGroup
	read := func(rc io.ReadCloser) {
		defer rc.Close()
		if got, err := io.ReadAll(iotest.HalfReader(rc)); string(got) != want || err != nil {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	}
	wg.Go(func() { read(req.Body) })
	for range 8 {
		wg.Go(func() {
			rc, err := req.GetBody()
			if err != nil {
				t.Error(err)
				return
			}
			read(rc)
		})
	}
	wg.Wait()
	if at, err := f.Seek(0, io.SeekCurrent); at != 3 || err != nil {
		t.Errorf("the file stands at %d, %v; want 3", at, err)
	}
}

func TestErrorOfTheReaderReachesTheCaller(t *testing.T) {
	boom := errors.New("boom")
	broken := func() io.Reader { return io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(boom)) }
	for name, opts := range map[string][]ply.RequestOption{
		"reader":    {ply.BodyReader(broken())},
		"gzip":      {ply.BodyReader(broken()), ply.CompressBody("gzip")},
		"multipart": {ply.BodyMultipart(ply.PartReader("r", "", broken()))},
		"part func": {ply.BodyMultipart(ply.PartFunc("r", "", 10, func() (io.ReadCloser, error) { return io.NopCloser(broken()), nil }))},
		"opener":    {ply.BodyMultipart(ply.PartField("a", "1"), ply.PartFunc("r", "", 10, func() (io.ReadCloser, error) { return nil, boom }))},
	} {
		t.Run(name, func(t *testing.T) {
			server := receive(t)
			_, err := newClient(t, ply.Options{BaseURL: server.URL}).Post(t.Context(), "/", opts...)
			if !errors.Is(err, boom) {
				t.Errorf("error %v", err)
			}
			server.Close()
			for _, got := range server.all() {
				if got.err == nil {
					t.Errorf("the server takes %q for complete", got.Body)
				}
			}
		})
	}
}

type nilFunc func([]byte) (int, error)

func (f nilFunc) Read(p []byte) (int, error) { return f(p) }

type nilMap map[string]string

func (m nilMap) Read([]byte) (int, error) { m["x"] = "y"; return 0, io.EOF }

func TestTypedNilReaderIsAnEmptyBody(t *testing.T) {
	for _, r := range []io.Reader{
		nil, (*bytes.Buffer)(nil), (*bytes.Reader)(nil), (*strings.Reader)(nil), (*os.File)(nil), (*closeCounter)(nil), (*io.SectionReader)(nil),
		nilFunc(nil), nilMap(nil), http.NoBody,
	} {
		transport := &recorder{}
		c := newClient(t, ply.Options{Transport: transport})
		if err := ply.Discard(c.Post(t.Context(), "http://a.test/", ply.BodyReader(r))); err != nil || transport.last().Body != "" {
			t.Errorf("%T: %v, sent %q", r, err, transport.last().Body)
		}
		if err := ply.Discard(c.Post(t.Context(), "http://a.test/", ply.BodyMultipart(ply.PartReader("f", "f", r)))); err != nil || !strings.Contains(transport.last().Body, "\r\n\r\n\r\n--") {
			t.Errorf("part of %T: %v, sent %q", r, err, transport.last().Body)
		}
	}
	for _, size := range []int64{-1, 0} {
		transport := &recorder{}
		part := ply.PartFunc("f", "f", size, func() (io.ReadCloser, error) { return (*os.File)(nil), nil })
		if err := ply.Discard(newClient(t, ply.Options{Transport: transport}).Post(t.Context(), "http://a.test/", ply.BodyMultipart(part))); err != nil {
			t.Errorf("PartFunc of %d bytes: %v", size, err)
		}
	}
}

package tape_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest/tape"
)

// class names what a program sees of an error.
func class(err error) string {
	for name, target := range map[string]error{
		"end": io.EOF, "eof": io.ErrUnexpectedEOF, "reset": syscall.ECONNRESET, "timeout": os.ErrDeadlineExceeded, "deadline": context.DeadlineExceeded, "canceled": context.Canceled,
		"left": tape.ErrClosed, "closed": http.ErrBodyReadAfterClose,
	} {
		if errors.Is(err, target) {
			return name + ": " + err.Error()
		}
	}
	return fmt.Sprint(err)
}

// watch reads a body in pieces of at most n bytes until an error, and once more, and returns what it saw when.
func watch(begun time.Time, resp *http.Response, n int) (seen []string) {
	p := make([]byte, n)
	read := func() (string, error) {
		n, err := resp.Body.Read(p)
		return fmt.Sprintf("%q %s", p[:n], class(err)), err
	}
	for {
		what, err := read()
		seen = append(seen, time.Since(begun).String()+" "+what)
		if err != nil {
			break
		}
	}
	time.Sleep(time.Minute)
	again, _ := read()
	return append(seen, again)
}

// TestBodyCutAnywhereIsReplayedAsItCame cuts a body at each of its bytes with each kind of failure, and reads it in pieces of several sizes.
func TestBodyCutAnywhereIsReplayedAsItCame(t *testing.T) {
	mine(t)
	const body = "äöü\r\n\x00\xff<&>"
	ends := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, os.ErrDeadlineExceeded, context.DeadlineExceeded, context.Canceled, errors.New("http2: stream closed")}
	dir := t.TempDir()
	n := 0
	for cut := range len(body) + 1 {
		for _, end := range ends {
			for _, size := range []int{1, 3, 512} {
				n++
				path := filepath.Join(dir, fmt.Sprint(n))
				var seen [2][]string
				for i := range seen {
					synctest.Test(t, func(t *testing.T) {
						server := handler(func(r *http.Request) (*http.Response, error) {
							time.Sleep(7 * time.Millisecond)
							f := &flow{nil, 3 * time.Millisecond, end, r.Context()}
							for rest := body[:cut]; rest != ""; rest = rest[min(5, len(rest)):] {
								f.pieces = append(f.pieces, rest[:min(5, len(rest))])
							}
							return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: int64(len(body)), Body: f, Request: r}, nil
						})
						require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
							r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
							begun := time.Now()
							resp, err := s.Middleware(server).RoundTrip(r)
							require.NoError(t, err)
							seen[i] = watch(begun, resp, size)
						}))
					})
				}
				require.Equal(t, seen[0], seen[1], "cut at %d with %v, in pieces of %d", cut, end, size)
			}
		}
	}
}

// TestEndOfABodyIsTheFirstOne reads on after the end, and after Close: what that says is not what came.
func TestEndOfABodyIsTheFirstOne(t *testing.T) {
	mine(t)
	for name, end := range map[string]error{"whole": io.EOF, "reset": syscall.ECONNRESET} {
		path := filepath.Join(t.TempDir(), "a.tape")
		server := handler(func(r *http.Request) (*http.Response, error) {
			body := &ended{Reader: io.MultiReader(strings.NewReader("abc"), failing{end})}
			return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: body, Request: r}, nil
		})
		for range 2 {
			require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
				resp, err := s.Middleware(server).RoundTrip(r)
				require.NoError(t, err)
				b, err := io.ReadAll(resp.Body)
				if string(b) != "abc" || end == io.EOF && err != nil || end != io.EOF && !errors.Is(err, end) {
					t.Errorf("%s: %q, %v", name, b, err)
				}
				resp.Body.Close()
				_, err = resp.Body.Read(make([]byte, 1))
				require.ErrorIs(t, err, http.ErrBodyReadAfterClose, name)
			}))
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// ended is a body that has another error once it is closed.
type ended struct {
	io.Reader
	closed bool
}

func (e *ended) Read(p []byte) (int, error) {
	if e.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return e.Reader.Read(p)
}

func (e *ended) Close() error { e.closed = true; return nil }

func TestCloseEndsAReadThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 200, Length: -1, Chunks: []tape.Chunk{{At: time.Hour, Data: []byte("late")}}}}}}
		p, err := tp.Player(tape.PlayerOptions{})
		require.NoError(t, err)
		r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		begun := time.Now()
		time.AfterFunc(time.Second, func() { resp.Body.Close(); resp.Body.Close() })
		n, err := resp.Body.Read(make([]byte, 9))
		require.Zero(t, n)
		require.ErrorIs(t, err, http.ErrBodyReadAfterClose)
		require.Equal(t, time.Second, time.Since(begun))
	})
}

func TestTrailersComeThoughALayerHasTakenThemAway(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 200, Length: -1, Trailer: http.Header{"X-Sum": {"7"}}}}}}
	p, err := tp.Player(tape.PlayerOptions{})
	require.NoError(t, err)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
	resp, err := p.RoundTrip(r)
	require.NoError(t, err)
	announced := resp.Trailer
	resp.Trailer = nil
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.Header{"X-Sum": {"7"}}, announced)
}

// TestResponsesWithoutContentHaveNone compares what net/http says of responses without content with what the tape says.
func TestResponsesWithoutContentHaveNone(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	var seen [2][]string
	for i := range seen {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			rt := s.Middleware(handler(func(r *http.Request) (*http.Response, error) {
				status, length := 200, int64(0)
				switch r.URL.Path {
				case "/204":
					status = 204
				case "/304":
					status, length = 304, 17
				case "/head":
					length = 17
				}
				return &http.Response{Status: fmt.Sprintf("%d Own Words", status), StatusCode: status, Header: http.Header{"Content-Length": {fmt.Sprint(length)}}, ContentLength: length, Body: http.NoBody, Request: r}, nil
			}))
			for _, target := range []string{"GET /204", "GET /304", "HEAD /head", "GET /empty"} {
				method, path, _ := strings.Cut(target, " ")
				r, _ := http.NewRequestWithContext(t.Context(), method, "http://h.example"+path, nil)
				resp, err := rt.RoundTrip(r)
				require.NoError(t, err)
				seen[i] = append(seen[i], fmt.Sprint(target, resp.Status, resp.ContentLength, resp.Header, resp.Body == http.NoBody))
			}
		}))
	}
	require.Equal(t, seen[0], seen[1])
}

// TestSwitchedProtocolIsNotOnTheTape: what follows a 101 is no HTTP. A replay says so.
func TestSwitchedProtocolIsNotOnTheTape(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	for i := range 2 {
		require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
			resp, err := s.Middleware(handler(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 101, Header: http.Header{"Upgrade": {"echo"}}, Body: struct {
					io.ReadCloser
					io.Writer
				}{http.NoBody, io.Discard}, Request: r}, nil
			})).RoundTrip(r)
			require.NoError(t, err)
			require.Equal(t, 101, resp.StatusCode)
			conn, ok := resp.Body.(io.ReadWriteCloser)
			require.True(t, ok)
			_, err = conn.Write([]byte("hello"))
			_, readErr := conn.Read(make([]byte, 1))
			if i == 1 {
				require.ErrorIs(t, err, tape.ErrClosed)
				require.ErrorContains(t, err, "Switching Protocols")
				require.ErrorIs(t, readErr, tape.ErrClosed)
			}
		}))
	}
}

func TestEventsAreReplayedWhenTheyCame(t *testing.T) {
	mine(t)
	path := filepath.Join(t.TempDir(), "a.tape")
	var seen [2][]string
	for i := range seen {
		synctest.Test(t, func(t *testing.T) {
			require.Empty(t, run(path, tape.Options{}, func(_ *test, s *tape.Session) {
				rt := s.Middleware(handler(func(r *http.Request) (*http.Response, error) {
					f := &flow{[]string{"id: 1\nda", "ta: one\n\n: still here\n\n", "data: zwei ü\ndata: 2\n", "\n", "data: never ended"}, 250 * time.Millisecond, io.ErrUnexpectedEOF, r.Context()}
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, ContentLength: -1, Body: f, Request: r}, nil
				}))
				r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
				begun := time.Now()
				for event, err := range ply.Events(rt.RoundTrip(r)) {
					seen[i] = append(seen[i], fmt.Sprintf("%v %+v %v", time.Since(begun), event, err))
				}
			}))
		})
	}
	require.Len(t, seen[0], 3)
	require.Equal(t, seen[0], seen[1])
}

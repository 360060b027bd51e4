package decode_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/decode"
	"github.com/plyhttp/ply/plytest"
)

// pieces is a body whose pieces come one by one, each when it is released.
type pieces struct {
	arriving chan []byte
	rest     []byte
	closed   chan struct{}
	closes   atomic.Int32
	reads    atomic.Int32 // after the close
}

func newPieces() *pieces { return &pieces{arriving: make(chan []byte), closed: make(chan struct{})} }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.closes.Load() > 0 {
			p.reads.Add(1)
		}
		select {
		case next, ok := <-p.arriving:
			if !ok {
				return 0, io.EOF
			}
			p.rest = next
		case <-p.closed:
			return 0, http.ErrBodyReadAfterClose
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pieces) Close() error {
	if p.closes.Add(1) == 1 {
		close(p.closed)
	}
	return nil
}

func TestWhatTheServerHasFlushedCanBeRead(t *testing.T) {
	for _, coding := range allCodings {
		t.Run(coding, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newPieces()
				resp := get(t, layer(decode.Options{}, &fixed{body: src, coding: coding}))
				var out bytes.Buffer
				enc := encoder(coding, &out)
				for i := range 5 {
					event := fmt.Sprintf("data: event %d\n\n", i)
					io.WriteString(enc, event)
					enc.Flush()
					sent := bytes.Clone(out.Bytes())
					out.Reset()
					go func() { src.arriving <- sent }()
					got := make([]byte, len(event))
					if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
						t.Fatalf("event %d: %q, %v", i, got, err)
					}
				}
				enc.Close()
				go func() {
					src.arriving <- out.Bytes()
					close(src.arriving)
				}()
				if rest, err := readAll(resp); err != nil || len(rest) > 0 {
					t.Errorf("at the end: %q, %v", rest, err)
				}
			})
		})
	}
}

// A whole member of gzip can be read though nothing says whether another follows; so can the frame of zstd, and the last bytes of any content.
func TestTheEndOfContentIsNotWaitedForToReadIt(t *testing.T) {
	content := text(2, 3000)
	for _, coding := range allCodings {
		t.Run(coding, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newPieces()
				resp := get(t, layer(decode.Options{}, &fixed{body: src, coding: coding}))
				go func() { src.arriving <- encode(content, coding) }()
				got := make([]byte, len(content))
				if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, content) {
					t.Fatal(err)
				}
				close(src.arriving)
				if n, err := resp.Body.Read(got); n != 0 || err != io.EOF {
					t.Errorf("at the end: %d bytes, %v", n, err)
				}
				resp.Body.Close()
			})
		})
	}
}

func TestReadsOfAnySizeGiveTheSame(t *testing.T) {
	content := text(3, 70000)
	for _, coding := range allCodings {
		whole := encode(content, coding)
		for name, in := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "ending with its last bytes": iotest.DataErrReader, "halves": iotest.HalfReader,
		} {
			resp := get(t, layer(decode.Options{}, &fixed{body: io.NopCloser(in(bytes.NewReader(whole))), coding: coding}))
			got, err := io.ReadAll(in(resp.Body))
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %s: %d bytes, %v", coding, name, len(got), err)
			}
		}
	}
}

func TestNothingIsReadBeforeTheCallerReads(t *testing.T) {
	src := &counted{Reader: bytes.NewReader(encode(text(4, 1000), decode.Gzip))}
	resp := get(t, layer(decode.Options{}, &fixed{body: src, coding: decode.Gzip}))
	if n, err := resp.Body.Read(nil); n != 0 || err != nil || src.reads != 0 {
		t.Errorf("%d reads before the first; a read of nothing gave %d, %v", src.reads, n, err)
	}
	resp.Body.Close()
	resp.Body.Close()
	if src.reads != 0 || src.closes != 1 {
		t.Errorf("%d reads and %d closes of a body that is not read", src.reads, src.closes)
	}
	if _, err := resp.Body.Read(make([]byte, 1)); err != http.ErrBodyReadAfterClose {
		t.Errorf("a read after Close: %v", err)
	}
}

type counted struct {
	io.Reader
	reads, closes int
	err           error // of Close
}

func (c *counted) Read(p []byte) (int, error) { c.reads++; return c.Reader.Read(p) }
func (c *counted) Close() error               { c.closes++; return c.err }

func TestTheErrorOfCloseIsThatOfTheBodyBelow(t *testing.T) {
	broken := errors.New("broken")
	src := &counted{Reader: bytes.NewReader(nil), err: broken}
	if err := get(t, layer(decode.Options{}, &fixed{body: src, coding: decode.Gzip})).Body.Close(); err != broken {
		t.Errorf("Close: %v, want %v", err, broken)
	}
}

func TestCloseEndsAReadThatWaits(t *testing.T) {
	for _, coding := range allCodings {
		synctest.Test(t, func(t *testing.T) {
			src := newPieces()
			resp := get(t, layer(decode.Options{}, &fixed{body: src, coding: coding}))
			ended := make(chan error)
			go func() {
				_, err := resp.Body.Read(make([]byte, 10))
				ended <- err
			}()
			src.arriving <- encode(text(5, 100), coding)[:1]
			synctest.Wait()
			resp.Body.Close()
			if err := <-ended; err == nil || err == io.EOF {
				t.Errorf("%s: the read ended with %v", coding, err)
			}
			if src.closes.Load() != 1 || src.reads.Load() != 0 {
				t.Errorf("%s: closed %d times, read %d times after that", coding, src.closes.Load(), src.reads.Load())
			}
		})
	}
}

func TestASecondReadAtTheSameTimeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newPieces()
		resp := get(t, layer(decode.Options{}, &fixed{body: src, coding: decode.Gzip}))
		go resp.Body.Read(make([]byte, 10))
		synctest.Wait()
		if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		resp.Body.Close()
	})
}

// A decoder that another body may have by now is not used any more: its content is that of the new body, and nothing of the old one.
func TestDecodersGoFromBodyToBodyWithoutATrace(t *testing.T) {
	for _, coding := range allCodings {
		bodies := make([]plytest.Reply, 60)
		for i := range bodies {
			bodies[i] = encoded(text(i, 1000+i*97), coding)
		}
		h, next := layer(decode.Options{}, plytest.NewOrigin(bodies...)), 0
		open := func() (*http.Response, []byte) {
			want := text(next, 1000+next*97)
			next++
			return get(t, h), want
		}
		var left []*http.Response
		for i := 0; next < len(bodies)-1; i++ {
			resp, want := open()
			switch i % 4 {
			case 0: // read to its end, and closed
				if got, err := readAll(resp); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%s: %d of %d bytes, %v", coding, len(got), len(want), err)
				}
			case 1: // closed in the middle
				io.CopyN(io.Discard, resp.Body, 100)
				resp.Body.Close()
			case 2: // left open
				io.CopyN(io.Discard, resp.Body, 100)
				continue
			case 3: // two at the same time, in turns
				other, otherWant := open()
				takeTurns(t, coding, []*http.Response{resp, other}, [][]byte{want, otherWant})
			}
			left = append(left, resp)
			for _, old := range left {
				if n, err := old.Body.Read(make([]byte, 10)); n != 0 || err == nil {
					t.Fatalf("%s: a body that was closed gave %d bytes, %v", coding, n, err)
				}
				old.Body.Close()
			}
		}
	}
}

func takeTurns(t *testing.T, coding string, resps []*http.Response, want [][]byte) {
	t.Helper()
	got := make([][]byte, len(resps))
	for open := len(resps); open > 0; {
		for i, resp := range resps {
			p := make([]byte, 50)
			n, err := resp.Body.Read(p)
			got[i] = append(got[i], p[:n]...)
			if err != nil && err != http.ErrBodyReadAfterClose {
				resp.Body.Close()
				open--
			}
		}
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s: %d bytes of two bodies that are read in turns, want %d", coding, len(got[i]), len(want[i]))
		}
	}
}

// panicking panics with the second read.
type panicking struct {
	first []byte
	reads int
}

func (p *panicking) Read(b []byte) (int, error) {
	if p.reads++; p.reads == 1 {
		return copy(b, p.first), nil
	}
	panic("below")
}

func (p *panicking) Close() error { return nil }

func TestAPanicBelowPassesAndItsDecoderIsNotUsedAgain(t *testing.T) {
	content := text(6, 100000)
	for _, coding := range allCodings {
		var next http.RoundTripper = &fixed{body: &panicking{first: encode(content, coding)[:200]}, coding: coding}
		h := layer(decode.Options{}, ply.HandlerFunc(func(req *http.Request) (*http.Response, error) { return next.RoundTrip(req) }))
		resp := get(t, h)
		func() {
			defer func() {
				if v := recover(); v != "below" {
					t.Errorf("%s: recovered %v", coding, v)
				}
			}()
			io.Copy(io.Discard, resp.Body)
		}()
		resp.Body.Close()
		next = plytest.NewOrigin(encoded(content, coding))
		if got, err := readAll(get(t, h)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: the next body: %d bytes, %v", coding, len(got), err)
		}
	}
}

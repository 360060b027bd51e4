package stored

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// opening is a store's side of a body that only the store has.
type opening struct{ asked []*Entry }

func (o *opening) OpenBody(e *Entry, _ *http.Request) io.ReadCloser {
	o.asked = append(o.asked, e)
	return io.NopCloser(strings.NewReader("from the store"))
}

// A body in memory is read from there, also if a store has it in chunks; one that is only in chunks is opened.
func TestContentIsReadFromMemoryOrTheStore(t *testing.T) {
	for name, test := range map[string]struct {
		body  Content
		want  string
		size  int64
		store bool
	}{
		"in memory":               {Content{Bytes: []byte("hello")}, "hello", 5, false},
		"in memory and in chunks": {Content{Bytes: []byte("hello"), Chunks: &Chunks{Size: 5}}, "hello", 5, false},
		"in chunks":               {Content{Chunks: &Chunks{Size: 14}}, "from the store", 14, true},
		"a part of it in memory":  {Content{Bytes: []byte("hell"), Chunks: &Chunks{Size: 14}}, "from the store", 14, true},
		"empty":                   {Content{}, "", 0, false},
	} {
		o := &opening{}
		if test.body.Chunks != nil {
			test.body.Chunks.Opener = o
		}
		e := &Entry{Status: 200, Body: test.body}
		e.Derive()
		for _, open := range []func() (io.ReadCloser, int64){
			func() (io.ReadCloser, int64) { return e.Content(&http.Request{}), e.Body.Size() },
			func() (io.ReadCloser, int64) {
				resp := e.Response(&http.Request{}, false, "1", "s", Form{})
				return resp.Body, resp.ContentLength
			},
		} {
			rc, size := open()
			got, err := io.ReadAll(rc)
			if string(got) != test.want || err != nil || size != test.size || e.Body.InMemory() == test.store {
				t.Errorf("%s: %q of %d bytes, in memory: %t, %v", name, got, size, e.Body.InMemory(), err)
			}
		}
		if opened := len(o.asked); opened > 0 != test.store || test.store && o.asked[0] != e {
			t.Errorf("%s: the store was asked for %d bodies", name, opened)
		}
	}
}

// shortWriter takes less than it is given, and says nothing of it.
type shortWriter struct{ n int }

func (s shortWriter) Write(p []byte) (int, error) { return min(s.n, len(p)), nil }

// The reader of a stored body keeps to what io asks of a reader, whether it is read, written on or narrowed, and reads nothing after Close.
func TestContentReaderKeepsToItsContract(t *testing.T) {
	whole := []byte("0123456789")
	if err := iotest.TestReader(&reader{rest: whole}, whole); err != nil {
		t.Error(err)
	}
	var b bytes.Buffer
	r := &reader{rest: whole}
	io.ReadFull(r, make([]byte, 3))
	if n, err := r.WriteTo(&b); n != 7 || err != nil || b.String() != "3456789" {
		t.Errorf("the rest is %d bytes, %q, %v", n, b.String(), err)
	}
	if n, err := r.WriteTo(&b); n != 0 || err != nil {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d bytes, %v", n, err)
	}
	r = &reader{rest: whole}
	if n, err := r.WriteTo(shortWriter{4}); n != 4 || err != io.ErrShortWrite {
		t.Errorf("a short write: %d bytes, %v", n, err)
	}
	if rest, err := io.ReadAll(r); string(rest) != "456789" || err != nil {
		t.Errorf("after a short write: %q, %v", rest, err)
	}
	refused := errors.New("refused")
	if n, err := (&reader{rest: whole}).WriteTo(iotest.TruncateWriter(io.Discard, 0)); n != 10 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n, err := (&reader{rest: whole}).WriteTo(failingWriter{refused}); n != 0 || err != refused {
		t.Errorf("a writer that fails: %d bytes, %v", n, err)
	}
	r = &reader{rest: whole}
	r.Narrow(2, 3)
	if got, err := io.ReadAll(r); string(got) != "234" || err != nil {
		t.Errorf("narrowed: %q, %v", got, err)
	}
	r = &reader{rest: whole}
	r.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("Read after Close: %d, %v", n, err)
	}
	if n, err := r.WriteTo(&b); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("WriteTo after Close: %d, %v", n, err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

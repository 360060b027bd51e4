package body_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/plyhttp/ply/internal/body"
)

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestDoneRunsOnceWithTheOutcome(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		src  io.Reader
		use  func(io.ReadCloser)
		want error
	}{
		{"read to the end", strings.NewReader("abc"), func(b io.ReadCloser) { io.ReadAll(b); b.Close() }, io.EOF},
		{"one byte at a time", iotest.OneByteReader(strings.NewReader("abc")), func(b io.ReadCloser) { io.ReadAll(b); b.Close() }, io.EOF},
		{"end with the last data", iotest.DataErrReader(strings.NewReader("abc")), func(b io.ReadCloser) { io.ReadAll(b); b.Close() }, io.EOF},
		{"error", iotest.ErrReader(broken), func(b io.ReadCloser) { io.ReadAll(b); b.Close() }, broken},
		{"closed early", strings.NewReader("abc"), func(b io.ReadCloser) { b.Close(); b.Close() }, body.ErrClosed},
		{"copied", struct{ io.Reader }{strings.NewReader("abc")}, func(b io.ReadCloser) { io.Copy(io.Discard, b) }, io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []error
			src := &closeCounter{Reader: tt.src}
			tt.use(body.Watch(src, body.Hooks{Done: func(err error) { got = append(got, err) }}))
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("Done ran with %v, want once with %v", got, tt.want)
			}
		})
	}
}

func TestReadSeesEveryByteAndMayReplaceTheError(t *testing.T) {
	mine := errors.New("mine")
	var n int
	b := body.Watch(io.NopCloser(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))), body.Hooks{
		Read: func(m int, err error) error {
			n += m
			if err == iotest.ErrTimeout {
				return mine
			}
			return err
		},
	})
	got, err := io.ReadAll(b)
	if string(got) != "a" || err != mine || n != 1 {
		t.Errorf("got %q, %v and %d bytes seen; want %q, %v and 1", got, err, n, "a", mine)
	}
}

func TestWriterToIsKept(t *testing.T) {
	plain := body.Watch(io.NopCloser(strings.NewReader("abc")), body.Hooks{})
	if _, ok := plain.(io.WriterTo); !ok {
		t.Error("the WriterTo of the body is lost")
	}
	var dst bytes.Buffer
	var seen int
	var done error
	b := body.Watch(io.NopCloser(strings.NewReader("abc")), body.Hooks{
		Read: func(n int, err error) error { seen += n; return err },
		Done: func(err error) { done = err },
	})
	if n, err := io.Copy(&dst, b); n != 3 || err != nil || dst.String() != "abc" || seen != 3 || done != io.EOF {
		t.Errorf("copied %d %q, %v; seen %d, done %v", n, &dst, err, seen, done)
	}
	if _, ok := body.Watch(&closeCounter{Reader: strings.NewReader("")}, body.Hooks{}).(io.WriterTo); ok {
		t.Error("a WriterTo appeared from nowhere")
	}
}

type decoding struct{ io.ReadCloser }

func (decoding) DecodedFrom() (string, int64) { return "br", 7 }

type around struct{ io.ReadCloser }

func (a *around) Unwrap() io.ReadCloser { return a.ReadCloser }

func TestADecodedBodyIsFoundThroughWhatWatchesIt(t *testing.T) {
	plain := io.NopCloser(strings.NewReader(""))
	endless := &around{}
	endless.ReadCloser = endless
	for name, tt := range map[string]struct {
		rc    io.ReadCloser
		found bool
	}{
		"itself":              {decoding{plain}, true},
		"watched":             {body.Watch(body.Watch(decoding{plain}, body.Hooks{}), body.Hooks{}), true},
		"watched, a WriterTo": {body.Watch(&around{decoding{io.NopCloser(strings.NewReader("x"))}}, body.Hooks{}), true},
		"not decoded":         {body.Watch(plain, body.Hooks{}), false},
		"hidden":              {struct{ io.ReadCloser }{decoding{plain}}, false},
		"nothing":             {nil, false},
		"endless":             {endless, false},
	} {
		d := body.DecodedOf(tt.rc)
		if (d != nil) != tt.found {
			t.Errorf("%s: found %v", name, d)
		}
		if d == nil {
			continue
		}
		if codings, encoded := d.DecodedFrom(); codings != "br" || encoded != 7 {
			t.Errorf("%s: %q, %d", name, codings, encoded)
		}
	}
}

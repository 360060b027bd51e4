package stream

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// scriptedBody answers each Read with the next piece, once it may: reads beside one another would get pieces of their own, as those of a transport's body do.
type scriptedBody struct {
	pieces chan string
	wait   map[string]chan struct{} // for a piece to be returned
	last   string
}

func (b *scriptedBody) Read(p []byte) (int, error) {
	piece := <-b.pieces
	if wait := b.wait[piece]; wait != nil {
		<-wait
	}
	if piece == b.last {
		return copy(p, piece), io.EOF
	}
	return copy(p, piece), nil
}

func (b *scriptedBody) Close() error { return nil }

// Close reads the rest of the body. A Read that begins meanwhile must not read beside it: the bytes would be recorded in another order than they came.
func TestRecorderIsNotReadBesideTheDrainOfClose(t *testing.T) {
	for name, meanwhile := range map[string]func(*Recorder) error{
		"a Read":        func(r *Recorder) error { _, err := r.Read(make([]byte, 10)); return err },
		"another Close": func(r *Recorder) error { return r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &scriptedBody{pieces: make(chan string, 3), wait: map[string]chan struct{}{"b": make(chan struct{})}, last: "c"}
				for _, piece := range []string{"a", "b", "c"} {
					b.pieces <- piece
				}
				stored, abandoned := "", ""
				r := newTestRecorder(b, func(body string) { stored = body }, func(reason string) { abandoned = reason })
				r.Read(make([]byte, 10))
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					r.Close()
				}()
				synctest.Wait() // it waits for b
				if err := meanwhile(r); name == "a Read" && !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Errorf("Read after Close: %v", err)
				}
				close(b.wait["b"])
				<-closed
				if stored != "abc" && (stored != "" || abandoned == "") {
					t.Errorf("stored %q, abandoned for %q", stored, abandoned)
				}
			})
		})
	}
}

func newTestRecorder(b io.ReadCloser, commit, abandon func(string)) *Recorder {
	r := NewRecorder(b, BodyCopy{Length: -1, Limit: 1 << 20, Claim: &Claim{Budget: &Budget{Limit: 1 << 20}}})
	r.Ended = func() {}
	r.Commit, r.Abandon = func(body stored.Content) { commit(string(body.Bytes)) }, abandon
	return r
}

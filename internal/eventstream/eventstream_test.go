package eventstream_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/eventstream"
)

type event = eventstream.Event

// outcome is all that a reader makes of a stream.
type outcome struct {
	Events []event
	LastID string
	Retry  time.Duration
	Err    string
}

func read(stream io.Reader, limit int64) outcome {
	r := eventstream.NewReader(stream, "", limit)
	var o outcome
	for {
		e, err := r.Next()
		if err != nil {
			o.LastID = r.LastID()
			o.Retry, _ = r.Retry()
			if err != io.EOF {
				o.Err = err.Error()
			}
			return o
		}
		o.Events = append(o.Events, e)
	}
}

func message(data string) event { return event{Type: "message", Data: data} }

func TestStreamsAreReadToTheLetterOfTheStandard(t *testing.T) {
	for _, tt := range []struct {
		name, stream string
		want         outcome
	}{
		{"nothing", "", outcome{}},
		{"one event", "data: x\n\n", outcome{Events: []event{message("x")}}},
		{"the standard's stock ticker", "data: YHOO\ndata: +2\ndata: 10\n\n", outcome{Events: []event{message("YHOO\n+2\n10")}}},
		{"the standard's four blocks", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
			outcome{Events: []event{{ID: "1", Type: "message", Data: "first event"}, {Type: "message", Data: "second event"}}}},
		{"the standard's empty data", "data\n\ndata\ndata\n\ndata:\n", outcome{Events: []event{message(""), message("\n")}}},
		{"the standard's one space", "data:test\n\ndata: test\n\n", outcome{Events: []event{message("test"), message("test")}}},
		{"one space of two", "data:  x\n\n", outcome{Events: []event{message(" x")}}},
		{"a tab is no space", "data:\tx\n\n", outcome{Events: []event{message("\tx")}}},
		{"CR", "data: x\r\r", outcome{Events: []event{message("x")}}},
		{"CRLF", "data: x\r\n\r\n", outcome{Events: []event{message("x")}}},
		{"mixed line ends", "data: a\rdata: b\ndata: c\r\n\rdata: d\n\r\n", outcome{Events: []event{message("a\nb\nc"), message("d")}}},
		{"LF CR are two ends", "data: x\n\rdata: y\n\n", outcome{Events: []event{message("x"), message("y")}}},
		{"a byte order mark", "\uFEFFdata: x\n\n", outcome{Events: []event{message("x")}}},
		{"two byte order marks", "\uFEFF\uFEFFdata: x\n\ndata: y\n\n", outcome{Events: []event{message("y")}}},
		{"a byte order mark later", "data: x\n\n\uFEFFdata: y\n\n", outcome{Events: []event{message("x")}}},
		{"a comment", ":data: x\n\n: \n\n:\n\n", outcome{}},
		{"a comment within an event", "data: a\n:\ndata: b\n\n", outcome{Events: []event{message("a\nb")}}},
		{"a type", "event: add\ndata: x\n\ndata: y\n\n", outcome{Events: []event{{Type: "add", Data: "x"}, message("y")}}},
		{"the last of two types", "event: a\nevent: b\ndata: x\n\n", outcome{Events: []event{{Type: "b", Data: "x"}}}},
		{"an empty type", "event: a\nevent\ndata: x\n\n", outcome{Events: []event{message("x")}}},
		{"a type without data does not last", "event: a\n\ndata: x\n\n", outcome{Events: []event{message("x")}}},
		{"an id lasts", "id: 1\ndata: x\n\ndata: y\n\n", outcome{LastID: "1", Events: []event{{ID: "1", Type: "message", Data: "x"}, {ID: "1", Type: "message", Data: "y"}}}},
		{"an id without data counts", "id: 1\n\n", outcome{LastID: "1"}},
		{"an id of a block without an end does not", "id: 1\ndata: x\n\nid: 2\ndata: y\n", outcome{LastID: "1", Events: []event{{ID: "1", Type: "message", Data: "x"}}}},
		{"an empty id takes it back", "id: 1\ndata: x\n\nid\ndata: y\n\n", outcome{Events: []event{{ID: "1", Type: "message", Data: "x"}, message("y")}}},
		{"an id with NUL is ignored", "id: 1\nid: 2\x003\ndata: x\n\n", outcome{LastID: "1", Events: []event{{ID: "1", Type: "message", Data: "x"}}}},
		{"retry", "retry: 1500\ndata: x\n\n", outcome{Retry: 1500 * time.Millisecond, Events: []event{{Type: "message", Data: "x", Retry: 1500 * time.Millisecond}}}},
		{"retry needs no block", "retry: 0010\n", outcome{Retry: 10 * time.Millisecond}},
		{"retry is digits only", "retry: 1\nretry: 2s\nretry: -3\nretry: +4\nretry:  5\nretry: 6 \nretry: ٧\nretry: 0x8\nretry: 9.0\nretry:\nretry\n", outcome{Retry: time.Millisecond}},
		{"retry too large", "retry: 99999999999999999999999999\n", outcome{Retry: math.MaxInt64 / time.Millisecond * time.Millisecond}},
		{"unknown fields", "foo: bar\nDATA: x\nData: y\n data: z\ndata : w\n\n", outcome{}},
		{"a field of every line", "data: x\nx\n\n", outcome{Events: []event{message("x")}}},
		{"an incomplete event", "data: x", outcome{}},
		{"an incomplete block", "data: x\n", outcome{}},
		{"colons", "data: a:b: c\n\n", outcome{Events: []event{message("a:b: c")}}},
		{"NUL in data", "data: a\x00b\n\n", outcome{Events: []event{message("a\x00b")}}},
		{"no UTF-8", "data: a\xffb\n\n", outcome{Events: []event{message("a\uFFFDb")}}},
		{"two bytes that are none", "data: \xff\xfe\n\n", outcome{Events: []event{message("\uFFFD\uFFFD")}}},
		{"a character cut off is one", "data: \xf0\x9f\x98b\n\n", outcome{Events: []event{message("\uFFFDb")}}},
		{"a surrogate is three", "data: \xed\xa0\x80\n\n", outcome{Events: []event{message("\uFFFD\uFFFD\uFFFD")}}},
		{"an overlong slash is two", "data: \xc0\xaf\n\n", outcome{Events: []event{message("\uFFFD\uFFFD")}}},
		{"a character cut off by the end of the line", "data: \xe2\x82\ndata: \xac\n\n", outcome{Events: []event{message("\uFFFD\n\uFFFD")}}},
		{"no UTF-8 in id and type", "id: \xff\nevent: \xff\ndata: x\n\n", outcome{LastID: "\uFFFD", Events: []event{{ID: "\uFFFD", Type: "\uFFFD", Data: "x"}}}},
	} {
		for how, stream := range map[string]io.Reader{
			"whole":        strings.NewReader(tt.stream),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tt.stream)),
			"in halves":    iotest.HalfReader(strings.NewReader(tt.stream)),
			"with its end": iotest.DataErrReader(strings.NewReader(tt.stream)),
		} {
			if diff := cmp.Diff(tt.want, read(stream, -1)); diff != "" {
				t.Errorf("%s, %s (-want +got)\n%s", tt.name, how, diff)
			}
		}
		if diff := cmp.Diff(tt.want, reference(tt.stream)); diff != "" {
			t.Errorf("%s, the reference (-want +got)\n%s", tt.name, diff)
		}
	}
}

// Nothing more arrives behind the end of the event: a reader that looked for the LF behind a CR would wait for good.
func TestAnEventIsDispatchedAtItsEnd(t *testing.T) {
	for _, stream := range []string{"data: x\r\r", "data: x\n\n", "data: x\r\n\r", "data: x\r\n\n"} {
		r := eventstream.NewReader(io.MultiReader(iotest.OneByteReader(strings.NewReader(stream)), iotest.ErrReader(errors.New("read beyond"))), "", -1)
		if e, err := r.Next(); err != nil || e != message("x") {
			t.Errorf("%q: %v, %v", stream, e, err)
		}
	}
}

func TestLinesAndEventsAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name, stream string
		events       int
		tooLong      bool
	}{
		{"a line of the limit", "data:" + strings.Repeat("x", 15) + "\n\n", 1, false},
		{"a line above it", "data:x\n\ndata:" + strings.Repeat("x", 16) + "\n\n", 1, true},
		{"a comment above it", ":" + strings.Repeat("x", 20), 0, true},
		{"lines that are above it together", strings.Repeat("data:xxxx\n", 5) + "\n", 0, true},
		{"type and data", "event:0123456789\ndata:0123456789\n\n", 0, true},
		{"events that are above it together", strings.Repeat("data:xxxx\n\n", 50), 50, false},
	} {
		whole, single := read(strings.NewReader(tt.stream), 20), read(iotest.OneByteReader(strings.NewReader(tt.stream)), 20)
		if len(whole.Events) != tt.events || (whole.Err != "") != tt.tooLong {
			t.Errorf("%s: %d events, %q", tt.name, len(whole.Events), whole.Err)
		}
		if diff := cmp.Diff(whole, single); diff != "" {
			t.Errorf("%s, byte by byte (-whole +single)\n%s", tt.name, diff)
		}
	}
}

type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, nil }

func TestAReaderThatReturnsNothingIsAnError(t *testing.T) {
	if _, err := eventstream.NewReader(empty{}, "", -1).Next(); err != io.ErrNoProgress {
		t.Error(err)
	}
}

func TestAStreamGoesOnFromTheLastID(t *testing.T) {
	r := eventstream.NewReader(strings.NewReader("data: x\n\n"), "7", -1)
	e, err := r.Next()
	if want := (event{ID: "7", Type: "message", Data: "x"}); err != nil || e != want {
		t.Errorf("%v, %v", e, err)
	}
}

// FuzzReader holds a reader to the reference below, whatever the pieces that it gets the stream in.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"\uFEFFdata: a\r\ndata:b\r\revent: c\nid: 1\x00\nid:2\nretry: 30\n\ndata\n\n: x\n\ndata: \xf0\x9f\x98\xed\xa0\n\ndata: cut",
		"id\n\nid: 5\rdata\r\n\r\n", "\xef\xbb", "\xef\xbb\xbf\n", "\n\n\r\r\n", "data:\xe2\n\n", "retry:99999999999999999999\n",
	} {
		f.Add([]byte(seed), uint8(20))
	}
	f.Fuzz(func(t *testing.T, stream []byte, limit uint8) {
		text := string(stream)
		want := reference(text)
		for how, r := range map[string]io.Reader{
			"whole":        strings.NewReader(text),
			"byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			"in halves":    iotest.HalfReader(strings.NewReader(text)),
			"with its end": iotest.DataErrReader(strings.NewReader(text)),
		} {
			if diff := cmp.Diff(want, read(r, -1)); diff != "" {
				t.Errorf("%s (-reference +got)\n%s", how, diff)
			}
		}
		whole, single := read(strings.NewReader(text), int64(limit)), read(iotest.OneByteReader(strings.NewReader(text)), int64(limit))
		if diff := cmp.Diff(whole, single); diff != "" {
			t.Errorf("with a limit (-whole +byte by byte)\n%s", diff)
		}
	})
}

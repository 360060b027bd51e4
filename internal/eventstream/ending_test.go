package eventstream_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/plyhttp/ply/internal/eventstream"
)

// ended is what an Ending says of a stream that comes in pieces of so many bytes.
func ended(stream string, piece int) string {
	var e eventstream.Ending
	for p := range slices.Chunk([]byte(stream), piece) {
		e.Write(p)
	}
	return e.Incomplete()
}

func TestEndingOfStream(t *testing.T) {
	for name, test := range map[string]struct{ stream, want string }{
		"nothing":                               {"", eventstream.NoEvent},
		"an event":                              {"data: a\n\n", ""},
		"an event in CRs":                       {"data: a\r\r", ""},
		"an event in CRLFs":                     {"data: a\r\n\r\n", ""},
		"an event whose last CRLF is cut":       {"data: a\r\n\r", ""},
		"two events":                            {"data: a\n\ndata: b\n\n", ""},
		"a byte order mark":                     {"\uFEFFdata: a\n\n", ""},
		"one in the middle is part of a name":   {"data: a\n\n\uFEFFdata: b\n\n", ""},
		"an event without the end of its block": {"data: a\n\ndata: b\n", eventstream.InsideEvent},
		"CRLF is one end":                       {"data: a\n\ndata: b\r\n", eventstream.InsideEvent},
		"a line that has not ended":             {"data: a\n\ndata", eventstream.InsideEvent},
		"a byte of a line":                      {"data: a\n\n:", eventstream.InsideEvent},
		"an id without the end of its block":    {"data: a\n\nid: 1\n", eventstream.InsideEvent},
		"a comment at the end":                  {"data: a\n\n: bye\n", ""},
		"a comment within the last block":       {"data: a\n\ndata: b\n: bye\n", eventstream.InsideEvent},
		"comments alone":                        {": hello\n\n", eventstream.NoEvent},
		"a block without data":                  {"event: a\nid: 1\n\n", eventstream.NoEvent},
		"empty data is an event":                {"data\n\n", ""},
		"an error":                              {"data: a\n\nevent: error\ndata: overloaded\n\n", eventstream.ErrorEvent},
		"an error without a blank":              {"event:error\ndata\n\ndata: a\n\n", eventstream.ErrorEvent},
		"an error after a byte order mark":      {"\uFEFFevent: error\ndata\n\n", eventstream.ErrorEvent},
		"an error without data is no event":     {"event: error\n\ndata: a\n\n", ""},
		"another type":                          {"event: errors\ndata: a\n\n", ""},
		"another type, with a longer name":      {"event: error of mine\ndata: a\n\n", ""},
		"two blanks belong to the type":         {"event:  error\ndata: a\n\n", ""},
		"the last type of a block counts":       {"event: error\nevent: a\ndata: a\n\n", ""},
		"data about an error":                   {"data: event: error\n\n", ""},
	} {
		for _, piece := range []int{1, 2, 3, 1000} {
			if got := ended(test.stream, piece); got != test.want {
				t.Errorf("%s, in pieces of %d: %q, want %q", name, piece, got, test.want)
			}
		}
	}
}

// events reads a stream to its end.
func events(t *testing.T, stream string) (all []event) {
	t.Helper()
	r := eventstream.NewReader(strings.NewReader(stream), "", -1)
	for {
		e, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return all
		}
		all = append(all, e)
	}
}

// A stream that has ended well can be followed by another event, and a reader finds exactly that one more. In whatever pieces it comes.
func FuzzEnding(f *testing.F) {
	for _, seed := range []string{"data: a\n\n", "\uFEFFdata: a\r\n\r\n: x\r", "event: error\ndata:\r\r", "id: 1\n\ndata: b\nid", ":\n"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, stream string, piece int) {
		why := ended(stream, 1<<20)
		if again := ended(stream, max(1, min(piece, 1<<10))); again != why {
			t.Fatalf("%q in pieces: %q", why, again)
		}
		if why != "" && why != eventstream.ErrorEvent {
			return
		}
		before, after := events(t, stream), events(t, stream+"\ndata: one more\n\n")
		if len(before) == 0 || len(after) != len(before)+1 || !slices.Equal(after[:len(before)], before) {
			t.Fatalf("%d events, and %d with one more", len(before), len(after))
		}
		isError := slices.ContainsFunc(before, func(e event) bool { return e.Type == "error" })
		if last := after[len(before)]; last.Data != "one more" || last.Type != "message" || isError != (why != "") {
			t.Fatalf("the next event is %+v, an error among them: %v, %q", last, isError, why)
		}
	})
}

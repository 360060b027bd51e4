package ply_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
)

func TestJSON(t *testing.T) {
	tests := []struct {
		name   string
		answer served
		want   user
		err    string // part of its text, without the name of the request
	}{
		{name: "object", answer: served{body: literalSegment(annJSON)}, want: ann},
		{name: "white space around", answer: served{body: literalSegment(" \r\n" + annJSON + "\n\t")}, want: ann},
		{name: "byte order mark", answer: served{body: literalSegment("\ufeff" + annJSON)}, want: ann},
		{name: "any media type", answer: served{body: literalSegment(annJSON), media: "text/plain"}, want: ann},
		{name: "any status that is no failure", answer: served{body: literalSegment(annJSON), status: 399}, want: ann},
		{name: "null", answer: served{body: literalSegment("null")}},

		{name: "no content", answer: served{status: 204}, err: "no content"},
		{name: "no content, but a body", answer: served{status: 204, body: literalSegment(annJSON)}, err: "no content"},
		{name: "reset content", answer: served{status: 205}, err: "no content"},
		{name: "reset content, but a body", answer: served{status: 205, body: literalSegment(annJSON)}, err: "no content"},
		{name: "not modified", answer: served{status: 304, length: 21}, err: "no content"},
		{name: "not modified, but a body", answer: served{status: 304, body: literalSegment(annJSON)}, err: "no content"},
		{name: "empty", answer: served{}, err: "no content"},
		{name: "blank", answer: served{body: literalSegment(" \r\n\t")}, err: "no content"},
		{name: "only a byte order mark", answer: served{body: literalSegment("\ufeff\n")}, err: "no content"},

		{name: "not JSON", answer: served{body: literalSegment("<p>Ann</p>"), media: "text/html; charset=utf-8"}, err: "(text/html) into ply_test.user: invalid JSON at byte 1"},
		{name: "cut JSON", answer: served{body: literalSegment(annJSON[:14]), media: "application/json"}, err: "(application/json) into ply_test.user: invalid JSON at byte 14"},
		{name: "two values", answer: served{body: literalSegment(annJSON + annJSON)}, err: "(no media type) into ply_test.user: invalid JSON at byte 22"},
		{name: "garbage behind", answer: served{body: literalSegment(annJSON + " Ann")}, err: "invalid JSON at byte 23"},
		{name: "another type", answer: served{body: literalSegment(`{"id":"Ann"}`)}, err: "field id at byte 11 does not fit int"},
		{name: "another type of all", answer: served{body: literalSegment(`"Ann"`)}, err: "the value at byte 5 does not fit ply_test.user"},
		{name: "odd media type", answer: served{body: literalSegment("x"), media: "Ann; ="}, err: "(no media type)"},
		{name: "long media type", answer: served{body: literalSegment("x"), media: "text/" + strings.Repeat("x", 1000)}, err: "(no media type)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, resp, err := tt.answer.get(t.Context())
			got, err := ply.JSON[user](resp, err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
			var decode *ply.DecodeError
			switch {
			case tt.err == "":
				checkError(t, err, nil, 0)
			case tt.err == "no content":
				checkError(t, err, ply.ErrEmptyBody, 0)
			case !errors.As(err, &decode):
				t.Errorf("error %v, want a DecodeError", err)
			default:
				checkError(t, err, decode.Err, 0)
			}
			if err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %q, want %q in it", err, tt.err)
			}
			if body.closed != 1 {
				t.Errorf("body closed %d times", body.closed)
			}
		})
	}
}

func TestDecodeErrorQuotesNoContent(t *testing.T) {
	_, resp, err := served{body: literalSegment(`"Ann's birthday"`), media: "application/json; charset=utf-8"}.get(t.Context())
	_, err = ply.JSON[time.Time](resp, err)
	var decode *ply.DecodeError
	var parse *time.ParseError
	if !errors.As(err, &decode) || !errors.As(err, &parse) {
		t.Fatalf("error %v, want a DecodeError around the error of the type", err)
	}
	if strings.Contains(err.Error(), "Ann") || !strings.Contains(parse.Error(), "Ann") {
		t.Errorf("the content belongs into the inner error alone: %q around %q", err, parse)
	}
	if decode.Method != "GET" || strings.Contains(decode.URL, "hush") || decode.MediaType != "application/json" || decode.Type.String() != "time.Time" {
		t.Errorf("got %+v", decode)
	}
}

func TestDecodeWithAnotherFormat(t *testing.T) {
	body, resp, err := served{body: literalSegment(annXML, iotest.OneByteReader), media: "application/xml"}.get(t.Context())
	got, err := ply.Decode[user](xml.Unmarshal)(resp, err)
	got.XMLName = xml.Name{}
	if diff := cmp.Diff(ann, got); diff != "" || err != nil || body.closed != 1 {
		t.Errorf("error %v, closed %d times, value (-want +got):\n%s", err, body.closed, diff)
	}

	_, resp, err = served{body: literalSegment("Ann"), media: "application/xml"}.get(t.Context())
	got, err = ply.Decode[user](func(data []byte, v any) error {
		v.(*user).ID = 8
		return fmt.Errorf("cannot make sense of %q", data)
	})(resp, err)
	var decode *ply.DecodeError
	if !errors.As(err, &decode) || strings.Contains(err.Error(), "Ann") || got != (user{}) {
		t.Errorf("got %+v and error %v, want nothing and a DecodeError", got, err)
	}
}

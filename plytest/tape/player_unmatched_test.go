package tape_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/plytest/tape"
)

// TestErrorOfAnUnmatchedRequestShowsWhereItDiffers has contents that are large, binary or on one line.
func TestErrorOfAnUnmatchedRequestShowsWhereItDiffers(t *testing.T) {
	const head = "  POST http://h.example/\n"
	many := func(changed int) string {
		var b strings.Builder
		for i := range 9_999 {
			if i == changed {
				b.WriteString("CHANGED\n")
			} else {
				fmt.Fprintf(&b, "line %d\n", i)
			}
		}
		return b.String()
	}
	for name, c := range map[string]struct{ recorded, sent, want string }{
		"far into a text":        {many(1), many(9_000), head + "  line 0\n- CHANGED\n+ line 1\n  line 2\n"},
		"at the end of a text":   {many(9_500), many(20_000), head + "  …\n  line 9497\n  line 9498\n  line 9499\n- CHANGED\n+ line 9500\n  line 9501\n  line 9502\n  line 9503\n  …\n"},
		"members of JSON":        {`{"a": 1, "b": [2, 3], "c": 4}`, `{"a": 1, "b": [2, 5], "c": 4}`, head + "  …\n    \"a\": 1,\n    \"b\": [\n      2,\n-     3\n+     5\n    ],\n    \"c\": 4\n  }\n"},
		"two members of JSON":    {`{"a": 1, "b": 2, "c": 3, "d": 4}`, `{"a": 9, "b": 2, "c": 3, "d": 8}`, head + "  {\n-   \"a\": 1,\n+   \"a\": 9,\n    \"b\": 2,\n    \"c\": 3,\n-   \"d\": 4\n+   \"d\": 8\n  }\n"},
		"far into a line":        {strings.Repeat("x", 5000) + "1" + strings.Repeat("y", 5000), strings.Repeat("x", 5000) + "2" + strings.Repeat("y", 5000), "xx1yy"},
		"bytes":                  {strings.Repeat("\x00\xff", 500) + "\x1b[31m", strings.Repeat("\x00\xff", 500) + "\x1b[32m", "- 000003e0  00 ff 00 ff 00 ff 00 ff  1b 5b 33 31 6d"},
		"the length of bytes":    {"\x00", "\x00\x00", "- (1 bytes)\n"},
		"ends of lines":          {"a\r\nb", "a\nb", head + "- a\\r\n+ a\n  b\n"},
		"content where was none": {"", "a", head + "+ a\n"},
	} {
		tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{Method: "POST", URL: "http://h.example/", Body: []byte(c.recorded)}, Response: &tape.Response{Status: 204}}}}
		p, err := tp.Player(tape.PlayerOptions{})
		require.NoError(t, err)
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://h.example/", strings.NewReader(c.sent))
		_, err = p.RoundTrip(r)
		require.Error(t, err, name)
		if !strings.Contains(err.Error(), c.want) || len(err.Error()) > 10_000 || strings.ContainsAny(err.Error(), "\x00\x1b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorOfAnUnmatchedRequestShowsItsHost(t *testing.T) {
	tp := &tape.Tape{Exchanges: []*tape.Exchange{{Request: tape.Request{URL: "http://10.0.0.1/", Host: "a.example"}, Response: &tape.Response{Status: 204}}}}
	p, err := tp.Player(tape.PlayerOptions{})
	require.NoError(t, err)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://10.0.0.1/", nil)
	r.Host = "b.example"
	_, err = p.RoundTrip(r)
	require.ErrorContains(t, err, "- Host: a.example\n+ Host: b.example\n")
}

func TestNearestRequestIsTheOneWithTheMostContentInCommon(t *testing.T) {
	tp := &tape.Tape{}
	for _, body := range []string{`{"query": "users", "page": 1}`, `{"query": "teams", "page": 1}`, `{"query": "repos", "page": 1}`} {
		tp.Exchanges = append(tp.Exchanges, &tape.Exchange{Request: tape.Request{Method: "POST", URL: "http://h.example/graphql", Body: []byte(body)}, Response: &tape.Response{Status: 204}})
	}
	p, err := tp.Player(tape.PlayerOptions{})
	require.NoError(t, err)
	r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://h.example/graphql", strings.NewReader(`{"query": "teams", "page": 2}`))
	_, err = p.RoundTrip(r)
	var unmatched *tape.UnmatchedError
	require.ErrorAs(t, err, &unmatched)
	require.Equal(t, string(tp.Exchanges[1].Request.Body), string(unmatched.Nearest.Body))
}

// TestManyEqualRequestsAreAnsweredInOrder would take minutes if an answer took longer the more of them there are.
func TestManyEqualRequestsAreAnsweredInOrder(t *testing.T) {
	const n = 20_000
	tp := &tape.Tape{}
	for i := range n {
		tp.Exchanges = append(tp.Exchanges, &tape.Exchange{Request: tape.Request{URL: "http://h.example/"}, Response: &tape.Response{Status: 200 + i%100, Length: -1}})
	}
	p, err := tp.Player(tape.PlayerOptions{Match: keying.New(keying.Method(), keying.IgnoreCredentials())})
	require.NoError(t, err)
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://h.example/", nil)
	for i := range n {
		resp, err := p.RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, 200+i%100, resp.StatusCode)
	}
	require.Empty(t, p.Unused())
}

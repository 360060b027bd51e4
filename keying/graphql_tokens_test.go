package keying_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
)

// graphQLTokens are tokens, alone and in groups, of which a selection is made here.
var graphQLTokens = [][]string{
	{"me"}, {"a"}, {"ab"}, {"_1"}, {"query"}, {"mutation"}, {"on"}, {"true"}, {"..."}, {"0"}, {"-1"}, {"1.5"}, {"1e5"}, {"-2.5E-3"}, {"12"}, {"!"}, {"$"}, {"&"}, {":"}, {"="}, {"@"}, {"|"},
	{"{", "}"}, {"(", ")"}, {"[", "]"}, {"{", "id", "}"}, {"[", "1", "2", "]"}, {`""`}, {`"a"`}, {`"# ,"`}, {`"\""`}, {`"\\"`}, {`" "`}, {`"é"`},
	{`""""""`}, {`"""a"""`}, {"\"\"\"a\n  b, # c\"\"\""}, {`"""\""""""`}, {`"""{ } \ """`},
}

// tokensOf picks a token for each byte.
func tokensOf(picks []byte) (tokens []string) {
	for _, pick := range picks {
		tokens = append(tokens, graphQLTokens[int(pick)%len(graphQLTokens)]...)
	}
	return append(append([]string{"query", "Q", "{"}, tokens...), "}")
}

// written writes tokens with what GraphQL ignores between them. What must be there to keep them apart always is.
func written(tokens []string, gaps string) string {
	ignored := []string{"", "", " ", "\t", ",", "\n", "\r\n", "\ufeff", "#, mutation { \"\n", "# }\r", " , \ufeff #\r\n\t", "  "}
	var b strings.Builder
	for i, token := range tokens {
		gap := ""
		if len(gaps) > 0 {
			gap = ignored[int(gaps[i%len(gaps)])%len(ignored)]
		}
		if i > 0 && gap == "" && mustBeApart(tokens[i-1], token) {
			gap = " "
		}
		b.WriteString(gap + token)
	}
	if len(gaps) > 0 {
		b.WriteString(ignored[int(gaps[0])%len(ignored)])
	}
	return b.String()
}

// mustBeApart reports whether a lexer that takes the longest token at each place might read two tokens otherwise, with nothing between them.
func mustBeApart(before, after string) bool {
	name := func(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }
	number := before[0] == '-' || before[0] >= '0' && before[0] <= '9'
	return name(before[len(before)-1]) && name(after[0]) || number && after[0] == '.' || before[0] == '"' && after[0] == '"'
}

func ofDocument(t *testing.T, s keying.Strategy, document string) string {
	t.Helper()
	content, err := json.Marshal(map[string]string{"query": document})
	require.NoError(t, err)
	return key(t, s, request(t, "POST http://h/", "Content-Type: application/json", "", string(content)))
}

// Two documents share a key exactly if they have the same tokens, whatever GraphQL ignores between these (GraphQL §2.1).
func FuzzGraphQLKeysEqualWhereTheTokensDo(f *testing.F) {
	f.Add([]byte{0, 25}, []byte{0, 25}, "\x02", "")
	f.Add([]byte{27, 27}, []byte{34}, "\x02", "")
	f.Add([]byte{1, 1}, []byte{2}, "", "")
	f.Add([]byte{8, 6, 0}, []byte{8, 6, 0}, "\x02\x08", "")
	f.Add([]byte{14, 8, 0}, []byte{14, 8, 0}, "\x07\x09\x05", "\x04")
	f.Add([]byte{28, 1, 28}, []byte{28, 1, 28}, "\x02", "")
	f.Add([]byte{10, 10, 12}, []byte{10, 10, 12}, "", "\x03")
	f.Fuzz(func(t *testing.T, a, b []byte, gapsA, gapsB string) {
		s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
		tokensA, tokensB := tokensOf(a), tokensOf(b)
		one := written(tokensA, gapsA)
		two := written(tokensB, gapsB)
		if got, want := ofDocument(t, s, one) == ofDocument(t, s, two), slices.Equal(tokensA, tokensB); got != want {
			t.Fatalf("%q and %q share a key: %v, want %v", one, two, got, want)
		}
		if again := written(tokensA, gapsB); ofDocument(t, s, one) != ofDocument(t, s, again) {
			t.Fatalf("%q and %q have two keys", one, again)
		}
	})
}

// What is no token of GraphQL is compared as it stands: a server that refuses one document may answer another.
func TestGraphQLThatIsNoneEqualsNone(t *testing.T) {
	s := keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL}))
	for _, pair := range [][2]string{
		{"{ a(x: [1 ...]) }", "{ a(x: [1...]) }"}, {"{ a(x: [1a]) }", "{ a(x: [1 a]) }"}, {"{ a. ..b }", "{ a ... b }"}, {"{ a....b }", "{ a ... b }"}, {"{ a(x: 01) }", "{ a(x: 0 1) }"},
		{"{ a(x: -) }", "{ a(x: - ) b }"}, {"{ a?b }", "{ a ? b }"}, {"{ aéb }", "{ a é b }"}, {"{ 1.5.2 }", "{ 1.5 .2 }"},
	} {
		if ofDocument(t, s, pair[0]) == ofDocument(t, s, pair[1]) {
			t.Errorf("%q and %q share a key", pair[0], pair[1])
		}
	}
	for _, document := range []string{"{ a(x: \"1\n\") }", "{ a(x: \"1\r\") }", "{ a(x: \"1\\\n\") }", `{ a(x: """1) }`, `{ a(x: "1\") }`, "é{ a }", "1 { a }", "... { a }", "query.x { a }", "\ufeff\ufeffmutation { a }"} {
		content, err := json.Marshal(map[string]string{"query": document})
		require.NoError(t, err)
		if _, err := s.AppendKey(nil, request(t, "POST http://h/", "", string(content))); err == nil {
			t.Errorf("%q has a key", document)
		}
	}
}

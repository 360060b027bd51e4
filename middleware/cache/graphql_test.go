package cache_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

const endpoint = "http://api.test/graphql"

// ask sends a GraphQL request by POST.
func (g *rig) ask(url, content string) got {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), "POST", url, strings.NewReader(content))
	require.NoError(g, err)
	r.Header.Set("Content-Type", "application/json")
	have, _ := g.send(r)
	return have
}

func overGraphQL(o cache.Options) cache.Options {
	o.Methods = []string{"GET", "HEAD", "POST"}
	o.Key = keying.New(keying.Body(keying.BodyOptions{Format: keying.FormatGraphQL, Ignore: []string{"variables.requestId"}}))
	return o
}

// A mutation ends what is stored for its endpoint, and nothing else does (RFC 9111 §4.4).
func TestGraphQLMutationInvalidatesItsEndpoint(t *testing.T) {
	const query = `{"query":"{ me { name } }","variables":{"requestId":1}}`
	for _, test := range []struct {
		name, url, content string
		status             int
		unsafe             func(*http.Request) bool
		ends               bool
	}{
		{name: "a mutation", content: `{"query":"mutation { rename(to: \"x\") }"}`, ends: true},
		{name: "one among queries", content: `{"query":"query Q { a } mutation M { b }","operationName":"M"}`, ends: true},
		{name: "one that failed in part", content: `{"query":"mutation { rename }","variables":null}`, ends: true},
		{name: "in a batch", content: `[{"query":"{ a }"},{"query":"mutation { b }"}]`, ends: true},
		{name: "by another query of the URL", url: endpoint + "?op=Rename", content: `{"query":"mutation Rename { b }"}`, ends: true},
		{name: "one that cannot be read", content: `{"extensions":{"persistedQuery":{"sha256Hash":"00"}}}`, ends: true},
		{name: "content that is no GraphQL", content: `rename`, ends: true},
		{name: "one that was refused", content: `{"query":"mutation { b }"}`, status: 400},
		{name: "one at another endpoint", url: "http://api.test/other", content: `{"query":"mutation { b }"}`},
		{name: "another query", content: `{"query":"{ other }"}`},
		{name: "a batch of queries", content: `[{"query":"{ a }"},{"query":"query { b }"}]`},
		{name: "a subscription", content: `{"query":"subscription { a }"}`},
		{name: "a field of that name", content: `{"query":"{ mutation }"}`},
		{name: "a mutation that the user says changes nothing", content: `{"query":"mutation { login }"}`, unsafe: func(*http.Request) bool { return false }},
		{name: "a query that the user says is a command", content: `{"query":"{ run }"}`, unsafe: saying("run"), ends: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				status := 200
				g := newRig(t, &origin{answer: func(*http.Request) *http.Response {
					return reply(status, "x", "Cache-Control: max-age=60")
				}}, overGraphQL(cache.Options{Unsafe: test.unsafe}))
				g.ask(endpoint+"?op=Me", query)
				g.want(g.ask(endpoint+"?op=Me", strings.Replace(query, ":1}", ":2}", 1)), 200, "x", "hit", 1)
				if test.url == "" {
					test.url = endpoint + "?op=Me"
				}
				if test.status != 0 {
					status = test.status
				}
				g.ask(test.url, test.content)
				status = 200
				if test.ends {
					g.want(g.ask(endpoint+"?op=Me", query), 200, "x", "miss", 3)
				} else {
					g.want(g.ask(endpoint+"?op=Me", query), 200, "x", "hit", 2)
				}
			})
		})
	}
}

// saying finds requests whose content has a word.
func saying(word string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		body, err := r.GetBody()
		if err != nil {
			return true
		}
		defer body.Close()
		content, err := io.ReadAll(body)
		return err != nil || bytes.Contains(content, []byte(word))
	}
}

// A query that is under way while a mutation succeeds is not stored.
func TestGraphQLMutationOvertakesInFlightQuery(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var g *rig
		mutated := false
		g = newRig(t, &origin{answer: func(r *http.Request) *http.Response {
			if !mutated {
				mutated = true
				g.ask(endpoint, `{"query":"mutation { b }"}`)
			}
			return reply(200, "x", "Cache-Control: max-age=60")
		}}, overGraphQL(cache.Options{}))
		g.ask(endpoint, `{"query":"{ a }"}`)
		g.want(g.ask(endpoint, `{"query":"{ a }"}`), 200, "x", "miss", 3)
	})
}

package keying

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// graphQL returns a GraphQL request in its normal form. It fails if the request is not a query.
func (p *bodyPart) graphQL(content []byte) ([]byte, error) {
	var request map[string]any
	text, ok := p.json(content)
	if !ok {
		return nil, errors.New("the request content is not a GraphQL request in JSON")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&request); err != nil {
		return nil, errors.New("the request content is not a GraphQL request in JSON")
	}
	document, _ := request["query"].(string)
	document = compact(document)
	if operationsOf(document) != queries {
		return nil, errors.New("the GraphQL request is not a query")
	}
	request["query"] = document
	return json.Marshal(request)
}

// compact removes what GraphQL ignores (white space, commas, comments) outside strings. One space stays between tokens
// that would merge without it: names, numbers, strings and the dots of a spread.
func compact(document string) string {
	var b strings.Builder
	gap, last := false, byte('{')
	write := func(token string) {
		if gap && !punctuates(last) && !punctuates(token[0]) {
			b.WriteByte(' ')
		}
		b.WriteString(token)
		gap, last = false, token[len(token)-1]
	}
	for i := 0; i < len(document); {
		switch c := document[i]; {
		case c == '"':
			end := stringEnd(document[i:])
			write(document[i : i+end])
			last = '"' // an unterminated string may end in any byte
			i += end
		case c == '#':
			gap = true
			if end := strings.IndexAny(document[i:], "\r\n"); end >= 0 {
				i += end
			} else {
				i = len(document)
			}
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',':
			gap = true
			i++
		default:
			write(document[i : i+1])
			i++
		}
	}
	return b.String()
}

// punctuates reports whether c is a token by itself. A dot is not: "..." must not follow a number without a space.
func punctuates(c byte) bool { return strings.IndexByte("!$&():=@[]{|}", c) >= 0 }

// stringEnd returns the length of the GraphQL string, or block string, that s starts with.
func stringEnd(s string) int {
	if strings.HasPrefix(s, `"""`) {
		for i := 3; i < len(s); i++ {
			if strings.HasPrefix(s[i:], `"""`) && s[i-1] != '\\' {
				return i + 3
			}
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"', '\n':
			return i + 1
		}
	}
	return len(s)
}

// operations is what a GraphQL document holds.
type operations int

const (
	unknown       operations = iota // possibly anything
	queries                         // only queries
	subscriptions                   // at least one, and no mutation
	mutations                       // at least one
)

// operationsOf finds what a compact document holds, by the keywords that its definitions begin with. "mutation" elsewhere is a name.
// A selection without a keyword is a query.
func operationsOf(document string) operations {
	d := definitions{begins: true}
	for i := 0; i < len(document); i++ {
		switch c := document[i]; {
		case c == '"': // the description of a definition, or an argument
			i += stringEnd(document[i:]) - 1
		case strings.IndexByte("{([", c) >= 0:
			if !d.open(c) {
				return unknown
			}
		case strings.IndexByte("})]", c) >= 0:
			if !d.close(c) {
				return unknown
			}
		case isNameByte(c):
			word := name(document[i:])
			if d.begins {
				holds := definitionOf(word)
				if holds == mutations || holds == unknown {
					return holds
				}
				d.found = max(d.found, holds)
			}
			i, d.begins = i+len(word)-1, false
		case d.begins && c < 0x80 && c != ' ': // no definition begins with it; above 0x7f is a byte order mark
			return unknown
		}
	}
	if d.depth != 0 {
		return unknown
	}
	return d.found
}

// definitions is what has been read of a document.
type definitions struct {
	depth  int        // of brackets
	begins bool       // the next token begins a definition
	found  operations // of the definitions so far
}

// open takes in an opening bracket. It reports false where no definition begins with it.
func (d *definitions) open(c byte) bool {
	if d.begins && c != '{' {
		return false
	}
	if c == '{' {
		d.found = max(d.found, queries)
	}
	d.depth, d.begins = d.depth+1, false
	return true
}

// close takes in a closing bracket. It reports false if nothing is open.
func (d *definitions) close(c byte) bool {
	d.depth--
	d.begins = d.depth == 0 && c == '}'
	return d.depth >= 0
}

// name is the name that s begins with.
func name(s string) string {
	n := 0
	for n < len(s) && isNameByte(s[n]) {
		n++
	}
	return s[:n]
}

// definitionOf returns what a definition that begins with word holds.
func definitionOf(word string) operations {
	switch word {
	case "query", "fragment":
		return queries
	case "subscription":
		return subscriptions
	case "mutation":
		return mutations
	}
	return unknown
}

// mutates reports whether a GraphQL request may be a mutation. One that cannot be read may be.
func (p *bodyPart) mutates(r *http.Request) bool {
	content, err := p.read(r)
	if err != nil {
		return true
	}
	var one map[string]any
	requests := []map[string]any{nil}
	if json.Unmarshal(content, &one) == nil {
		requests[0] = one
	} else if json.Unmarshal(content, &requests) != nil { // a batch
		return true
	}
	return slices.ContainsFunc(requests, func(request map[string]any) bool {
		document, _ := request["query"].(string)
		holds := operationsOf(compact(document))
		return holds == unknown || holds == mutations
	})
}

// isNameByte reports whether a GraphQL name may contain c.
func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

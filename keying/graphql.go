package keying

import (
	"bytes"
	"errors"
	"net/http"
)

// query writes a GraphQL request in the form in which it is compared. It fails if the request is not a query.
func (s *scanner) query() error {
	if s.graphQL = true; s.peek() != '{' || !s.json() || s.ambiguous {
		return errors.New("the request content is not a GraphQL request in JSON")
	}
	if s.holds != queries {
		return errors.New("the GraphQL request is not a query")
	}
	return nil
}

// mutates reports whether a GraphQL request, or one of a batch, may be a mutation. One that cannot be read may be.
func (p *bodyPart) mutates(r *http.Request) bool {
	s := scanners.Get().(*scanner)
	defer s.free()
	if err := p.read(s, r, false); err != nil {
		return true
	}
	s.graphQL = true
	return !s.json() || s.holds == others
}

// isRequest reports whether a value at this depth is a GraphQL request: the whole content, or an element of a batch.
func (s *scanner) isRequest(depth int) bool {
	return s.graphQL && len(s.path) == 0 && depth <= 1
}

// noDocument takes in that a value at this depth has no document. If it should have one, it may be anything.
func (s *scanner) noDocument(depth int) {
	if s.isRequest(depth) {
		s.holds = others
	}
}

// operations is what a GraphQL document holds.
type operations int

const (
	queries       operations = iota + 1 // only queries
	subscriptions                       // at least one, and nothing else but queries
	others                              // a mutation, or what cannot be read
)

// readDocument takes in the GraphQL document in out that begins at start, and puts its tokens in its place.
func (s *scanner) readDocument(start int) {
	end := len(s.out)
	d := document{dst: s.out, begins: true}
	d.read(s.out[start : end-1])
	s.out = append(d.dst, endOfText)
	s.moveDown(start, end)
	s.documents++
	s.holds = max(s.holds, d.holds())
}

// document writes the tokens of a GraphQL document (GraphQL §2.1): what is ignored (white space, commas, comments, byte order marks) is left out,
// and one space is put between tokens that are not punctuation. It finds what the document holds by the keywords that its definitions begin with:
// "mutation" elsewhere is a name, and a selection without a keyword is a query.
type document struct {
	dst    []byte
	word   bool // the last token was no punctuation
	depth  int  // of brackets
	begins bool // the next token begins a definition
	found  operations
}

// holds returns what the document holds, after it was read.
func (d *document) holds() operations {
	if d.depth != 0 || d.found == 0 {
		return others
	}
	return d.found
}

// read reads the document up to its end, or up to what shows that it is no query.
func (d *document) read(src []byte) {
	for len(src) > 0 && d.found != others {
		n := ignoredLen(src)
		if n == 0 {
			n = d.token(src)
		}
		src = src[n:]
	}
}

// ignoredLen returns the length of what is ignored at the beginning of src.
func ignoredLen(src []byte) int {
	switch src[0] {
	case ' ', '\t', '\r', '\n', ',':
		return 1
	case '#':
		if end := bytes.IndexAny(src, "\r\n"); end >= 0 {
			return end
		}
		return len(src)
	case byteOrderMark[0]:
		if bytes.HasPrefix(src, []byte(byteOrderMark)) {
			return len(byteOrderMark)
		}
	}
	return 0
}

const byteOrderMark = "\ufeff"

// token takes in what src begins with. It returns its length.
func (d *document) token(src []byte) int {
	switch c := src[0]; {
	case c == '"': // the description of a definition, or an argument
		n := stringLen(src)
		if n == 0 {
			d.found = others
			return len(src)
		}
		d.write(src[:n])
		return n
	case punctuates(c):
		d.punctuator(c)
		return 1
	}
	n := 1
	for n < len(src) && src[n] != '"' && !punctuates(src[n]) && ignoredLen(src[n:]) == 0 {
		n++
	}
	d.words(src[:n])
	return n
}

// punctuates reports whether c is a punctuator by itself (GraphQL §2.1.8).
func punctuates(c byte) bool {
	switch c {
	case '!', '$', '&', '(', ')', ':', '=', '@', '[', ']', '{', '|', '}':
		return true
	}
	return false
}

func (d *document) punctuator(c byte) {
	d.dst, d.word = append(d.dst, c), false
	switch c {
	case '{', '(', '[':
		if d.begins && c != '{' {
			d.found = others
		} else if c == '{' {
			d.found = max(d.found, queries)
		}
		d.depth, d.begins = d.depth+1, false
	case '}', ')', ']':
		d.depth--
		if d.begins = d.depth == 0 && c == '}'; d.depth < 0 {
			d.found = others
		}
	default:
		if d.begins {
			d.found = others
		}
	}
}

// words takes in names, numbers and spreads that follow each other with nothing between them. What holds anything else stays as it is, as one word:
// it is no GraphQL, and equals none.
func (d *document) words(src []byte) {
	if d.begins {
		d.found, d.begins = max(d.found, definitionOf(string(src))), false
	}
	dst, word := d.dst, d.word
	for rest := src; len(rest) > 0; {
		n := wordLen(rest)
		if n == 0 {
			d.dst, d.word = dst, word
			d.write(src)
			return
		}
		d.write(rest[:n])
		rest = rest[n:]
	}
}

// write writes a token that is no punctuation.
func (d *document) write(token []byte) {
	if d.word {
		d.dst = append(d.dst, ' ')
	}
	d.dst, d.word = append(d.dst, token...), true
}

// wordLen returns the length of the name, number or spread that src begins with, or 0.
func wordLen(src []byte) int {
	switch c := src[0]; {
	case c == '.':
		if bytes.HasPrefix(src, []byte("...")) {
			return 3
		}
		return 0
	case c == '-' || '0' <= c && c <= '9':
		n := numberLen(src)
		if n < len(src) && (src[n] == '.' || isNameByte(src[n])) {
			return 0
		}
		return n
	}
	n := 0
	for n < len(src) && isNameByte(src[n]) {
		n++
	}
	return n
}

// isNameByte reports whether a GraphQL name may contain c.
func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// definitionOf returns what a definition that begins with word holds.
func definitionOf(word string) operations {
	switch word {
	case "query", "fragment":
		return queries
	case "subscription":
		return subscriptions
	}
	return others
}

// stringLen returns the length of the GraphQL string, or block string, that src begins with, or 0 if that never ends (GraphQL §2.9.4).
func stringLen(src []byte) int {
	if quotes := []byte(`"""`); bytes.HasPrefix(src, quotes) {
		for i := 3; i < len(src); i++ {
			switch {
			case src[i] == '\\' && bytes.HasPrefix(src[i+1:], quotes):
				i += 3
			case src[i] == '"' && bytes.HasPrefix(src[i:], quotes):
				return i + 3
			}
		}
		return 0
	}
	for i := 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			if i+1 < len(src) && src[i+1] != '\n' && src[i+1] != '\r' {
				i++
			}
		case '"':
			return i + 1
		case '\n', '\r':
			return 0
		}
	}
	return 0
}

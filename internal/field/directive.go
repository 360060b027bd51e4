package field

import (
	"strings"
	"time"
)

// Directive is one cache directive (RFC 9111 §5.2): a name in lower case and an optional argument.
type Directive struct {
	Name   string
	Value  string // the argument, unquoted
	Given  bool   // there was an argument, even an empty one
	Quoted bool   // the argument was a quoted string

	// Malformed marks a directive that does not follow the grammar: white space around the equals sign,
	// a quoted string that never ends or is followed by text, or anything after such a string, on later lines too.
	// A malformed directive may restrict; it grants nothing.
	Malformed bool
}

// Directives calls f with each directive of a Cache-Control field, all its lines together.
func Directives(lines []string, f func(Directive)) {
	suspect := false
	for _, line := range lines {
		for l := (list{rest: line}); l.rest != ""; {
			member := l.next()
			if member == "" {
				continue
			}
			d := directive(member)
			suspect = suspect || unterminated(member)
			d.Malformed = d.Malformed || suspect
			f(d)
			if d.Malformed {
				restrictions(strings.TrimLeft(member, `"`), f) // a server that quotes the whole field, or a directive, means its text
			}
		}
	}
}

// PragmaNoCache reports whether the lines of Pragma say no-cache. Callers look at it only where there is no Cache-Control (RFC 9111 §5.4).
func PragmaNoCache(lines []string) bool {
	if len(lines) == 0 {
		return false
	}
	found := false
	Directives(lines, func(d Directive) { found = found || d.Name == "no-cache" })
	return found
}

// restrictions calls f with the restrictions that a malformed member may have been meant to state, outside its quoted strings.
// "max-age=60; no-store" is one such member, and so is no-store followed by a no-break space.
func restrictions(member string, f func(Directive)) {
	stray := false // as in list
	for i := 0; i < len(member); i++ {
		if member[i] == '"' {
			if !stray {
				end := quotedEnd(member[i:])
				stray = end == 0
				i += max(end-1, 0)
			}
			continue
		}
		n := 0
		for i+n < len(member) && isTokenByte(member[i+n]) {
			n++
		}
		if word := Lower(member[i : i+n]); restricts(word) {
			f(Directive{Name: word, Malformed: true})
		}
		i += max(n-1, 0)
	}
}

// restricts reports whether a directive forbids something, whatever its argument is.
func restricts(name string) bool {
	switch name {
	case "no-store", "no-cache", "private", "must-revalidate", "proxy-revalidate":
		return true
	}
	return false
}

func directive(member string) Directive {
	name, value, given := strings.Cut(member, "=")
	d := Directive{Name: Lower(TrimOWS(name)), Given: given}
	if !given {
		d.Malformed = !IsToken(d.Name)
		return d
	}
	d.Value = TrimOWS(value)
	d.Malformed = len(d.Name) != len(name) || len(d.Value) != len(value) || !IsToken(d.Name)
	if !strings.HasPrefix(d.Value, `"`) {
		d.Malformed = d.Malformed || !IsToken(d.Value)
		return d
	}
	text, ok := Unquote(d.Value)
	if !ok {
		text = strings.Trim(d.Value, `"`)
		d.Malformed = true
	}
	d.Value, d.Quoted = text, true
	return d
}

// unterminated reports whether member opens a quoted string that never ends.
func unterminated(member string) bool {
	for i := 0; i < len(member); i++ {
		if member[i] != '"' {
			continue
		}
		end := quotedEnd(member[i:])
		if end == 0 {
			return true
		}
		i += end - 1
	}
	return false
}

// Seconds is the argument of a directive such as max-age. The zero Seconds means that the directive is absent.
type Seconds struct {
	Set   bool
	Value time.Duration
}

// strictest keeps the smaller of the known value and that of d. A malformed or non-numeric argument counts as zero (RFC 9111 §4.2.1).
func (s *Seconds) strictest(d Directive) {
	value, ok := DeltaSeconds(d.Value)
	if !ok || d.Malformed {
		value = 0
	}
	if !s.Set || value < s.Value {
		*s = Seconds{Set: true, Value: value}
	}
}

// Response is what the Cache-Control of a response says (RFC 9111 §5.2.2, RFC 5861, RFC 8246).
// Duplicates and contradictions are resolved to the strictest reading.
type Response struct {
	Present bool // at least one directive, known or not

	MaxAge, SMaxAge                    Seconds
	StaleWhileRevalidate, StaleIfError Seconds

	NoStore, MustUnderstand         bool
	NoCache, Private                bool     // without field names, or with names that cannot be read
	NoCacheFields, PrivateFields    []string // named fields, in lower case
	MustRevalidate, ProxyRevalidate bool
	Public, NoTransform, Immutable  bool
}

// ParseResponse reads the Cache-Control lines of a response.
func ParseResponse(lines []string) Response {
	var r Response
	Directives(lines, r.add)
	return r
}

func (r *Response) add(d Directive) {
	r.Present = true
	switch d.Name {
	case "max-age":
		r.MaxAge.strictest(d)
	case "s-maxage":
		r.SMaxAge.strictest(d)
	case "no-store":
		r.NoStore = true
	case "no-cache":
		r.NoCache = !qualified(d, &r.NoCacheFields) || r.NoCache
	case "private":
		r.Private = !qualified(d, &r.PrivateFields) || r.Private
	case "must-revalidate":
		r.MustRevalidate = true
	case "proxy-revalidate":
		r.ProxyRevalidate = true
	default:
		r.grant(d)
	}
}

// grant reads the directives that allow something. A malformed directive never does,
// nor does one with an argument that it must not have: "public=0" hardly means public. For immutable, RFC 8246 §2 wants the argument ignored.
func (r *Response) grant(d Directive) {
	switch d.Name {
	case "stale-while-revalidate":
		r.StaleWhileRevalidate.strictest(d)
	case "stale-if-error":
		r.StaleIfError.strictest(d)
	case "must-understand":
		r.MustUnderstand = r.MustUnderstand || !d.Malformed && !d.Given
	case "public":
		r.Public = r.Public || !d.Malformed && !d.Given
	case "immutable":
		r.Immutable = r.Immutable || !d.Malformed
	case "no-transform":
		r.NoTransform = true
	}
}

// qualified collects the field names of no-cache="…" and private="…" (RFC 9111 §5.2.2.4, §5.2.2.7).
// It reports false if there are none or any cannot be read: then the directive counts as unqualified, which restricts more.
// The same holds for a token as the argument, a form that does not exist: private=true is hardly about a field of that name.
func qualified(d Directive, names *[]string) bool {
	if !d.Given || d.Malformed || !d.Quoted {
		return false
	}
	var found []string
	for name := range strings.SplitSeq(d.Value, ",") {
		if name = Lower(TrimOWS(name)); name == "" {
			continue
		}
		if !IsToken(name) || name[0] < 'a' || name[0] > 'z' {
			return false
		}
		found = append(found, name)
	}
	*names = append(*names, found...)
	return len(found) > 0
}

// Request is what the Cache-Control of a request says (RFC 9111 §5.2.1, RFC 5861 §4).
type Request struct {
	MaxAge, MinFresh       Seconds
	MaxStale, StaleIfError Seconds

	Present          bool
	AnyStale         bool // max-stale without an argument
	NoCache, NoStore bool
	OnlyIfCached     bool
}

// ParseRequest reads the Cache-Control lines of a request.
func ParseRequest(lines []string) Request {
	var r Request
	Directives(lines, r.add)
	// A duration wins over max-stale without one: the smaller allowance is the stricter reading.
	r.AnyStale = r.AnyStale && !r.MaxStale.Set
	return r
}

func (r *Request) add(d Directive) {
	r.Present = true
	switch d.Name {
	case "max-age":
		r.MaxAge.strictest(d)
	case "min-fresh":
		r.atLeast(d)
	case "max-stale":
		if d.Given || d.Malformed {
			r.MaxStale.strictest(d)
		} else {
			r.AnyStale = true
		}
	case "stale-if-error":
		r.StaleIfError.strictest(d)
	case "no-cache":
		r.NoCache = true
	case "no-store":
		r.NoStore = true
	case "only-if-cached":
		r.OnlyIfCached = true
	}
}

// atLeast reads min-fresh. The larger value is the stricter one; a value that cannot be read asks for the most.
func (r *Request) atLeast(d Directive) {
	value, ok := DeltaSeconds(d.Value)
	if !ok || d.Malformed {
		value = MaxDelta * time.Second
	}
	r.MinFresh = Seconds{Set: true, Value: max(value, r.MinFresh.Value)}
}

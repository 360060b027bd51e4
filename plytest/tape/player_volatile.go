package tape

import (
	"encoding/json"
	"maps"
	"math"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/keying"
)

// volatile is what of a request its protocol makes new each time, so that a program that is run again sends another value.
type volatile struct {
	params  []string // of the URL
	members []string // of the content: fields of a form, or members of an object
	once    bool     // two values may be two persons, so that their order says nothing
}

// A volatileRule is a parameter that is new each time where one of others is beside it. Names are in lower case.
type volatileRule struct {
	name   string
	beside []string
	once   bool
}

var volatileRules = []volatileRule{
	// An authorization request and its answer (RFC 6749 §4.1.1, §4.1.2; OpenID Connect Core §3.1.2.1; RFC 7636 §4.3).
	{"state", []string{"client_id", "response_type", "code", "error"}, true},
	{"nonce", []string{"client_id", "response_type"}, true},
	{"code_challenge", []string{"client_id", "response_type"}, true},

	// When a signature was made, and what makes it one of its own (RFC 5849 §3.3): the signature itself is hidden.
	{"oauth_nonce", []string{"oauth_signature"}, false},
	{"oauth_timestamp", []string{"oauth_signature"}, false},
	{"x-amz-date", []string{"x-amz-signature"}, false},
	{"x-goog-date", []string{"x-goog-signature"}, false},
	{"x-oss-date", []string{"x-oss-signature"}, false},
	{"expires", []string{"signature"}, false},
	{"timestamp", signatures, false},
	{"ts", signatures, false},
	{"nonce", signatures, false},
	{"sign", []string{"timestamp", "ts", "nonce"}, false}, // which is hidden under its other names
	{"mac", []string{"timestamp", "ts", "nonce"}, false},
}

var signatures = []string{"signature", "sig", "sign", "hmac", "mac"}

// names returns which of the names of parameters or members are volatile, sorted.
func (v *volatile) names(all []string) (names []string) {
	for _, rule := range volatileRules {
		i := slices.IndexFunc(all, func(name string) bool { return strings.EqualFold(name, rule.name) })
		if i >= 0 && slices.ContainsFunc(rule.beside, func(other string) bool {
			return slices.ContainsFunc(all, func(name string) bool { return strings.EqualFold(name, other) })
		}) {
			names = append(names, all[i])
			v.once = v.once || rule.once
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// volatileOf returns what of a request is volatile.
func volatileOf(r *Request) (v volatile) {
	if _, query, ok := strings.Cut(r.URL, "?"); ok {
		v.params = v.names(slices.Collect(maps.Keys(valuesIn(query))))
	}
	members, _ := membersOf(r)
	v.members = v.names(slices.Collect(maps.Keys(members)))
	return v
}

// valuesIn returns the values of a query or a form by their names, as they are sent.
func valuesIn(query string) map[string]any {
	values := map[string]any{}
	for part := range strings.SplitSeq(query, "&") {
		name, value, ok := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); ok && err == nil {
			all, _ := values[plain].([]any)
			values[plain] = append(all, value)
		}
	}
	return values
}

// membersOf returns the fields of a form, or the members of an object of JSON, by their names, and nil for other content.
func membersOf(r *Request) (members map[string]any, isForm bool) {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case mediaType == "application/x-www-form-urlencoded":
		return valuesIn(string(r.Body)), true
	case strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "json"):
		if json.Unmarshal(r.Body, &members) != nil {
			return nil, false
		}
	}
	return members, false
}

// key returns what requests have in common that differ in nothing but the values of what is volatile. It is empty if nothing is.
func (v *volatile) key(r Request) string {
	if len(v.params)+len(v.members) == 0 {
		return ""
	}
	match := keying.New(keying.Method(), keying.URL(keying.URLOptions{Ignore: v.params}), keying.Body(keying.BodyOptions{Ignore: v.members, MaxBytes: math.MaxInt64}), keying.IgnoreCredentials())
	key, err := r.key(match, true)
	if err != nil {
		return ""
	}
	return strings.Join(v.params, "&") + "\n" + strings.Join(v.members, "&") + "\n" + key
}

// An alike is the exchanges whose requests differ in nothing but what is volatile.
type alike struct {
	exchanges []int    // in their order
	keys      []string // of them, each once
	once      bool
}

// liken adds an exchange to those that are alike, if something of its request is volatile.
func (p *Player) liken(i int, r Request, key string) {
	v := volatileOf(&r)
	common := v.key(r)
	if common == "" {
		return
	}
	a := p.alike[common]
	if a == nil {
		a = &alike{}
		p.alike[common] = a
	}
	a.exchanges, a.once = append(a.exchanges, i), a.once || v.once
	if !slices.Contains(a.keys, key) {
		a.keys = append(a.keys, key)
	}
}

// candidates returns the queues that may have the answer to a request: those of its key, or if the tape has none, those of the requests that are alike, which it returns as well.
// Of these there must be one, or all must be of one caller: otherwise there are no queues.
func (p *Player) candidates(r Request, key string) ([]*queue, *alike) {
	if queues := p.queues[key]; queues != nil || !p.byDefault {
		return queues, nil
	}
	v := volatileOf(&r)
	a := p.alike[v.key(r)]
	if a == nil {
		return nil, nil
	}
	var queues []*queue
	for _, key := range a.keys {
		queues = append(queues, p.queues[key]...)
	}
	if len(a.keys) > 1 && (a.once || !p.ofOne(queues)) {
		return nil, a
	}
	return queues, a
}

// ofOne reports whether queues are of the same caller: they have the same secrets, and one that no other caller has.
func (p *Player) ofOne(queues []*queue) bool {
	for _, q := range queues[1:] {
		if !maps.Equal(q.secrets, queues[0].secrets) {
			return false
		}
	}
	for _, secret := range queues[0].secrets {
		if !p.assigned.shared[secret] {
			return true
		}
	}
	return false
}

// Package credential finds the credentials of a request and the principal that they identify.
//
// A credential is what package redact takes for a secret header field: one list decides both what is hidden and what keeps principals apart.
package credential

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/redact"
)

// Named reports whether the header field with the name, in any case, holds a credential. It allocates nothing for names that it has seen before.
func Named(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Length", "Content-Type", "Host", "If-Modified-Since",
		"If-None-Match", "Origin", "Range", "Referer", "Traceparent", "User-Agent", "X-Request-Id":
		return false
	case "Authorization", "Cookie", "X-Api-Key":
		return true
	}
	if known := names.Load(); known != nil {
		if secret, ok := (*known)[name]; ok {
			return secret
		}
	}
	secret := redact.IsSecretHeader(name)
	remember(name, secret)
	return secret
}

// names caches the result of Named by name. A stored map is never changed; remember stores a new one.
var names atomic.Pointer[map[string]bool]

// The bounds of names: programs use few names, but a gateway passes on names that others make up.
const (
	maxNames    = 512
	maxNameSize = 64
)

// remember stores a copy of names with one name more. If two goroutines do so at once, one of the names may be lost.
func remember(name string, secret bool) {
	known := names.Load()
	if len(name) > maxNameSize || known != nil && len(*known) >= maxNames {
		return
	}
	next := map[string]bool{}
	if known != nil {
		next = maps.Clone(*known)
	}
	next[strings.Clone(name)] = secret
	names.CompareAndSwap(known, &next)
}

// AppendBasic appends the Authorization that net/http makes of the userinfo in a request's URL if the request has no such field, and reports whether it did.
func AppendBasic(dst []byte, r *http.Request) ([]byte, bool) {
	if r.URL == nil || r.URL.User == nil || r.Header.Get("Authorization") != "" {
		return dst, false
	}
	var room [96]byte
	pair := append(append(room[:0], r.URL.User.Username()...), ':')
	password, _ := r.URL.User.Password()
	pair = append(pair, password...)
	dst = base64.StdEncoding.AppendEncode(append(dst, "Basic "...), pair)
	clear(pair)
	return dst, true
}

// A Set is the credentials of one request. The zero Set is that of a request without any.
type Set struct {
	claims map[claim]struct{}
	query  map[string]struct{} // parameters with a secret name, decoded
	read   string              // the query that they are of, as it stands in the URL
}

// A claim is what one value says, under the name of its field in lower case: the value itself, the key that it names, or only that it is present.
type claim struct {
	name  string
	as    sense
	value string
}

// Of returns the credentials of a request: those of its header, the userinfo of its URL, and the query parameters with secret names.
// The result does not refer to the header, so it does not change if a layer modifies the request in place, which none should.
func Of(r *http.Request) Set {
	var s Set
	for name, values := range r.Header {
		if !Named(name) {
			continue
		}
		for _, value := range values {
			s.add(name, sent(value))
		}
	}
	if basic, ok := AppendBasic(nil, r); ok {
		s.add("Authorization", string(basic))
	}
	if r.URL != nil {
		s.read = r.URL.RawQuery
		for _, param := range secretParams(s.read) {
			s.addQuery(param)
		}
	}
	return s
}

func (s *Set) add(name, value string) {
	if s.claims == nil {
		s.claims = make(map[claim]struct{})
	}
	name = strings.ToLower(name)
	s.claims[claim{name, literal, value}] = struct{}{}
	if name == "cookie" {
		for cookie := range strings.SplitSeq(value, ";") {
			s.claims[claim{name, literal, field.TrimOWS(cookie)}] = struct{}{}
		}
		return
	}
	if id, as := speaksOf(name, value); as == keyID || as == proof {
		s.claims[claim{name, as, id}] = struct{}{}
	}
}

func (s *Set) has(name string, as sense, value string) bool {
	_, ok := s.claims[claim{name, as, value}]
	return ok
}

// AddSigned adds the credentials that after has and before has not: those that a signer has added to a request.
func (s *Set) AddSigned(before, after *http.Request) {
	had := Of(before)
	for name, values := range after.Header {
		if !Named(name) {
			continue
		}
		for _, value := range values {
			if value = sent(value); !had.has(strings.ToLower(name), literal, value) {
				s.add(name, value)
			}
		}
	}
	for param := range Of(after).query {
		if _, ok := had.query[param]; !ok {
			s.addQuery(param)
		}
	}
}

func (s *Set) addQuery(param string) {
	if s.query == nil {
		s.query = make(map[string]struct{})
	}
	s.query[param] = struct{}{}
}

// HasField reports whether s has a field line that was sent: the same value under the same name, or a signature with the same key, since each attempt may have its own.
// Cookies are compared one by one, because HTTP/2 may send them in separate lines.
func (s *Set) HasField(name, value string) bool {
	name, value = strings.ToLower(name), sent(value)
	if s.has(name, literal, value) {
		return true
	}
	if name == "cookie" {
		for cookie := range strings.SplitSeq(value, ";") {
			if cookie = field.TrimOWS(cookie); cookie != "" && !s.has(name, literal, cookie) {
				return false
			}
		}
		return true
	}
	id, as := speaksOf(name, value)
	return (as == keyID || as == proof) && s.has(name, as, id)
}

// HasQuery reports whether s has all secret parameters of a query.
func (s *Set) HasQuery(query string) bool {
	if query == s.read { // as most layers leave it
		return true
	}
	for _, param := range secretParams(query) {
		if _, ok := s.query[param]; !ok {
			return false
		}
	}
	return true
}

// Has reports whether s has all the credentials of a request.
func (s *Set) Has(r *http.Request) bool {
	for name, values := range r.Header {
		if !Named(name) {
			continue
		}
		for _, value := range values {
			if !s.HasField(name, value) {
				return false
			}
		}
	}
	if basic, ok := AppendBasic(nil, r); ok && !s.HasField("Authorization", string(basic)) {
		return false
	}
	return r.URL == nil || s.HasQuery(r.URL.RawQuery)
}

// secretParams returns the decoded parameters of a query that have secret names.
func secretParams(query string) []string {
	var found []string
	for query != "" {
		var param string
		param, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(param, "=")
		if name = decoded(name); redact.IsSecretName(name) {
			found = append(found, name+"="+decoded(value))
		}
	}
	return found
}

func decoded(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// AppendQuery appends a hash of the parameters of a query that have secret names. It appends nothing if there are none.
func AppendQuery(dst []byte, query string) []byte {
	params := secretParams(query)
	if len(params) == 0 {
		return dst
	}
	sum := sha256.Sum256([]byte("ply query\x00" + strings.Join(params, "&")))
	return append(dst, sum[:]...)
}

// sent returns a value as net/http writes it.
func sent(value string) string {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return field.TrimOWS(value)
}

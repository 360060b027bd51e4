package credential

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/reqctx"
	"github.com/plyhttp/ply/internal/target"
)

// A signature differs with each request, so a cache key that contained it would never match again. It identifies the principal by the key that it names.

// ErrUnnamed says that a request is signed with a key whose name cannot be found.
var ErrUnnamed = errors.New("a signature changes with each request, and names no key")

// sense is how one value of a credential identifies the principal.
type sense uint8

const (
	literal sense = iota // by the value itself: a token, a password, a cookie
	keyID                // it is a signature that names its key
	proof                // it is a signature for a principal that another field names
	unnamed              // it is a signature, and nothing names its key
)

// schemes lists authentication schemes whose credentials are never signatures, whatever their parameters are called.
var bearers = []string{"basic", "bearer", "apikey", "sharedaccesssignature"}

// colons lists the schemes whose credentials are a key's name, a colon, and a signature.
var colons = []string{"apiauth", "aws", "goog1", "oss", "obs", "qbox", "qiniu", "sharedkey", "sharedkeylite", "ufile", "upyun"}

// handshakes lists the schemes whose tokens are valid for one request or connection and do not name their principal in clear.
var handshakes = []string{"hoba", "kerberos", "mutual", "negotiate", "ntlm"}

// signatures, keyIDs and changing are names of parameters, in lower case and without dashes, underscores and dots.
// A key is named by at least one of keyIDs. Any other parameter says who asks as well, unless it is known to change with each request:
// one key may sign for many users, who are told apart by a parameter of which nothing is known here.
var (
	signatures = []string{"hmac", "mac", "oauthsignature", "passworddigest", "qsignature", "response", "sig", "sign", "signature"}
	changing   = []string{
		"alg", "algorithm", "bodyhash", "cnonce", "created", "date", "expires", "hash", "headers", "nc", "nonce", "noncestr", "oauthbodyhash", "oauthnonce",
		"oauthsignaturemethod", "oauthtimestamp", "oauthversion", "opaque", "qheaderlist", "qkeytime", "qop", "qsignalgorithm", "qsigntime", "qurlparamlist",
		"requestid", "salt", "signaturemethod", "signedheaders", "time", "timestamp", "ts", "uri", "version",
	}
	keyIDs = []string{
		"access", "accesskey", "accesskeyid", "accesstoken", "akid", "apikey", "appid", "clientid", "clienttoken", "credential", "id", "key", "keyid", "kid",
		"oauthconsumerkey", "oauthtoken", "qak", "username",
	}
)

// authorization returns how the value of an Authorization field, or of one like it, identifies the principal.
func authorization(value string) (string, sense) {
	scheme, rest, found := strings.Cut(field.TrimOWS(value), " ")
	if !found {
		scheme, rest = "", value
	}
	if field.EqualFold(scheme, "Bearer") || field.EqualFold(scheme, "Basic") {
		return value, literal
	}
	scheme = strings.ToLower(scheme)
	switch {
	case slices.Contains(bearers, scheme):
		return value, literal
	case slices.Contains(handshakes, scheme), strings.HasPrefix(scheme, "scram-"), !found && slices.Contains(handshakes, strings.ToLower(value)):
		return "", unnamed
	}
	ids, signed := parameters(rest)
	switch {
	case signed && len(ids) == 0:
		return "", unnamed
	case signed:
		return scheme + "\x00" + strings.Join(ids, "\x00"), keyID
	case !slices.Contains(colons, scheme) && !strings.Contains(scheme, "hmac"):
		return value, literal
	}
	// What stands between the two may be a user for whom the key signs, or a nonce: "HMAC app:user:signature".
	if id, signature, ok := strings.Cut(field.TrimOWS(rest), ":"); ok && id != "" && !strings.Contains(signature, ":") {
		return scheme + "\x00" + id, keyID
	}
	return "", unnamed
}

// parameters returns the parameters that say who asks, in a fixed order, if one of them names a key, and reports whether there is one that is a signature.
func parameters(s string) (ids []string, signed bool) {
	keys := 0
	for s != "" {
		var param string
		param, s = cut(s)
		name, value, ok := strings.Cut(param, "=")
		name = strings.Map(plainLower, field.TrimOWS(name))
		if value = strings.Trim(field.TrimOWS(value), `"`); !ok || value == "" {
			continue
		}
		switch {
		case slices.Contains(signatures, name):
			signed = true
			continue
		case slices.Contains(changing, name):
			continue
		case name == "credential":
			value, _, _ = strings.Cut(value, "/") // without the day, the region and the service of AWS
		}
		if slices.Contains(keyIDs, name) {
			keys++
		}
		ids = append(ids, name+"="+value)
	}
	if keys == 0 {
		return nil, signed
	}
	slices.Sort(ids)
	return ids, signed
}

// cut cuts s at the first separator outside a quoted string.
func cut(s string) (first, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == ';' || c == '&'):
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func plainLower(r rune) rune {
	switch {
	case r == '-' || r == '_' || r == '.':
		return -1
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	}
	return r
}

// inputs returns the keys that Signature-Input names, and the tags of the application beside them (RFC 9421 §2.3).
func inputs(value string) (string, sense) {
	var ids []string
	keys := 0
	for s := value; s != ""; {
		var param string
		param, s = cut(s)
		name, id, ok := strings.Cut(param, "=")
		name = field.TrimOWS(name)
		switch {
		case !ok || id == "":
		case field.EqualFold(name, "keyid"):
			ids = append(ids, id)
			keys++
		case field.EqualFold(name, "tag"):
			ids = append(ids, "tag="+id)
		}
	}
	if keys == 0 {
		return "", unnamed
	}
	slices.Sort(ids)
	return strings.Join(ids, "\x00"), keyID
}

// speaksOf returns what a value under the name of its field says of the principal, and how it says it.
func speaksOf(name, value string) (string, sense) {
	if len(name) == len("Authorization") && field.EqualFold(name, "Authorization") {
		return authorization(value)
	}
	if field.EqualFold(name, "Cookie") {
		return value, literal
	}
	switch name = strings.ToLower(name); {
	case name == "signature-input":
		return inputs(value)
	case name == "signature":
		if ids, _ := parameters(value); len(ids) > 0 {
			return strings.Join(ids, "\x00"), keyID // a draft before RFC 9421
		}
		return "", proof
	case name == "signature-agent", name == "accept-signature":
		return value, literal
	case name == "x-wsse":
		_, value, _ = strings.Cut(value, " ")
		if ids, _ := parameters(value); len(ids) > 0 {
			return strings.Join(ids, "\x00"), keyID
		}
		return "", unnamed
	case strings.HasSuffix(name, "authorization"):
		return authorization(value)
	case name == "dpop", strings.HasSuffix(name, "-otp"), strings.Contains(name, "signature"), strings.Contains(name, "hmac"), strings.HasSuffix(name, "-sign"):
		return "", proof
	}
	return value, literal
}

// saysWho reports whether a literal value identifies a principal. Cookies may, except those that only balance load.
func saysWho(name string) bool {
	if field.EqualFold(name, "Authorization") || field.EqualFold(name, "Cookie") {
		return len(name) == len("Authorization")
	}
	name = strings.ToLower(name)
	return !strings.Contains(name, "csrf") && !strings.Contains(name, "xsrf")
}

// Identity returns what stands for a value when the principals of requests are compared: the key that a signature names, or else the value itself.
// It returns false for a signature that names no key.
func Identity(name, value string) (string, bool) {
	id, as := speaksOf(name, value)
	return id, as == literal || as == keyID
}

// Append appends what identifies the principal of a request: its credentials, in any spelling of their names, and the userinfo of its URL.
// Credentials that a layer has added for a principal that it names do not count, because the principal counts in their place. Where none are left it appends nothing.
// Callers must keep only a hash of it. The error is ErrUnnamed if only a signature without a key's name identifies the principal;
// what is appended then does not depend on the signature, and is of use if something else names the principal.
func Append(dst []byte, r *http.Request) ([]byte, error) {
	a := appender{dst: dst, header: r.Header}
	a.values = reqctx.From(r.Context())
	var room [8]string
	usual, others := a.survey(r, room[:0])
	if !usual && len(others) == 0 {
		return dst, nil
	}
	a.authorization(r)
	a.field(r.Header, "Cookie")
	slices.SortFunc(others, compare)
	for _, name := range others {
		a.dst = appendLower(a.dst, name)
		a.begin()
		for _, value := range r.Header[name] {
			a.value(name, value)
		}
		a.end()
	}
	if a.unnamed || a.proven && !a.named {
		return a.dst, ErrUnnamed
	}
	return a.dst, nil
}

// dated reports whether a header has a date, a time stamp or a nonce of the client's, as signed requests do. Few other requests have one.
func dated(h http.Header) bool {
	for name := range h {
		name = strings.ToLower(name)
		if name == "date" || strings.HasSuffix(name, "-date") || strings.HasSuffix(name, "-timestamp") || strings.HasSuffix(name, "-nonce") {
			return true
		}
	}
	return false
}

// maySign reports whether the credentials of an unknown scheme may be a signature. In "ACME app:x", x may be that as well as a user or a token of the app's,
// so the name before it does not say who asks.
func maySign(value string) bool {
	scheme, rest, _ := strings.Cut(field.TrimOWS(value), " ")
	name, signature, ok := strings.Cut(field.TrimOWS(rest), ":")
	return ok && name != "" && signature != "" && !slices.Contains(bearers, strings.ToLower(scheme))
}

// An appender appends credentials, and notes whether they identify a principal.
type appender struct {
	dst                    []byte
	header                 http.Header
	values                 reqctx.Values // of the request's context
	respelled              bool          // Authorization or Cookie is there under another spelling of its name
	named, proven, unnamed bool
}

// survey reports whether the request has credentials in its URL, Authorization or Cookie that no layer vouches for,
// and appends the names of all other fields with such credentials to others. It sets a.respelled.
func (a *appender) survey(r *http.Request, others []string) (usual bool, _ []string) {
	usual = r.URL != nil && r.URL.User != nil
	for name, values := range r.Header {
		if !Named(name) {
			continue
		}
		switch {
		case name == "Authorization", name == "Cookie":
			usual = usual || !a.values.Vouches(name, values)
		case field.EqualFold(name, "Authorization"), field.EqualFold(name, "Cookie"):
			a.respelled = true
			usual = usual || !a.values.Vouches(name, values)
		case !a.values.Vouches(name, values):
			others = append(others, name)
		}
	}
	return usual, others
}

// authorization appends Authorization, or what net/http makes of the URL's userinfo in its place.
func (a *appender) authorization(r *http.Request) {
	var room [128]byte
	value, ok := AppendBasic(room[:0], r)
	if !ok {
		a.field(r.Header, "Authorization")
		return
	}
	a.begin()
	a.value("Authorization", string(value))
	for _, key := range otherSpellings(r.Header, "Authorization") { // net/http sends them in addition
		for _, value := range r.Header[key] {
			a.value(key, value)
		}
	}
	a.end()
}

func (a *appender) begin() { a.dst = append(a.dst, 1) }
func (a *appender) end()   { a.dst = append(a.dst, 0) }

func (a *appender) value(name, value string) {
	id, as := speaksOf(name, value)
	if as == literal && strings.Contains(value, ":") && field.EqualFold(name, "Authorization") {
		if maySign(value) && dated(a.header) {
			id, as = "", unnamed
		}
	}
	switch as {
	case keyID:
		a.named = true
		a.dst = target.Append(append(a.dst, 2), id)
		return
	case proof:
		a.proven = true
		a.dst = append(a.dst, 3)
		return
	case unnamed:
		a.unnamed = true
	}
	a.named = a.named || saysWho(name)
	a.dst = target.Append(append(a.dst, 1), id)
}

// field appends all values of a field: those under its canonical name first, and then those under any other spelling.
func (a *appender) field(h http.Header, name string) {
	values, ok := h[name]
	if a.values.Vouches(name, values) {
		values, ok = nil, false
	}
	var others []string
	if a.respelled {
		others = otherSpellings(h, name)
	}
	if !ok && others == nil {
		a.dst = append(a.dst, 0)
		return
	}
	a.begin()
	for _, value := range values {
		a.value(name, value)
	}
	for _, key := range others {
		for _, value := range h[key] {
			a.value(name, value)
		}
	}
	a.end()
}

// otherSpellings returns the keys that name a field in another case, in a fixed order.
func otherSpellings(h http.Header, name string) []string {
	var found []string
	for key := range h {
		if len(key) == len(name) && key != name && field.EqualFold(key, name) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found
}

// compare orders names without regard to case, and spellings of one name by their bytes.
func compare(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// appendLower appends the length of a name, and the name in lower case.
func appendLower(dst []byte, name string) []byte {
	dst = target.Append(dst, name)
	written := dst[len(dst)-len(name):]
	for i, c := range written {
		written[i] = lower(c)
	}
	return dst
}

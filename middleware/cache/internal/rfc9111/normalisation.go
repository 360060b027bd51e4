package rfc9111

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/credential"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// ofPrincipal stands for the value of a field that a layer has set for a principal that is part of the key. So a renewed token selects the same responses.
const ofPrincipal = "of the principal"

// identities replaces each signature, which changes with each request, by the key that it names: a response that varies on it varies on the principal.
// It does not write to lines.
func identities(name string, lines []string) []string {
	copied := false
	for i, line := range lines {
		id, ok := credential.Identity(name, line)
		if !ok || id == line {
			continue
		}
		if !copied {
			lines, copied = slices.Clone(lines), true
		}
		lines[i] = id
	}
	return lines
}

// normalise brings a field value into the form in which two values with one meaning are equal:
// lines combined for all fields, white space around members removed for all but credentials, and more for the fields of content negotiation (RFC 9111 §4.1, RFC 9110 §12.5).
func normalise(name string, lines []string) string {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		return negotiated(lines)
	}
	if credential.Named(name) { // a comma in a cookie separates nothing, and credentials are never guessed
		trimmed := make([]string, len(lines))
		for i, line := range lines {
			trimmed[i] = field.TrimOWS(line)
		}
		return strings.Join(trimmed, ", ")
	}
	if len(lines) == 1 && !strings.Contains(lines[0], ",") {
		return field.TrimOWS(lines[0])
	}
	return strings.Join(slices.Collect(field.Members(lines)), ", ")
}

// negotiated returns the normal form of a field of content negotiation. Two values have one form only if they are known to mean the same.
// The form has no white space, no weight of one, no zeros at the end of a weight and no repetitions. Names and types are in lower case,
// values of parameters are not (RFC 9110 §8.3.1). Members are ordered by weight (§12.4.2); those of one weight keep their order, which may matter to a server.
// A field with a malformed member stays as it is.
func negotiated(lines []string) string {
	var members []preference
	seen := make(map[preference]bool)
	for member := range field.Members(lines) {
		p, ok := preferenceOf(member)
		if !ok {
			return strings.Join(slices.Collect(field.Members(lines)), ", ")
		}
		if !seen[p] {
			members, seen[p] = append(members, p), true
		}
	}
	slices.SortStableFunc(members, func(a, b preference) int { return b.weight - a.weight })
	var b strings.Builder
	for i, p := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(p.text)
		if p.weight < 1000 {
			b.WriteString(";q=" + strconv.Itoa(p.weight))
		}
		b.WriteString(p.extensions)
	}
	return b.String()
}

// preference is a member of a field of content negotiation (RFC 9110 §12.4).
type preference struct {
	text       string // what is preferred, with its parameters
	weight     int    // in thousandths
	extensions string // parameters behind the weight
}

func preferenceOf(member string) (p preference, ok bool) {
	what, rest := cachestatus.Cut(member)
	p.weight = 1000
	var text, extensions strings.Builder
	text.WriteString(field.Lower(what))
	weighed := false
	for rest != "" {
		var parameter string
		parameter, rest = cachestatus.Cut(rest)
		name, value, given := strings.Cut(parameter, "=")
		switch name = field.Lower(name); {
		case parameter == "":
		case !field.IsToken(name) || given && field.TrimOWS(value) != value:
			return p, false
		case name == "q" && !weighed:
			if p.weight, weighed = thousandths(value), true; p.weight < 0 {
				return p, false
			}
		default:
			b := &text
			if weighed {
				b = &extensions
			}
			b.WriteString(";" + name)
			if given {
				b.WriteString("=" + value)
			}
		}
	}
	p.text, p.extensions = text.String(), extensions.String()
	return p, what != ""
}

// sensitive reports whether a request field may hold a secret. Any field may, except those of content negotiation and the like.
// Such a value is kept only as a hash.
func sensitive(name string) bool {
	switch name {
	case "Content-Type", "Dnt", "Origin", "Range", "Save-Data", "User-Agent", "X-Requested-With":
		return false
	}
	for _, family := range [...]string{"Accept", "Access-Control-", "Sec-Ch-", "Sec-Fetch-"} {
		if strings.HasPrefix(name, family) {
			return false
		}
	}
	return true
}

// hash returns the keyed hash of a value that must not be stored in clear, or an empty string if there is no key.
func hash(key *stored.HashKey, value string) string {
	if key == nil {
		return ""
	}
	sum := sha256.Sum256(append(key[:len(key):len(key)], value...))
	return string(sum[:])
}

// Unhashed reports whether a selector lacks its hash, because there was no key: nothing may be stored under it.
func Unhashed(s stored.Selector) bool { return s.Present && s.Value == "" && sensitive(s.Name) }

// Hashed reports whether a selector has a hash of credentials: it means something under the key that it was made with, and under no other.
func Hashed(s stored.Selector) bool {
	return s.Present && s.Value != "" && s.Value != ofPrincipal && sensitive(s.Name)
}

// UnhashedReason is the reason for which such a response is not stored.
const UnhashedReason = "varies on credentials, and the store has given no secret for their hashes"

// prefersLanguage reports whether a response is in the one language that a request ranks above all others:
// a server could not choose a better one, whatever request the response was stored for (RFC 9110 §12.5.4, RFC 9111 §4.1).
func prefersLanguage(accept, content []string) bool {
	if len(content) != 1 || strings.Contains(content[0], ",") {
		return false
	}
	best, bestQuality, alone := "", -1, false
	for member := range field.Members(accept) {
		tag, quality := weighted(member)
		switch {
		case quality > bestQuality:
			best, bestQuality, alone = tag, quality, true
		case quality == bestQuality:
			alone = false
		}
	}
	return alone && bestQuality > 0 && field.EqualFold(best, field.TrimOWS(content[0]))
}

// weighted splits a member of an Accept field into its value and its quality in thousandths (RFC 9110 §12.4.2).
func weighted(member string) (value string, quality int) {
	value, params, found := strings.Cut(member, ";")
	value = field.TrimOWS(value)
	if !found {
		return value, 1000
	}
	name, weight, _ := strings.Cut(params, "=")
	if !field.EqualFold(field.TrimOWS(name), "q") {
		return value, 0
	}
	return value, max(thousandths(field.TrimOWS(weight)), 0)
}

// thousandths reads a weight in thousandths (RFC 9110 §12.4.2). It is negative if q is malformed.
func thousandths(q string) int {
	whole, fraction, _ := strings.Cut(q, ".")
	if whole != "0" && whole != "1" || len(fraction) > 3 {
		return -1
	}
	n := int(whole[0]-'0') * 1000
	for i, unit := 0, 100; i < len(fraction); i, unit = i+1, unit/10 {
		if fraction[i] < '0' || fraction[i] > '9' {
			return -1
		}
		n += int(fraction[i]-'0') * unit
	}
	if n > 1000 {
		return -1
	}
	return n
}

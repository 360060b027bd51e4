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

// ofPrincipal is the value of a field that a layer has set for a principal which the key has: a renewed token selects what the old one did.
const ofPrincipal = "of the principal"

// identities puts the key that a signature names in its place, which changes with each request: what varies on it varies on who asks.
// lines is not written to.
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
	if credential.Named(name) { // a comma in a cookie is no more than that, and who asks is never guessed
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

// negotiated brings a field of content negotiation into a form in which only those values are equal that are known to mean the same:
// white space is gone, and so are a weight of one, zeros behind a weight, and repetitions; what is compared without regard to case is in lower case,
// which the values of parameters are not (RFC 9110 §8.3.1); and what has the greater weight stands first (§12.4.2). What has the same weight stays in its order,
// for servers may go by that. A field with a member that cannot be read stays as it is.
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

// sensitive tells whether a field may hold what nobody but the server is to read: any field may, but those of content negotiation
// and the like. Such a value is kept only as a hash.
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

// hash replaces a value that must not stand in the store in clear. Without a key it is like no other.
func hash(key *stored.HashKey, value string) string {
	if key == nil {
		return ""
	}
	sum := sha256.Sum256(append(key[:len(key):len(key)], value...))
	return string(sum[:])
}

// Unhashed reports whether a selector lacks its hash, because there was no key: nothing may be stored under it.
func Unhashed(s stored.Selector) bool { return s.Present && s.Value == "" && sensitive(s.Name) }

const UnhashedReason = "varies on credentials, and the store has given no secret for their hashes"

// prefersLanguage tells whether a response is in the one language that a request ranks above all others:
// whatever it was once selected by, a server could not choose better (RFC 9110 §12.5.4, RFC 9111 §4.1).
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

// thousandths reads a weight. It is negative if that is none.
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

package cachelint

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
)

// compareRules are about all answers of one URL.
var compareRules = []severalRule{
	{Rule{"vary-inconsistent", Warning, "RFC 9110 §12.5.5", "Send the same Vary with each answer of the URL, also with the default one: a cache that has that one gives it to all."}, varyInconsistent},
	{Rule{"vary-many-values", Warning, "RFC 9111 §4.1", "Vary on what has few values, or bring the values together at the edge: each one is a response of its own in each cache."}, varyManyValues},
	{Rule{"cors-origin-differs", Error, "RFC 9110 §12.5.5, Fetch: CORS protocol and HTTP caches", "Send Vary: Origin with each answer of the URL, or the same Access-Control-Allow-Origin: a cache that has the one breaks the other."}, corsDiffers},
	{Rule{"head-differs", Warning, "RFC 9110 §9.3.2, RFC 9111 §4.3.5", "Answer HEAD with the fields of GET: a cache that sees them differ throws away what it has, or updates it wrongly."}, headDiffers},
	{Rule{"cdn-never-hits", Note, "RFC 9211 §2", "Look at what the CDN says: its key may have a query or a cookie that differs, or its own rules may keep it out."}, cdnNeverHits},
}

// members are the members of a list field, in lower case and sorted.
func (v *view) members(name string) []string {
	var all []string
	for member := range field.Members(v.header[name]) {
		all = append(all, field.Lower(member))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func varyInconsistent(group []*view) (found *view, text, evidence string) {
	var first *view
	for _, v := range group {
		if !v.complete() || !v.cacheable() {
			continue
		}
		if first == nil {
			first = v
			continue
		}
		if a, b := first.members("Vary"), v.members("Vary"); !slices.Equal(a, b) {
			return v, "Answers of the URL vary on different request fields.", fmt.Sprintf("Vary: %s\nVary: %s", orNone(a), orNone(b))
		}
	}
	return nil, "", ""
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "(none)"
	}
	return strings.Join(list, ", ")
}

// manyValues is from how many values of one request field on a response that varies on it is hardly ever a hit.
const manyValues = 4

func varyManyValues(group []*view) (found *view, text, evidence string) {
	last := group[len(group)-1]
	for _, name := range last.members("Vary") {
		if name == "*" || !last.reused() {
			continue
		}
		values := map[string]bool{}
		for _, v := range group {
			values[strings.Join(v.request.Values(name), ", ")] = true
		}
		if len(values) >= manyValues && name != "origin" {
			return last, fmt.Sprintf("The response varies on %s, of which %d requests had %d values.", http.CanonicalHeaderKey(name), len(group), len(values)), last.lines("Vary")
		}
	}
	return nil, "", ""
}

func corsDiffers(group []*view) (found *view, text, evidence string) {
	const name = "Access-Control-Allow-Origin"
	var first *view
	for _, v := range group {
		if !v.complete() || !v.cacheable() || v.varies("Origin") {
			continue
		}
		if first == nil {
			first = v
			continue
		}
		if a, b := first.header.Get(name), v.header.Get(name); a != b {
			return v, "Answers of the URL allow different origins, and Vary does not say so.", fmt.Sprintf("%s: %s\n%s: %s", name, cmp.Or(a, "(none)"), name, cmp.Or(b, "(none)"))
		}
	}
	return nil, "", ""
}

// describing are the fields that HEAD and GET must agree on.
var describing = []string{"Cache-Control", "Content-Type", "Etag", "Last-Modified", "Vary"}

func headDiffers(group []*view) (found *view, text, evidence string) {
	for _, head := range group {
		if head.method != http.MethodHead || head.status != http.StatusOK {
			continue
		}
		for _, name := range describing {
			a, known := agreed(name, head, group)
			if b := head.joined(name); known && a != b {
				return head, "HEAD has another " + name + " than GET.", fmt.Sprintf("GET: %s: %s\nHEAD: %s: %s", name, a, name, b)
			}
		}
	}
	return nil, "", ""
}

// agreed is what all answers to GET that HEAD compares with say in a field. Where they differ, the content has changed meanwhile, and HEAD may have another one, too.
func agreed(name string, head *view, group []*view) (value string, known bool) {
	for _, get := range group {
		if !get.complete() || get.coding() != head.coding() || !slices.Equal(get.request["Accept-Encoding"], head.request["Accept-Encoding"]) {
			continue
		}
		if known && get.joined(name) != value {
			return "", false
		}
		value, known = get.joined(name), true
	}
	return value, known
}

// joined are the lines of a response field as one.
func (v *view) joined(name string) string { return strings.Join(v.header[name], ", ") }

// cdnNeverHits looks at three answers or more that a cache before the origin could have given, and says that it gave none.
func cdnNeverHits(group []*view) (found *view, text, evidence string) {
	n := 0
	for _, v := range group {
		if !v.complete() || !v.has("Cache-Status") || v.d.Private || !v.reused() || v.shared.Value == 0 {
			continue
		}
		for member := range field.Members(v.header["Cache-Status"]) {
			if hit(member) {
				return nil, "", ""
			}
		}
		n, found = n+1, v
	}
	if n < 3 {
		return nil, "", ""
	}
	return found, fmt.Sprintf("A cache before the origin could have answered, and has forwarded all %d requests.", n), found.lines("Cache-Status", "Cache-Control")
}

// hit reports whether a member of Cache-Status says that a cache answered (RFC 9211 §2.1).
func hit(member string) bool {
	for _, parameter := range strings.Split(member, ";")[1:] {
		switch field.TrimOWS(parameter) {
		case "hit", "hit=?1":
			return true
		}
	}
	return false
}

package stored

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/target"
)

// SearchVariance is No-Vary-Search: the differences between two queries that a response does not vary on.
type SearchVariance struct {
	Query     string   // of the stored response's request, blinded, so that it may be kept in a store
	AnyOrder  bool     // the order of parameters
	AllBut    []string // with All: the parameters that count nevertheless, sorted
	All       bool     // no parameter counts, but for AllBut
	Parameter []string // without All: the parameters that do not count, sorted
}

// NewSearchVariance reads No-Vary-Search. It is nil if the field is absent, malformed, or says nothing: then every difference counts.
func NewSearchVariance(h http.Header, query string) *SearchVariance {
	lines := h["No-Vary-Search"]
	if len(lines) == 0 {
		return nil
	}
	members, ok := field.ParseDictionary(lines)
	if !ok {
		return nil
	}
	v := &SearchVariance{Query: Blinded(query)}
	if member, found := field.Member(members, "key-order"); found {
		if v.AnyOrder, ok = member.Value.(bool); !ok {
			return nil
		}
	}
	if !v.readParams(members) {
		return nil
	}
	if !v.AnyOrder && !v.All && len(v.Parameter) == 0 {
		return nil
	}
	return v
}

// bytes returns how many bytes v is charged with.
func (v *SearchVariance) bytes() int64 {
	size := int64(len(v.Query) + 128)
	for _, names := range [...][]string{v.AllBut, v.Parameter} {
		for _, name := range names {
			size += int64(len(name) + 32)
		}
	}
	return size
}

// readParams reads params and except.
func (v *SearchVariance) readParams(members []field.Item) bool {
	var ok bool
	if params, found := field.Member(members, "params"); found {
		if v.All, ok = params.Value.(bool); !ok {
			if v.Parameter, ok = texts(params); !ok {
				return false
			}
		}
	}
	if except, found := field.Member(members, "except"); found {
		if v.AllBut, ok = texts(except); !ok || !v.All {
			return false
		}
	}
	return true
}

// texts returns the strings of an inner list, decoded as names in a query are, each once and in order: each query is compared with all of them.
func texts(item field.Item) ([]string, bool) {
	list, ok := item.Value.([]field.Item)
	if !ok {
		return nil, false
	}
	decoded := make([]string, 0, len(list))
	for _, member := range list {
		text, ok := member.Value.(string)
		if !ok {
			return nil, false
		}
		if name, err := url.QueryUnescape(text); err == nil {
			text = name
		}
		decoded = append(decoded, text)
	}
	slices.Sort(decoded)
	return slices.Compact(decoded), true
}

// Covers reports whether the response answers a request with this query as well.
func (v *SearchVariance) Covers(query string) bool { return v.CoversBlinded(Blinded(query)) }

func (v *SearchVariance) CoversBlinded(query string) bool {
	return slices.Equal(v.counting(v.Query), v.counting(query))
}

// Blinded returns a query with a hash in place of each value. It has the same parameters in the same order; two values are equal if their hashes are.
func Blinded(query string) string {
	var b []byte
	for param := range strings.SplitSeq(query, "&") {
		if param == "" {
			continue
		}
		name, value, _ := strings.Cut(param, "=")
		sum := sha256.Sum256([]byte(unescape(value)))
		b = append(append(b, url.QueryEscape(unescape(name))...), '=')
		b = append(hex.AppendEncode(b, sum[:16]), '&')
	}
	return strings.TrimSuffix(string(b), "&")
}

// counting returns the parameters of a query that count, decoded, in the order in which they count.
func (v *SearchVariance) counting(query string) [][2]string {
	var kept [][2]string
	for param := range strings.SplitSeq(query, "&") {
		if param == "" {
			continue
		}
		name, value, _ := strings.Cut(param, "=")
		pair := [2]string{unescape(name), unescape(value)}
		names := v.Parameter
		if v.All {
			names = v.AllBut
		}
		if _, named := slices.BinarySearch(names, pair[0]); named == v.All {
			kept = append(kept, pair)
		}
	}
	if v.AnyOrder {
		slices.SortStableFunc(kept, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	}
	return kept
}

func unescape(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// QueryOf is the query that a request is sent with.
func QueryOf(r *http.Request) string { return target.Plain(r).URL.RawQuery }

// WithoutQuery returns a request for the same URI without its query. It is only good for making a key.
func WithoutQuery(r *http.Request) *http.Request {
	if r = target.Plain(r); r.URL.RawQuery == "" && !r.URL.ForceQuery {
		return r
	}
	bare := *r
	u := *r.URL
	u.RawQuery, u.ForceQuery = "", false
	bare.URL = &u
	return &bare
}

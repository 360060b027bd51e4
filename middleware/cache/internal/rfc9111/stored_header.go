package rfc9111

import (
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// StoredHeader returns the header of a response as it is stored (RFC 9111 §3.1): without fields of a connection or a proxy
// and without those that a qualified no-cache or, in a shared cache, a qualified private names.
func StoredHeader(h http.Header, received time.Time, overruled bool, p *Policy) http.Header {
	stored := h.Clone()
	if stored == nil {
		stored = make(http.Header, 1)
	}
	KeepStored(stored, received, overruled, p)
	return stored
}

// KeepStored changes h in place to the header that StoredHeader returns.
func KeepStored(h http.Header, received time.Time, overruled bool, p *Policy) {
	d, _ := field.Controlling(h, p.Targeted)
	field.RemoveHopByHop(h)
	if !overruled {
		removeNamed(h, d.NoCacheFields)
	}
	if p.Shared {
		removeNamed(h, d.PrivateFields)
	}
	delete(h, "Age")
	if !p.ReplayCookies {
		stored.RemoveCookies(h)
	}
	if others := cachestatus.Foreign(h[cachestatus.Field]); len(others) > 0 {
		h[cachestatus.Field] = others
	} else {
		delete(h, cachestatus.Field)
	}
	if len(h["Date"]) == 0 {
		h["Date"] = []string{received.UTC().Format(http.TimeFormat)} // RFC 9110 §6.6.1
	}
}

// AddCookies gives a response the cookies that the origin sets now, in place of the stored ones.
func AddCookies(answer, origin http.Header) {
	for name, values := range origin {
		if stored.SetsCookies(name) {
			answer[name] = slices.Clone(values)
		}
	}
}

// AddValidatedFields gives a response that the origin has just confirmed the fields of the 304 that are not stored because a qualified no-cache
// names them: after a validation they may be sent (RFC 9111 §5.2.2.4).
func AddValidatedFields(answer, confirmation http.Header, p *Policy) {
	d, _ := field.Controlling(answer, p.Targeted)
	for _, name := range d.NoCacheFields {
		name = http.CanonicalHeaderKey(name)
		if values := confirmation[name]; len(values) > 0 && len(answer[name]) == 0 {
			answer[name] = slices.Clone(values)
		}
	}
}

func removeNamed(h http.Header, names []string) {
	for _, name := range names {
		h.Del(name)
	}
}

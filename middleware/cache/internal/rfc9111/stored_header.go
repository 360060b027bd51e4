package rfc9111

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/middleware/cache/internal/stored"
)

// StoredHeader returns the header of a response as it is stored (RFC 9111 §3.1): without fields of a connection or a proxy
// and without those that a qualified no-cache or, in a shared cache, a qualified private names.
func StoredHeader(c *Candidate, received time.Time, p *Policy) stored.Header {
	h, d, overruled := c.Response.Header, c.controlling(p), c.Verdict.Overrules()
	if keptWhole(h, d, overruled, p) {
		return stored.NewHeader(h)
	}
	kept := make(http.Header, len(h)+1)
	maps.Copy(kept, h) // not the lines, which are not written to
	keepStored(kept, d, received, overruled, p)
	return stored.NewHeader(kept)
}

// keptWhole reports whether keepStored would leave h as it is.
func keptWhole(h http.Header, d *field.Response, overruled bool, p *Policy) bool {
	if len(h["Date"]) == 0 || len(d.NoCacheFields) > 0 && !overruled || len(d.PrivateFields) > 0 && p.Shared {
		return false
	}
	for _, name := range [...]string{"Age", cachestatus.Field, "Set-Cookie", "Set-Cookie2"} {
		if _, found := h[name]; found {
			return false
		}
	}
	return !field.HasHopByHop(h)
}

// KeepStored changes h in place to the header that StoredHeader returns.
func KeepStored(h http.Header, received time.Time, overruled bool, p *Policy) {
	d, _ := field.Controlling(h, p.Targeted)
	keepStored(h, &d, received, overruled, p)
}

// keepStored is KeepStored with what controls the response.
func keepStored(h http.Header, d *field.Response, received time.Time, overruled bool, p *Policy) {
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

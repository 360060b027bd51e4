package cachelint

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/internal/field"
	"github.com/plyhttp/ply/internal/freshness"
	"github.com/plyhttp/ply/redact"
)

// A view is an exchange as the rules see it.
type view struct {
	method, url, path, query string
	request, header          http.Header
	status                   int
	received                 time.Time

	directives       []field.Directive
	d                field.Response
	lifetime, shared freshness.Lifetime // in a private cache, and in a shared one
	age              time.Duration
}

// look reads an exchange. It is nil for one that no rule is about.
func look(e *Exchange) *view {
	if e.Request == nil || e.Response == nil || e.Request.URL == nil {
		return nil
	}
	v := &view{
		method: e.Request.Method, path: e.Request.URL.Path, query: e.Request.URL.RawQuery, request: e.Request.Header,
		status: e.Response.StatusCode, header: e.Response.Header, received: e.Received,
	}
	if v.method == "" {
		v.method = http.MethodGet
	}
	if v.method != http.MethodGet && v.method != http.MethodHead || v.status < 200 || v.status > 599 {
		return nil
	}
	target := *e.Request.URL
	target.Fragment, target.RawFragment = "", ""
	v.url = target.String()
	if v.received.IsZero() {
		v.received = time.Now()
	}
	field.Directives(v.header["Cache-Control"], func(d field.Directive) { v.directives = append(v.directives, d) })
	v.d = field.ParseResponse(v.header["Cache-Control"])
	r := freshness.Response{Status: v.status, Header: v.header, Received: v.received}
	v.lifetime = freshness.Of(r)
	r.Shared = true
	v.shared = freshness.Of(r)
	v.age, _ = field.Age(v.header["Age"])
	return v
}

// cacheable reports whether some cache may keep the response.
func (v *view) cacheable() bool {
	return !v.d.NoStore && (v.lifetime.Explicit || v.shared.Explicit || freshness.HeuristicStatus(v.status)) && v.status != http.StatusNotModified
}

// reused reports whether some cache may keep the response and use it without asking.
func (v *view) reused() bool {
	return v.cacheable() && !v.d.NoCache && (v.lifetime.Value > 0 || v.shared.Value > 0)
}

// complete reports whether it is a 200 to GET, which is what validators and variants are about.
func (v *view) complete() bool { return v.method == http.MethodGet && v.status == http.StatusOK }

func (v *view) has(name string) bool { return len(v.header[name]) > 0 }

// lines are header lines of the response, as evidence.
func (v *view) lines(names ...string) string {
	var all []string
	for _, name := range names {
		for _, value := range v.header[name] {
			if redact.IsSecretHeader(name) {
				value = redact.Placeholder
			}
			all = append(all, name+": "+value)
		}
	}
	return strings.Join(all, "\n")
}

// varies reports whether the response varies on a request field.
func (v *view) varies(name string) bool {
	for member := range field.Members(v.header["Vary"]) {
		if member == "*" || field.EqualFold(member, name) {
			return true
		}
	}
	return false
}

// date returns a date of the header.
func (v *view) date(name string) (time.Time, bool) {
	return field.DateField(v.header[name], v.received)
}

// generated is the origin's Date, or the time of receipt.
func (v *view) generated() time.Time {
	if date, ok := v.date("Date"); ok {
		return date
	}
	return v.received
}

func (v *view) etag() field.ETag { return field.ParseETag(v.header.Get("Etag")) }

// coding is the content coding, "identity" if there is none.
func (v *view) coding() string {
	var all []string
	for member := range field.Members(v.header["Content-Encoding"]) {
		all = append(all, field.Lower(member))
	}
	if all = slices.DeleteFunc(all, func(c string) bool { return c == "identity" }); len(all) == 0 {
		return "identity"
	}
	return strings.Join(all, ", ")
}

package logging

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// attrs returns the attributes of a record, the most important ones first.
// Those with dots have the names of the semantic conventions of OpenTelemetry.
func (x *exchange) attrs(o Outcome) []slog.Attr {
	a := make([]slog.Attr, 0, 20)
	a = appendMethod(a, o.Request.Method)
	a = append(a, slog.String("url.full", clip(x.redactor.URL(o.Request.URL), maxURL)))
	if t := o.URLTemplate(); t != "" {
		a = append(a, slog.String("url.template", clip(x.redactor.URLTemplate(t), maxValue)))
	}
	a = appendServer(a, o.Request.URL)
	if o.Response != nil {
		a = append(a, slog.Int("http.response.status_code", o.Response.StatusCode))
		a = appendProtocol(a, o.Response)
	}
	if t := o.ErrorType(); t != "" {
		a = append(a, slog.String("error.type", t))
	}
	if o.Err != nil {
		a = append(a, slog.String("error", clip(x.redactor.ErrorText(o.Err), maxError)))
	}
	a = append(a, slog.Duration("duration", o.Duration), slog.Duration("ttfb", o.FirstByte))
	a = appendSizes(a, o)
	if o.Slow {
		a = append(a, slog.Bool("slow", true))
	}
	a = append(appendLayers(a, o), slog.String("call.id", o.CallID))
	a = x.conn.append(a)
	if x.opts.Headers {
		a = x.appendHeaders(a, o)
	}
	a = x.appendBody(a, "request.body", x.question)
	return x.appendBody(a, "response.body", x.answer)
}

func (x *exchange) appendHeaders(a []slog.Attr, o Outcome) []slog.Attr {
	a = appendHeader(a, "http.request.header.", x.redactor.Header(o.Request.Header))
	return appendHeader(a, "http.response.header.", x.header)
}

func appendHeader(a []slog.Attr, prefix string, shown http.Header) []slog.Attr {
	for i, name := range slices.Sorted(maps.Keys(shown)) {
		if i == maxFields {
			return append(a, slog.Int(prefix+"…", len(shown)-maxFields))
		}
		a = append(a, slog.Any(prefix+clip(strings.ToLower(name), maxWord), clipped(shown[name])))
	}
	return a
}

// clipped bounds the values of a field, and their number.
func clipped(values []string) []string {
	for i, v := range values {
		if i == maxValues {
			return append(values[:i], "…")
		}
		values[i] = clip(v, maxValue/max(1, i))
	}
	return values
}

func (x *exchange) appendBody(a []slog.Attr, key string, c *capture) []slog.Attr {
	text, truncated, ok := c.text(x.opts.Mask)
	if !ok {
		return a
	}
	a = append(a, slog.String(key, text))
	if truncated {
		a = append(a, slog.Bool(key+".truncated", true))
	}
	return a
}

// appendMethod appends the method. The number of names is bounded, as the conventions require.
func appendMethod(a []slog.Attr, method string) []slog.Attr {
	switch method {
	case "":
		method = http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
	default:
		a = append(a, slog.String("http.request.method_original", clip(method, maxWord)))
		method = "_OTHER"
	}
	return append(a, slog.String("http.request.method", method))
}

func appendServer(a []slog.Attr, u *url.URL) []slog.Attr {
	if u == nil {
		return a
	}
	a = append(a, slog.String("server.address", clip(u.Hostname(), maxWord)))
	text := u.Port()
	switch {
	case text != "":
	case u.Scheme == "https":
		text = "443"
	case u.Scheme == "http":
		text = "80"
	default:
		return a
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return a
	}
	return append(a, slog.Int("server.port", port))
}

// appendProtocol appends the version in the form of the conventions: "2", not "2.0".
func appendProtocol(a []slog.Attr, resp *http.Response) []slog.Attr {
	switch {
	case resp.ProtoMajor == 0:
		return a
	case resp.ProtoMajor >= 2:
		return append(a, slog.String("network.protocol.version", strconv.Itoa(resp.ProtoMajor)))
	}
	return append(a, slog.String("network.protocol.version", strconv.Itoa(resp.ProtoMajor)+"."+strconv.Itoa(resp.ProtoMinor)))
}

func appendSizes(a []slog.Attr, o Outcome) []slog.Attr {
	if o.Request.Body != nil && o.Request.Body != http.NoBody {
		a = append(a, slog.Int64("http.request.body.size", o.Sent))
	}
	if o.Response != nil {
		a = append(a, slog.Int64("http.response.body.size", o.Received))
	}
	if o.ClosedEarly {
		a = append(a, slog.Bool("closed_early", true))
	}
	if o.NeverClosed {
		a = append(a, slog.Bool("never_closed", true))
	}
	return a
}

// appendLayers appends what the layers inside did.
func appendLayers(a []slog.Attr, o Outcome) []slog.Attr {
	if o.Resends > 0 {
		a = append(a, slog.Int("http.request.resend_count", o.Resends))
	}
	if o.Attempt > 0 {
		a = append(a, slog.Int("attempt", o.Attempt))
	}
	if len(o.Attempts) > 1 {
		a = append(a, slog.Any("attempts", o.Attempts))
	}
	if o.Stop != "" && o.Stop != "done" {
		a = append(a, slog.String("retry.stop", o.Stop))
	}
	if o.Auth.Status != "" && o.Auth.Status != "added" && o.Auth.Status != "signed" { // as ever
		a = append(a, slog.String("auth.status", o.Auth.Status))
	}
	if o.Auth.Reason != "" {
		a = append(a, slog.String("auth.reason", o.Auth.Reason))
	}
	if o.Decoded != "" {
		a = append(a, slog.String("decode.codings", clip(o.Decoded, maxWord)), slog.Int64("decode.encoded_size", o.Encoded))
	}
	if len(o.Notes) > 0 {
		a = append(a, slog.Any("notes", clipped(o.Notes)))
	}
	if o.Cache.Status != "" {
		a = append(a, slog.String("cache.status", o.Cache.Status))
	}
	if o.Cache.Reason != "" {
		a = append(a, slog.String("cache.reason", clip(o.Cache.Reason, maxWord)))
	}
	return a
}

package cachelint

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/plyhttp/ply/internal/field"
)

// tagRules are about validators among the answers of one URL.
var tagRules = []severalRule{
	{Rule{"304-changes-etag", Error, "RFC 9110 §15.4.5, RFC 9111 §4.3.4", "Answer 304 with the tag that was asked about, or 200 with the new content: a cache cannot know which response is confirmed."}, tagOf304},
	{Rule{"304-without-etag", Warning, "RFC 9110 §15.4.5", "Send with 304 the ETag that a 200 would have."}, noTagIn304},
	{Rule{"condition-ignored", Warning, "RFC 9110 §13.1.2, §13.1.3", "Compare If-None-Match with the tag that you send, weakly (Apache before 2.4.26 does not know its own -gzip: ModDeflate's DeflateAlterETag), and answer 304."}, conditionIgnored},
	{Rule{"etag-shared-by-encodings", Error, "RFC 9110 §8.8.3.3", "Give each content coding a tag of its own, or a weak one: a strong tag says that the bytes are the same, and they are not."}, tagShared},
	{Rule{"etag-weakened-by-encoding", Note, "RFC 9110 §8.8.3, §13.1.1, §13.1.5", "Nothing, if ranges and If-Match do not matter: nginx weakens the tag of what it compresses. Otherwise send content that was compressed beforehand (gzip_static)."}, tagWeakened},
	{Rule{"encoding-drops-etag", Warning, "RFC 9110 §8.8.3.1", "Keep the tag when compressing, weakened if need be: without it the compressed variant, which most clients get, cannot be validated."}, tagDropped},
	{Rule{"etag-unstable", Warning, "RFC 9110 §8.8.1", "Make the tag of the content alone, not of an inode or a start time: servers behind one balancer must agree on it."}, tagUnstable},
}

// asksAbout reports whether a request asks about a tag.
func (v *view) asksAbout(tag field.ETag) bool {
	for t := range field.Tags(v.request["If-None-Match"]) {
		if field.ParseETag(t).WeaklyEquals(tag) {
			return true
		}
	}
	return false
}

func tagOf304(group []*view) (found *view, text, evidence string) {
	for _, v := range group {
		if v.status == http.StatusNotModified && v.has("Etag") && len(v.request["If-None-Match"]) > 0 && v.request.Get("If-None-Match") != "*" && !v.asksAbout(v.etag()) {
			return v, "The 304 has another ETag than the request asked about.", "If-None-Match: " + strings.Join(v.request["If-None-Match"], ", ") + "\n" + v.lines("Etag")
		}
	}
	return nil, "", ""
}

func noTagIn304(group []*view) (found *view, text, evidence string) {
	tagged := ""
	for _, v := range group {
		if v.complete() && v.has("Etag") {
			tagged = v.lines("Etag")
		}
	}
	for _, v := range group {
		if v.status == http.StatusNotModified && !v.has("Etag") && tagged != "" && len(v.request["If-None-Match"]) > 0 {
			return v, "The 304 has no ETag, and the 200 has one.", "200: " + tagged
		}
	}
	return nil, "", ""
}

func conditionIgnored(group []*view) (found *view, text, evidence string) {
	for _, v := range group {
		if !v.complete() {
			continue
		}
		if v.has("Etag") && v.etag().Opaque != "" && v.asksAbout(v.etag()) {
			text = "The request named the tag that the response has, and got all of it."
			if strings.Contains(v.header.Get("Etag"), "-gzip") {
				text += " The tag ends with -gzip, which Apache adds and older versions do not recognise."
			}
			return v, text, "If-None-Match: " + strings.Join(v.request["If-None-Match"], ", ") + "\n" + v.lines("Etag")
		}
		modified, ok := v.date("Last-Modified")
		since, asked := field.DateField(v.request["If-Modified-Since"], v.received)
		if ok && asked && len(v.request["If-None-Match"]) == 0 && !modified.After(since) {
			return v, "The content has not been modified since the date that the request gave, and all of it was sent.", "If-Modified-Since: " + v.request.Get("If-Modified-Since") + "\n" + v.lines("Last-Modified")
		}
	}
	return nil, "", ""
}

// pair finds two complete answers in different codings for which differs holds, the plain one first where there is one.
func pair(group []*view, differs func(a, b *view) bool) (a, b *view) {
	for _, a := range group {
		for _, b := range group {
			plainFirst := a.coding() == "identity" || b.coding() != "identity"
			if a.complete() && b.complete() && plainFirst && a.coding() != b.coding() && differs(a, b) {
				return a, b
			}
		}
	}
	return nil, nil
}

func codings(a, b *view) string {
	tag := func(v *view) string {
		if !v.has("Etag") {
			return "no ETag"
		}
		return v.lines("Etag")
	}
	return fmt.Sprintf("%s: %s\n%s: %s", a.coding(), tag(a), b.coding(), tag(b))
}

func tagShared(group []*view) (found *view, text, evidence string) {
	a, b := pair(group, func(a, b *view) bool { return a.etag().Opaque != "" && a.etag().StronglyEquals(b.etag()) })
	if a == nil {
		return nil, "", ""
	}
	return b, "Two content codings have the same strong tag.", codings(a, b)
}

func tagWeakened(group []*view) (found *view, text, evidence string) {
	a, b := pair(group, func(a, b *view) bool {
		return a.etag().Opaque != "" && a.etag().WeaklyEquals(b.etag()) && a.etag().Strong() && !b.etag().Strong()
	})
	if a == nil {
		return nil, "", ""
	}
	return b, "The compressed variant has the weak form of the plain one's tag.", codings(a, b)
}

func tagDropped(group []*view) (found *view, text, evidence string) {
	a, b := pair(group, func(a, b *view) bool { return a.has("Etag") && !b.has("Etag") })
	if a == nil {
		return nil, "", ""
	}
	return b, "The compressed variant has no ETag, and the plain one has.", codings(a, b)
}

func tagUnstable(group []*view) (found *view, text, evidence string) {
	for i, a := range group {
		for _, b := range group[i+1:] {
			same := a.complete() && b.complete() && a.coding() == b.coding() && a.has("Last-Modified") && a.has("Content-Length") && a.has("Etag") && b.has("Etag")
			for _, name := range []string{"Last-Modified", "Content-Length", "Content-Type", "Content-Language"} {
				same = same && a.header.Get(name) == b.header.Get(name)
			}
			if same && a.etag().Opaque != b.etag().Opaque {
				return b, "Two answers of the same length and date have different tags.", a.lines("Etag", "Last-Modified") + "\n" + b.lines("Etag", "Last-Modified")
			}
		}
	}
	return nil, "", ""
}

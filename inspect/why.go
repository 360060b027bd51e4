package inspect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
)

// why is one reason for what became of a call.
type why struct {
	Hop     int    `json:"hop"`
	Layer   string `json:"layer"`
	Text    string `json:"text"`
	Section string `json:"section,omitempty"` // of an RFC, or the option that decides
	URL     string `json:"url,omitempty"`     // of the section
}

// why lists the reasons for what became of the call, hop by hop, as the layers stand in a chain: who asks, the cache, retry, what stands below it.
func (k *look) why() []why {
	all := []why{}
	for i := range k.hops {
		h := &k.hops[i]
		say := func(layer, text, section string) {
			all = append(all, why{i, layer, cleanText(h.redactor.Text(text), maxText), section, sectionURL(section)})
		}
		r := k.record(i)
		if r != nil && r.Auth != "" {
			say("auth", authText(r), "")
		}
		if h.cached {
			for _, reason := range statusOf(h).Reasons() {
				say("cache", reason.Text, reason.Source)
			}
		}
		if h.lost {
			say("body", "The program dropped the response without closing its body, so that the connection cannot be used again.", "")
		}
		if r == nil {
			continue
		}
		if text, section := retryText(r); text != "" {
			say("retry", text, section)
		}
		for _, n := range withoutWithdrawn(r.Notes) {
			say(n.Layer, noteText(n), "")
		}
	}
	return all
}

func statusOf(h *hop) cache.Status {
	s := h.cache
	return cache.Status{Hit: s.Hit, Fwd: cache.Forward(s.Fwd), FwdStatus: s.FwdStatus, Stored: s.Stored, Collapsed: s.Collapsed, TTL: s.TTL, HasTTL: s.HasTTL, Detail: s.Detail}
}

func authText(r *ply.CallHop) string {
	text := map[string]string{
		"added":    "The request got its credentials.",
		"renewed":  "The token had to be renewed first.",
		"replayed": "The server refused the token; a new one was fetched, and the request sent again.",
		"rejected": "The server refused the credentials.",
		"signed":   "The request was signed.",
		"skipped":  "The request got no credentials.",
		"failed":   "There were no credentials to be had.",
	}[r.Auth]
	if text == "" {
		text = "The request's credentials: " + r.Auth + "."
	}
	if r.AuthReason != "" {
		text += " " + r.AuthReason
	}
	return text
}

// stops are why a retry layer makes no further attempt.
var stops = map[retry.Stop]struct{ text, section string }{
	retry.StopFatal:      {"another attempt would meet the same error", ""},
	retry.StopMethod:     {"the server may have done the work, and the method forbids doing it twice", "RFC 9110 §9.2.2"},
	retry.StopBody:       {"the body of the request cannot be sent again", "RFC 9110 §9.2.2"},
	retry.StopAttempts:   {"there were as many as are allowed", "retry.Options.MaxAttempts"},
	retry.StopBudget:     {"the budget for retries is spent", "retry.Options.Budget"},
	retry.StopRetryAfter: {"the server asks for a longer wait than is allowed", "RFC 9110 §10.2.3, retry.Options.MaxRetryAfter"},
	retry.StopDeadline:   {"the wait does not fit before the deadline", "retry.Options.MaxElapsed"},
	retry.StopCanceled:   {"the caller has canceled the request", ""},
	retry.StopCoolDown:   {"the server asked another call to wait longer than this one can", "RFC 9110 §10.2.3"},
	retry.StopPrepare:    {"the request could not be prepared", "retry.Options.Prepare"},
	retry.StopRule:       {"a rule of the program made the failure final", "retry.Options.Rules"},
}

// retryText says how many attempts there were, if there were several, and why there was no further one after a failure.
func retryText(r *ply.CallHop) (text, section string) {
	n, stop := attempts(r), retry.Stop(r.Stop)
	failed := stop != "" && stop != retry.StopDone
	switch {
	case n > 1:
		text = fmt.Sprintf("%d attempts were made.", n)
	case failed:
		text = "One attempt was made."
	}
	if failed {
		reason, known := stops[stop]
		if !known {
			reason.text = r.Stop
		}
		return text + " No further one: " + reason.text + ".", reason.section
	}
	return text, ""
}

// withoutWithdrawn leaves out, for each copy that was not sent after all, that it was sent: the note of its withdrawal says all of it.
func withoutWithdrawn(all []ply.CallNote) []ply.CallNote {
	var left []ply.CallNote
	withdrawn := 0
	for _, n := range slices.Backward(all) {
		switch {
		case n.Layer == "hedge" && n.Event == "withdrew":
			withdrawn++
		case n.Layer == "hedge" && n.Event == "sent" && withdrawn > 0:
			withdrawn--
			continue
		}
		left = append(left, n)
	}
	slices.Reverse(left)
	return left
}

// noteText puts the note of a layer into a sentence.
func noteText(n ply.CallNote) string {
	text := notes[n.Layer+" "+n.Event]
	switch {
	case text == "":
		text = n.String()
	case strings.Contains(text, "%s"):
		text = strings.Replace(text, "%s", n.Detail, 1)
	case n.Detail != "" && !said[n.Detail]:
		text += " (" + n.Detail + ")"
	}
	if n.Span.Duration > 0 {
		text += ", " + n.Span.Duration.Round(100*time.Microsecond).String()
	}
	return text + "."
}

// notes are sentences about what layers tell. The detail stands in the place of %s, or in brackets behind the sentence.
var notes = map[string]string{
	"hedge sent":      "The answer was late, so that a copy of the request was sent beside it",
	"hedge withdrew":  "The answer was late, and a copy of the request was kept back by a layer below: it was not sent",
	"hedge won":       "A copy of the request was answered first",
	"hedge denied":    "The answer was late, and no copy of the request was allowed %s",
	"breaker probed":  "The circuit breaker was open, and let this request through to try the server",
	"breaker refused": "The circuit breaker is open %s: nothing was sent",
	"limit refused":   "There was no room for the request: it was not sent",
	"limit waited":    "The request waited for its turn",
	"auth waited":     "The request waited for a token",
}

// said are details that the sentences have already.
var said = map[string]bool{"a copy": true, "with a copy": true, "for a token": true}

var rfcSection = regexp.MustCompile(`^RFC (\d+) §(\d+(?:\.\d+)*)`)

// sectionURL is where the first section that a source names can be read.
func sectionURL(source string) string {
	m := rfcSection.FindStringSubmatch(source)
	if m == nil {
		return ""
	}
	return "https://www.rfc-editor.org/rfc/rfc" + m[1] + "#section-" + m[2]
}

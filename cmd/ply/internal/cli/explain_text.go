package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/redact"
)

// aboutCaching are the response fields that say how an answer may be cached.
var aboutCaching = []string{
	"Age", "Cache-Control", "Cdn-Cache-Control", "Cache-Status", "Content-Encoding", "Content-Location", "Date", "Etag", "Expires", "Last-Modified",
	"Location", "No-Vary-Search", "Pragma", "Set-Cookie", "Surrogate-Control", "Vary",
}

// cachingFields returns the fields of an answer that are about caching, without secrets.
func cachingFields(h http.Header) http.Header {
	shown := http.Header{}
	for _, name := range aboutCaching {
		for _, value := range h[name] {
			switch {
			case redact.IsSecretHeader(name):
				value = redact.Placeholder
			case name == "Location", name == "Content-Location":
				value = redact.URLText(value)
			default:
				value = redact.Text(value)
			}
			shown.Add(name, value)
		}
	}
	return shown
}

// showExplained prints what is explained, as a text or as a line of JSON.
func (e *env) showExplained(x *explained) error {
	if e.json() {
		return json.NewEncoder(e.stdout).Encode(x)
	}
	_, err := fmt.Fprint(e.stdout, x.text(e.style()))
	return err
}

// text is what is explained, for people.
func (x *explained) text(s style) string {
	var b strings.Builder
	line := func(indent int, format string, args ...any) {
		b.WriteString(strings.Repeat("  ", indent) + printableLine(fmt.Sprintf(format, args...)) + "\n")
	}
	b.WriteString(s.bold(printableLine(x.Method+" "+x.URL)) + "\n")
	if now := x.Now; now != nil {
		b.WriteString("\n" + s.cyan("Now, the cache would "+doing[now.Action]) + "\n")
		writeRules(&b, s, now.Reasons)
		for _, part := range now.Key {
			line(1, "key: %s %s", part.Name, part.Value)
		}
		for i := range now.Stored {
			writeStored(line, &now.Stored[i])
		}
		if now.Fault != "" {
			line(1, "the store cannot be read: %s", now.Fault)
		}
		writeChanges(line, now.Changes)
	}
	if r := x.Response; r != nil {
		outcome := "would not be stored"
		if r.Stored {
			outcome = "would be stored, " + howLong(r)
		}
		b.WriteString("\n" + s.cyan(fmt.Sprintf("The origin's answer, %d, %s", x.Status, outcome)) + "\n")
		for _, name := range aboutCaching {
			for _, value := range x.Header[name] {
				b.WriteString("  " + s.dim(printableLine(name+": "+value)) + "\n")
			}
		}
		writeRules(&b, s, r.Rules)
		writeChanges(line, r.Changes)
	}
	b.WriteString("\n")
	return b.String()
}

// doing is what each action is, in words.
var doing = map[cache.Action]string{
	cache.ActionServe: "answer from the store", cache.ActionServeStale: "answer from the store, and refresh in the background",
	cache.ActionFetch: "ask the origin", cache.ActionValidate: "ask the origin whether what is stored still holds",
	cache.ActionComplete: "ask the origin for the bytes that a stored part lacks", cache.ActionRefuse: "answer 504, for only the store may be asked",
}

// forever is from when on a lifetime is one that does not end: caches count up to 2^31-1 seconds, 68 years (RFC 9111 §1.2.2).
const forever = 50 * 365 * 24 * time.Hour

// howLong says for how long an answer would be used.
func howLong(r *cache.StoringExplanation) string {
	left := (r.FreshnessLifetime - r.Age).Round(time.Second)
	switch {
	case r.NoCache:
		return "and validated before each use"
	case left <= 0:
		return "stale from the start"
	case left > forever:
		return "fresh for ever"
	}
	return "fresh for " + left.String()
}

// writeRules writes rules, each with its section at the end of the line.
func writeRules(b *strings.Builder, s style, rules []cache.Reason) {
	for _, r := range rules {
		fmt.Fprintf(b, "  %s  %s\n", printableLine(r.Text), s.dim("["+printableLine(r.Source)+"]"))
	}
}

func writeChanges(line func(int, string, ...any), changes []string) {
	for _, change := range slices.Compact(changes) {
		change, _, _ = strings.Cut(change, "; ExplainResponse") // the answer is explained below
		line(1, "would change it: %s", change)
	}
}

func writeStored(line func(int, string, ...any), e *cache.ExplainedStored) {
	which := "stored"
	if !e.Selected {
		which = "stored, not selected: " + e.Why
	}
	left := "fresh for " + e.FreshFor.Round(time.Second).String()
	if e.FreshFor <= 0 {
		left = "stale for " + (-e.FreshFor).Round(time.Second).String()
	}
	line(1, "%s: %d, %d bytes, %v old, %s", which, e.StatusCode, e.Size, e.Age.Round(time.Second), left)
	for _, f := range e.Varies {
		verb := "is not"
		if f.Matches {
			verb = "matches"
		}
		line(2, "varies on %s: %s %s %s", f.Name, f.Request, verb, f.Stored)
	}
}

package cachelint

import (
	"net/http"
	"time"

	"github.com/plyhttp/ply/redact"
)

// A Severity says how bad a finding is.
type Severity string

// The severities, worst first.
const (
	Error   Severity = "error"   // wrong answers, or answers for the wrong reader, can come of it
	Warning Severity = "warning" // caches do less than they could, or not what the server seems to mean
	Note    Severity = "note"    // legitimate, and worth knowing
)

// An Exchange is a request and the origin's answer. Bodies are not read.
type Exchange struct {
	Request  *http.Request
	Response *http.Response
	Received time.Time // when the answer came. Zero means now
}

// A Rule is something that Lint looks for.
type Rule struct {
	Name     string
	Severity Severity
	Section  string // of the RFC that has the rule
	Remedy   string // what to do about it
}

// A Finding is a place where a rule is broken. Its texts have no secrets, as far as package redact knows them. It marshals as JSON.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Method   string   `json:"method"`
	URL      string   `json:"url"`
	Text     string   `json:"text"`     // what is wrong, a sentence
	Evidence string   `json:"evidence"` // the header lines that show it
	Section  string   `json:"section"`
	Remedy   string   `json:"remedy"`
}

// Lint returns what is wrong with the exchanges: first what each shows alone, in their order, then what they show together. Exchanges without a request, its URL or a response are passed over;
// so are requests of other methods than GET and HEAD.
func Lint(exchanges ...Exchange) []Finding {
	findings := []Finding{}
	var views []*view
	for i := range exchanges {
		v := look(&exchanges[i])
		if v == nil {
			continue
		}
		views = append(views, v)
		for j := range single {
			if text, evidence := single[j].check(v); text != "" {
				findings = append(findings, finding(&single[j].Rule, v, text, evidence))
			}
		}
	}
	for _, group := range byURL(views) {
		for j := range several {
			if v, text, evidence := several[j].check(group); text != "" {
				findings = append(findings, finding(&several[j].Rule, v, text, evidence))
			}
		}
	}
	return findings
}

// Rules returns all rules.
func Rules() []Rule {
	var all []Rule
	for i := range single {
		all = append(all, single[i].Rule)
	}
	for i := range several {
		all = append(all, several[i].Rule)
	}
	return all
}

// A singleRule judges one exchange: check returns what is wrong and what shows it, or no text.
type singleRule struct {
	Rule
	check func(*view) (text, evidence string)
}

// A severalRule judges all exchanges of one URL: check returns the exchange that shows what is wrong, too.
type severalRule struct {
	Rule
	check func([]*view) (v *view, text, evidence string)
}

var single = join(directiveRules, freshnessRules, validatorRules, variantRules, scopeRules)

var several = join(compareRules, tagRules)

func join[T any](lists ...[]T) (all []T) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func finding(r *Rule, v *view, text, evidence string) Finding {
	return Finding{
		Rule: r.Name, Severity: r.Severity, Method: v.method, URL: redact.URLText(v.url),
		Text: text, Evidence: redact.Text(evidence), Section: r.Section, Remedy: r.Remedy,
	}
}

// byURL groups views by their URL, in the order of the first ones.
func byURL(views []*view) (groups [][]*view) {
	at := map[string]int{}
	for _, v := range views {
		i, known := at[v.url]
		if !known {
			i = len(groups)
			at[v.url] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], v)
	}
	return groups
}

// Package cachelint finds mistakes in how an origin lets its responses be cached: contradictory directives, missing validators, a Vary that leaves no hits,
// tags that do not fit their encodings. It looks at exchanges and sends nothing.
//
//	for _, f := range cachelint.Lint(cachelint.Exchange{Request: req, Response: resp}) {
//		t.Errorf("%s: %s (%s)", f.Rule, f.Text, f.Section)
//	}
//
// What shows in one response alone needs one exchange. What shows only between responses of a URL needs several: a plain one, a conditional one, one to HEAD, some in other content codings.
//
// Where to look: cachelint.go has the types and [Lint]; view.go reads an exchange once for all rules; directives.go, freshness.go, validators.go, variants.go and scope.go are the rules for one response,
// compare.go and compare_tags.go those for several.
package cachelint

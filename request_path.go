package ply

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

type pathValue struct{ placeholder, value string }

// PathValue replaces {name} in the path of the URL with a value:
//
//	client.Get(ctx, "/users/{id}", ply.PathValue("id", id))
//
// The value is escaped as one segment, whatever it contains: "user:42" does not become a scheme, and "//evil.example" not a host.
// An empty value, "." and ".." are an [*OptionError], because no escaping keeps them one segment. So are a name that the path does not have,
// and a placeholder without a PathValue; write literal braces in a path as %7B and %7D.
func PathValue(name, value string) RequestOption {
	return RequestOption{func(d *draft) error {
		if value == "" || value == "." || value == ".." {
			return &OptionError{Option: "PathValue", Reason: "the value of {" + name + "} would change the path around it"}
		}
		d.path = append(d.path, pathValue{"{" + name + "}", url.PathEscape(value)})
		return nil
	}}
}

// fillPath replaces the placeholders in the path of target in one pass, so that a value is never taken for a placeholder.
func (d *draft) fillPath(target string) (string, error) {
	start, end := pathOf(target)
	path := target[start:end]
	if len(d.path) == 0 && !strings.Contains(path, "{") {
		return target, nil
	}
	var pairs []string
	for _, p := range d.path {
		if !strings.Contains(path, p.placeholder) {
			return "", &OptionError{Option: "PathValue", Reason: "the path has no " + p.placeholder}
		}
		pairs = append(pairs, p.placeholder, p.value)
	}
	if forgotten := placeholder.FindString(strings.NewReplacer(withoutValues(pairs)...).Replace(path)); forgotten != "" {
		return "", &OptionError{Option: "PathValue", Reason: "none is given for " + forgotten + " in the path; braces that belong to the path are written %7B and %7D"}
	}
	if len(pairs) == 0 {
		return target, nil
	}
	return target[:start] + strings.NewReplacer(pairs...).Replace(path) + target[end:], nil
}

// withoutValues returns pairs with "/" for each value: a path that they are applied to has only those placeholders left that lack a value.
func withoutValues(pairs []string) []string {
	blank := slices.Clone(pairs)
	for i := 1; i < len(blank); i += 2 {
		blank[i] = "/"
	}
	return blank
}

// template returns the path of target if it has placeholders, or "".
func (d *draft) template(target string) string {
	if len(d.path) == 0 {
		return ""
	}
	start, end := pathOf(target)
	return target[start:end]
}

// pathOf returns where the path begins and ends in a URL that may have placeholders: after the authority, which begins with two slashes, if there is one.
func pathOf(target string) (start, end int) {
	end = len(target)
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		end = i
	}
	scheme := len(literalScheme.FindString(target[:end]))
	if !strings.HasPrefix(target[scheme:end], "//") {
		return 0, end
	}
	start = scheme + len("//")
	if i := strings.IndexByte(target[start:end], '/'); i >= 0 {
		return start + i, end
	}
	return end, end
}

// parseTarget parses target, which is template with its placeholders filled. A colon that a value brought into the first segment
// does not make that a scheme (RFC 3986 §4.2).
func parseTarget(template, target string) (*url.URL, error) {
	if template == target || strings.HasPrefix(template, "/") || literalScheme.MatchString(template) {
		return url.Parse(target)
	}
	u, err := url.Parse("./" + target)
	if err != nil {
		return nil, err
	}
	u.Path, u.RawPath = strings.TrimPrefix(u.Path, "./"), strings.TrimPrefix(u.RawPath, "./")
	return u, nil
}

var literalScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)

// placeholder matches a placeholder of PathValue in a path.
var placeholder = regexp.MustCompile(`\{[A-Za-z0-9_.-]+\}`)

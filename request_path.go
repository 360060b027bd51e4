package ply

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

type pathValue struct{ placeholder, value string }

// PathValue puts a value in the place of {name} in the path of the URL:
//
//	client.Get(ctx, "/users/{id}", ply.PathValue("id", id))
//
// The value is escaped as one segment, whatever it contains: "user:42" makes no scheme of the first segment, and "//evil.example" names no host.
// One that no escaping can keep from being read as something else (empty, "." or "..") is an [*OptionError].
// So are a name that the path does not have, and a placeholder in the path for which there is no PathValue;
// a path that has braces of its own has them as %7B and %7D.
func PathValue(name, value string) RequestOption {
	return RequestOption{func(d *draft) error {
		if value == "" || value == "." || value == ".." {
			return &OptionError{Option: "PathValue", Reason: "the value of {" + name + "} would change the path around it"}
		}
		d.path = append(d.path, pathValue{"{" + name + "}", url.PathEscape(value)})
		return nil
	}}
}

// fillPath replaces placeholders in the path of target, all at once: a value is never taken for a placeholder.
func (d *draft) fillPath(target string) (string, error) {
	start, end := pathOf(target)
	path := target[start:end]
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

// blanked is pairs with values that leave no trace, so that only placeholders without one are left.
func withoutValues(pairs []string) []string {
	blank := slices.Clone(pairs)
	for i := 1; i < len(blank); i += 2 {
		blank[i] = "/"
	}
	return blank
}

// template is the path of a target that has placeholders, "" for one that has none.
func (d *draft) template(target string) string {
	if len(d.path) == 0 {
		return ""
	}
	start, end := pathOf(target)
	return target[start:end]
}

// pathOf finds the path in a URL that may have placeholders. It stands behind the authority, which has two slashes before it.
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

// parseTarget parses a URL whose placeholders have been filled, with the structure that template had before:
// a colon that a value brought into the first segment makes no scheme (RFC 3986 §4.2).
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

// placeholder is what [PathValue] fills, in a path.
var placeholder = regexp.MustCompile(`\{[A-Za-z0-9_.-]+\}`)

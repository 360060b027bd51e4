package tape

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// What an error names of a difference: requests that differ in more, or in longer names, are others.
const (
	maxDiffering = 8
	maxName      = 100
)

// differing returns the names of parameters and the paths of members of content in whose values two requests differ, as keying has them.
// There are none if the requests differ in something else, or in too much.
func differing(before, after *Request) (params, members []string) {
	addressB, queryB, _ := strings.Cut(before.URL, "?")
	addressA, queryA, _ := strings.Cut(after.URL, "?")
	if addressB != addressA || before.Host != after.Host || cmp.Or(before.Method, http.MethodGet) != cmp.Or(after.Method, http.MethodGet) {
		return nil, nil
	}
	b, form := membersOf(before)
	a, formA := membersOf(after)
	switch {
	case b != nil && a != nil && form && formA:
		members = differingNames(b, a)
	case b != nil && a != nil && !form && !formA:
		members = differingPaths(b, a)
	case string(before.Body) != string(after.Body):
		return nil, nil
	}
	params = differingNames(valuesIn(queryB), valuesIn(queryA))
	if all := slices.Concat(params, members); len(all) > maxDiffering || slices.ContainsFunc(all, func(name string) bool { return name == "" || len(name) > maxName }) {
		return nil, nil
	}
	return params, members
}

// differingNames returns the names of the values that differ, sorted.
func differingNames(before, after map[string]any) (names []string) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !reflect.DeepEqual(before[name], after[name]) {
			names = append(names, name)
		}
	}
	return names
}

// differingPaths returns the paths of the members that differ, sorted. What is in a list has the path of the list (keying.BodyOptions).
func differingPaths(before, after map[string]any) (paths []string) {
	for _, name := range differingNames(before, after) {
		path := strings.ReplaceAll(name, ".", `\.`)
		inner := differingIn(before[name], after[name])
		for _, rest := range inner {
			paths = append(paths, path+"."+rest)
		}
		if len(inner) == 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

// differingIn returns the paths below a value in which it differs from another, or none if it differs as a whole.
func differingIn(before, after any) []string {
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			return differingPaths(b, a)
		}
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			return nil
		}
		var paths []string
		for i := range b {
			if reflect.DeepEqual(b[i], a[i]) {
				continue
			}
			inner := differingIn(b[i], a[i])
			if len(inner) == 0 {
				return nil
			}
			paths = append(paths, inner...)
		}
		slices.Sort(paths)
		return slices.Compact(paths)
	}
	return nil
}

// remedy says what of the request differs from the nearest one, and how it is left out. It is empty if that is not a matter of some parameters.
func (e *UnmatchedError) remedy() string {
	params, members := differing(e.Nearest, &e.Request)
	if len(params)+len(members) == 0 || !e.byDefault {
		return ""
	}
	var differs, options []string
	options = append(options, "keying.Method()")
	if len(params) > 0 {
		differs = append(differs, fmt.Sprintf("%q of the URL", params))
		options = append(options, fmt.Sprintf("keying.URL(keying.URLOptions{Ignore: %#v})", params))
	} else {
		options = append(options, "keying.URL(keying.URLOptions{})")
	}
	if len(members) > 0 {
		differs = append(differs, fmt.Sprintf("%q of the content", members))
		options = append(options, fmt.Sprintf("keying.Body(keying.BodyOptions{Ignore: %#v})", members))
	} else {
		options = append(options, "keying.Body(keying.BodyOptions{})")
	}
	text := "All that differs is " + strings.Join(differs, " and ") + ". "
	if e.alike > 1 {
		text += fmt.Sprintf("%d requests of the tape are alike but for that, and may be those of several callers. ", e.alike)
	}
	return text + "If that is new in each run, have it left out by Options.Match:\n  keying.New(" + strings.Join(append(options, "keying.IgnoreCredentials()"), ", ") + ")\n"
}

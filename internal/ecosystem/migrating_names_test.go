package ecosystem

import (
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	resty2 "github.com/go-resty/resty/v2"
	"github.com/gregjones/httpcache"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/imroc/req/v3"
	resty3 "resty.dev/v3"

	"github.com/plyhttp/ply/internal/mdcode"
)

var (
	codeSpan = regexp.MustCompile("`[^`]+`")
	exported = regexp.MustCompile(`(?:\b[a-z]+\.)?\b[A-Z][A-Za-z0-9]+`)
	// Names that are not exported by these packages: header fields, packages that are not required here, and what v2 of resty has in place of the names of v3 below.
	notExported = regexp.MustCompile(`^(From|Control|Retry|After|Content|Type|(diskcache|leveldbcache|memcache|redis)\..*|(resty\.)?(NoRedirectPolicy|FlexibleRedirectPolicy))$`)
	_           = []any{resty2.NoRedirectPolicy, resty2.FlexibleRedirectPolicy}
)

// The first columns of the tables of calls, on the pages on moving, name what the libraries have: members of these types, or what their packages export.
func TestMigratingNamesOfOthersExist(t *testing.T) {
	checker, err := mdcode.New(t.Context(), ".", libraries...)
	if err != nil {
		t.Fatal(err)
	}
	for page, c := range map[string]struct {
		pkg   string
		types []any
		names int
	}{
		"httpcache":        {"httpcache", []any{&httpcache.Transport{}, &httpcache.MemoryCache{}}, 15},
		"go-retryablehttp": {"retryablehttp", []any{&retryablehttp.Client{}, &retryablehttp.Request{}, &http.Client{}}, 25},
		"resty":            {"resty", []any{&resty3.Client{}, &resty3.Request{}, &resty3.Response{}, &resty2.Client{}, &resty2.Request{}, &resty2.Response{}}, 80},
		"req":              {"req", []any{&req.Client{}, &req.Request{}, &req.Response{}}, 80},
	} {
		text, err := os.ReadFile("../../docs/migrating-" + page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		_, tables, _ := strings.Cut(string(text), "## Their calls and ours")
		tables, _, _ = strings.Cut(tables, "## What behaves differently")
		found := 0
		var others []string
		for line := range strings.Lines(tables) {
			if !strings.HasPrefix(line, "| ") {
				continue
			}
			cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
			for _, span := range codeSpan.FindAllString(cell, -1) {
				for _, name := range exported.FindAllString(span, -1) {
					found++
					_, member, qualified := strings.Cut(name, ".")
					if !qualified {
						member = name
					}
					if !notExported.MatchString(name) && !slices.ContainsFunc(c.types, func(v any) bool { return has(v, member) }) {
						others = append(others, c.pkg+"."+member)
					}
				}
			}
		}
		if undefined := checker.Undefined(t.Context(), others...); len(undefined) > 0 || found < c.names {
			t.Errorf("of %d names of %s these do not exist: %q", found, page, undefined)
		}
	}
}

// has reports whether the type that v points to has a method or a field of this name.
func has(v any, member string) bool {
	typ := reflect.TypeOf(v)
	_, method := typ.MethodByName(member)
	_, field := typ.Elem().FieldByName(member)
	return method || field
}

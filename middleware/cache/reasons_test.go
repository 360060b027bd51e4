package cache

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/cachestatus"
)

func TestReasonsOfAStatusNameTheirSections(t *testing.T) {
	for _, tt := range []struct {
		member string
		want   []string
	}{
		{"ply; hit; ttl=59", []string{"RFC 9111 §4.2"}},
		{"ply; hit; ttl=-3", []string{"RFC 9111 §4.2.4"}},
		{`ply; hit; ttl=-3; detail="stale-while-revalidate"`, []string{"RFC 5861 §3"}},
		{`ply; hit; ttl=3; detail="event stream, as it came"`, []string{"RFC 9111 §4.2", "Options.EventStreams"}},
		{"ply; fwd=uri-miss; fwd-status=200; stored", []string{"RFC 9111 §4", "RFC 9111 §3"}},
		{`ply; fwd=uri-miss; fwd-status=200; detail="not stored: no-store"`, []string{"RFC 9111 §4", "RFC 9111 §5.2.2.5"}},
		{`ply; fwd=uri-miss; detail="not stored: no key: a; b"`, []string{"RFC 9111 §4", "Options.Key"}},
		{"ply; fwd=vary-miss; collapsed", []string{"RFC 9111 §4.1", "RFC 9111 §4, RFC 9211 §2.6"}},
		{`ply; fwd=stale; fwd-status=304; stored; detail="no-cache"`, []string{"RFC 9111 §5.2.2.4", "RFC 9111 §4.3.3, §4.3.4"}},
		{`ply; fwd=request; fwd-status=200; detail="request max-age"`, []string{"RFC 9111 §5.2.1.1"}},
		{`ply; fwd=stale; fwd-status=503; ttl=-1; detail="served from store: stale-if-error"`, []string{"RFC 9111 §4.2.4, §4.3", "RFC 5861 §4"}},
		{`ply; fwd=bypass; fwd-status=200; detail="request no-store"`, []string{"RFC 9211 §2.2", "RFC 9111 §5.2.1.5"}},
		{`ply; detail="only-if-cached, nothing stored"`, []string{"RFC 9111 §5.2.1.7"}},
		{`ply; detail="only-if-cached, stored response cannot be used: request max-age"`, []string{"RFC 9111 §5.2.1.7"}},
		{"ply", nil},
	} {
		s, ok := cachestatus.Parse(tt.member)
		if !ok {
			t.Fatal(tt.member)
		}
		var got []string
		for _, r := range statusFrom(s).Reasons() {
			if got = append(got, r.Source); !strings.HasSuffix(r.Text, ".") {
				t.Errorf("%s: no sentence: %s", tt.member, r.Text)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.member, diff)
		}
	}
}

// Every text that the rules and the cache can put into a detail is found in the tables, not merely passed on.
func TestEveryReasonThatTheCacheGivesIsExplained(t *testing.T) {
	said := detailsInSource(t)
	if len(said) < 60 {
		t.Fatalf("only %d reasons found: %q", len(said), said)
	}
	for _, text := range said {
		if reasonOf(text).Text == text && !isSource(text) && !isStandIn(text) {
			t.Errorf("no table has %q", text)
		}
	}
}

func isSource(text string) bool {
	for _, s := range sources {
		if strings.HasPrefix(text, s.reason) {
			return true
		}
	}
	return false
}

func isStandIn(text string) bool {
	return slices.ContainsFunc(standIns, func(r detailed) bool { return r.detail == text })
}

// detailsInSource are the texts that the cache's code gives as a Detail or a bypass, or returns as a reason.
func detailsInSource(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.go", "internal/rfc9111/*.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var said []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			said = append(said, reasonsIn(n)...)
			return true
		})
	}
	slices.Sort(said)
	return slices.Compact(said)
}

// reasonFuncs return reasons as texts, beside the functions whose name begins with unstorable.
var reasonFuncs = []string{"Unacceptable", "OnError", "refusedByRequest", "entry", "wantedEntry", "foreseenEntry", "index", "worthless", "refusal", "apart"}

// namedReasons are constants for reasons.
var namedReasons = []string{"methodBypass", "overrideBypass", "SwitchedOff", "UnsafeBypass", "credentialsBelow", "setBelow", "unnamedConnection", "bodyRefused", "tooLarge", "tooLargeToFilter"}

func reasonsIn(n ast.Node) (said []string) {
	add := func(e ast.Expr) {
		if b, ok := e.(*ast.BinaryExpr); ok { // "no key: " + err
			e = b.X
		}
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, _ := strconv.Unquote(lit.Value); text != "" {
				said = append(said, text)
			}
		}
	}
	switch n := n.(type) {
	case *ast.ValueSpec: // unsafe, credentialsBelow and others that have a name
		for i, name := range n.Names {
			if i < len(n.Values) && slices.Contains(namedReasons, name.Name) {
				add(n.Values[i])
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Detail" {
			add(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			sel, isDetail := left.(*ast.SelectorExpr)
			name, isReason := left.(*ast.Ident)
			if i < len(n.Rhs) && (isDetail && sel.Sel.Name == "Detail" || isReason && name.Name == "reason") {
				add(n.Rhs[i])
			}
		}
	case *ast.CallExpr:
		if sel, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"SetBypass", "refetch", "noteNotStored", "traceNotStored"}, sel.Sel.Name) {
			for _, arg := range n.Args {
				add(arg)
			}
		}
	case *ast.FuncDecl:
		if !slices.Contains(reasonFuncs, n.Name.Name) && !returnsReason(n) && !strings.HasPrefix(strings.ToLower(n.Name.Name), "unstorable") {
			break
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if r, ok := n.(*ast.ReturnStmt); ok {
				for _, result := range r.Results {
					add(result)
				}
			}
			return true
		})
	}
	return said
}

// returnsReason reports whether a function has a result named why or reason.
func returnsReason(f *ast.FuncDecl) bool {
	if f.Type.Results == nil {
		return false
	}
	for _, r := range f.Type.Results.List {
		for _, name := range r.Names {
			if name.Name == "why" || name.Name == "reason" {
				return true
			}
		}
	}
	return false
}

// The header is written before the body: that it says stored must not read as if the body had been stored already.
func TestReasonsPromiseNoStoredBodyBeforeItIsRead(t *testing.T) {
	c, err := New(Options{MaxEntryBytes: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var notStored string
	ctx := WithTrace(t.Context(), &Trace{NotStored: func(_ *http.Request, reason string) { notStored = reason }})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	origin := originFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1,
			Header: http.Header{"Cache-Control": {"max-age=60"}},
			Body:   io.NopCloser(strings.NewReader("longer than MaxEntryBytes")),
		}, nil
	})
	resp, err := c.Middleware(origin).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()

	status, _ := StatusOf(resp)
	if !status.Stored || notStored != "body exceeds MaxEntryBytes" {
		t.Fatalf("Stored is %v, NotStored hears %q", status.Stored, notStored)
	}
	want := []Reason{
		{"Nothing was stored for the URI.", "RFC 9111 §4"},
		{"The response is stored once its body, of Options.MaxEntryBytes at most, has been read to its end.", "RFC 9111 §3"},
	}
	if diff := cmp.Diff(want, status.Reasons()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

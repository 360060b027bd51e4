package inspect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
)

func TestWhyRetryStoppedIsASentence(t *testing.T) {
	tried := func(n int, stop retry.Stop, err error) *ply.CallHop {
		h := &ply.CallHop{Stop: string(stop), Err: err}
		for i := range n {
			h.Exchanges = append(h.Exchanges, ply.CallExchange{Attempt: i + 1})
		}
		return h
	}
	for _, tt := range []struct {
		hop           *ply.CallHop
		text, section string
	}{
		{tried(0, "", nil), "", ""},
		{tried(1, retry.StopDone, nil), "", ""},
		{tried(2, retry.StopDone, nil), "2 attempts were made.", ""},
		{tried(3, retry.StopAttempts, nil), "3 attempts were made. No further one: there were as many as are allowed.", "retry.Options.MaxAttempts"},
		{tried(1, retry.StopMethod, nil), "One attempt was made. No further one: the server may have done the work, and the method forbids doing it twice.", "RFC 9110 §9.2.2"},
		{tried(1, "new", nil), "One attempt was made. No further one: new.", ""},
	} {
		text, section := retryText(tt.hop)
		if diff := cmp.Diff([]string{tt.text, tt.section}, []string{text, section}); diff != "" {
			t.Errorf("%s after %d (-want +got)\n%s", tt.hop.Stop, len(tt.hop.Exchanges), diff)
		}
	}
}

func TestNoteOfALayerIsASentence(t *testing.T) {
	for _, tt := range []struct {
		note ply.CallNote
		want string
	}{
		{ply.CallNote{Layer: "limit", Event: "waited", Span: ply.CallSpan{Duration: 12345 * time.Microsecond}}, "The request waited for its turn, 12.3ms."},
		{ply.CallNote{Layer: "breaker", Event: "refused", Detail: "for 1s"}, "The circuit breaker is open for 1s: nothing was sent."},
		{ply.CallNote{Layer: "breaker", Event: "refused", Detail: "while others probe"}, "The circuit breaker is open while others probe: nothing was sent."},
		{ply.CallNote{Layer: "hedge", Event: "denied", Detail: "by the budget"}, "The answer was late, and no copy of the request was allowed by the budget."},
		{ply.CallNote{Layer: "hedge", Event: "won", Detail: "with a copy"}, "A copy of the request was answered first."},
		{ply.CallNote{Layer: "limit", Event: "refused", Detail: "queue full"}, "There was no room for the request: it was not sent (queue full)."},
		{ply.CallNote{Layer: "quota", Event: "asked", Detail: "for more"}, "quota asked for more."},
	} {
		if got := noteText(tt.note); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestCopyThatWasNotSentIsNotSaidToHaveBeen(t *testing.T) {
	sent, withdrew := ply.CallNote{Layer: "hedge", Event: "sent", Detail: "a copy"}, ply.CallNote{Layer: "hedge", Event: "withdrew", Detail: "a copy"}
	refused := ply.CallNote{Layer: "limit", Event: "refused"}
	for _, tt := range []struct{ notes, want []ply.CallNote }{
		{nil, nil},
		{[]ply.CallNote{sent, refused, withdrew}, []ply.CallNote{refused, withdrew}},
		{[]ply.CallNote{sent, withdrew, sent}, []ply.CallNote{withdrew, sent}},
		{[]ply.CallNote{sent, sent, withdrew}, []ply.CallNote{sent, withdrew}},
	} {
		if diff := cmp.Diff(tt.want, withoutWithdrawn(tt.notes)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	if got, want := noteText(withdrew), "The answer was late, and a copy of the request was kept back by a layer below: it was not sent."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each reason to stop and each note of ply's own layers has a sentence of its own.
func TestEveryStopAndNoteOfPlyIsExplained(t *testing.T) {
	for name := range constantsOf(t, "../middleware/retry", "Stop") {
		stop := retry.Stop(name)
		if _, known := stops[stop]; !known && stop != retry.StopDone {
			t.Errorf("no sentence for the stop %q", stop)
		}
	}
	found := 0
	for _, dir := range []string{"../middleware", "../resilience"} {
		for note := range notesOf(t, dir) {
			if found++; notes[note] == "" {
				t.Errorf("no sentence for the note %q", note)
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d notes found", found)
	}
}

func eachFile(t *testing.T, dir string, visit func(ast.Node) bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err == nil {
			ast.Inspect(file, visit)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// constantsOf returns the values of the constants of a type.
func constantsOf(t *testing.T, dir, typ string) map[string]bool {
	values := map[string]bool{}
	eachFile(t, dir, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typ {
			for _, v := range spec.Values {
				values[literal(v)] = true
			}
		}
		return true
	})
	if len(values) == 0 {
		t.Fatalf("no constants of type %s in %s", typ, dir)
	}
	return values
}

// notesOf returns layer and event of each note that is told in a folder.
func notesOf(t *testing.T, dir string) map[string]bool {
	told := map[string]bool{}
	eachFile(t, dir, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if sel, ok := lit.Type.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Note" {
			return true
		}
		fields := map[string]string{}
		for _, e := range lit.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				fields[kv.Key.(*ast.Ident).Name] = literal(kv.Value)
			}
		}
		told[fields["Layer"]+" "+fields["Event"]] = true
		return true
	})
	return told
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		text, _ := strconv.Unquote(lit.Value)
		return text
	}
	return ""
}

func TestSectionsHaveTheirAddresses(t *testing.T) {
	for source, want := range map[string]string{
		"RFC 9111 §5.2.2.5":                "https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2.5",
		"RFC 9111 §4, RFC 9110 §9.2.3":     "https://www.rfc-editor.org/rfc/rfc9111#section-4",
		"RFC 5861 §4":                      "https://www.rfc-editor.org/rfc/rfc5861#section-4",
		"Options.Store":                    "",
		"":                                 "",
		"see RFC 9111 §4":                  "",
		"RFC 9111 §3.5, for every":         "https://www.rfc-editor.org/rfc/rfc9111#section-3.5",
		"javascript:alert(1) RFC 9111 §4 ": "",
	} {
		if got := sectionURL(source); got != want {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	}
}

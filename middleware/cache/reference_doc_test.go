package cache

import (
	"io"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plyhttp/ply/internal/cachestatus"
	"github.com/plyhttp/ply/internal/eventstream"
	"github.com/plyhttp/ply/middleware/cache/internal/durable"
	"github.com/plyhttp/ply/middleware/cache/internal/invalidation"
	"github.com/plyhttp/ply/middleware/cache/internal/lease"
	"github.com/plyhttp/ply/middleware/cache/internal/rfc9111"
	"github.com/plyhttp/ply/middleware/cache/internal/storeclient"
	"github.com/plyhttp/ply/middleware/cache/internal/stream"
)

// The tables of details in docs/cache-reference.md have every text that the cache can put into a detail, or tell a Trace, and no other.
func TestReferenceListsEachDetail(t *testing.T) {
	page := referencePage(t)
	rows := slices.Concat(
		codesOf(t, page, "### Why the origin was asked, or not", 0),
		codesOf(t, page, "### Why a response was not stored", 0),
		codesOf(t, page, "### Known only after the header", 0),
	)
	said := append(detailsInSource(t), moreDetails(t)...)
	for _, text := range said {
		if !slices.ContainsFunc(rows, func(row string) bool { return fits(row, text) }) {
			t.Errorf("docs/cache-reference.md has no row for the detail %q", text)
		}
	}
	for _, row := range rows {
		if !slices.ContainsFunc(said, func(text string) bool { return fits(row, text) }) {
			t.Errorf("docs/cache-reference.md has a row for %q, which no code says", row)
		}
	}
}

// fits reports whether a row of a table is about a text. A row may end with "…", and a text that begins a longer one ends with a space.
func fits(row, text string) bool {
	if prefix, open := strings.CutSuffix(row, "…"); open && strings.HasPrefix(text, prefix) {
		return true
	}
	if strings.HasSuffix(text, " ") {
		return strings.HasPrefix(row, text)
	}
	return row == text || row == cachestatus.ServedInstead+text && isStandIn(text)
}

// moreDetails are those that the code does not write as literals where it gives them.
func moreDetails(t *testing.T) []string {
	_, tags := invalidation.NamedTags(numbered(invalidation.MaxResponseTags + 1))
	_, long := invalidation.NamedTags([]string{strings.Repeat("x", invalidation.MaxTagName+1)})
	groups := invalidation.UnstorableGroups(http.Header{"Cache-Groups": {`"` + strings.Join(numbered(invalidation.MaxGroups+1), `", "`) + `"`}})
	said := []string{
		tags, long, groups, stream.NotReadToItsEnd, stream.OverBudget, stream.ErrSlow, rfc9111.UnhashedReason,
		eventstream.InsideEvent, eventstream.NoEvent, eventstream.ErrorEvent, EventStreamsAtOnce.detail(), EventStreamsPaced.detail(),
		lease.ErrOlder.Error(), lease.ErrOff.Error(), storeclient.ErrBusy.Error(), durable.ErrUnfit.Error(), durable.ErrNewer.Error(), string(SkipInvalidated),
		"mode " + ModeForceCache.String(), "mode " + ModeOnlyIfCached.String(), "mode " + ModeReadOnly.String(),
		"fetched by another process", "the origin answered others so, whose answers are not to be shared",
	}
	for _, body := range []stream.Outcome{
		(&stream.BodyCopy{}).Judge(0, http.ErrBodyReadAfterClose), (&stream.BodyCopy{Length: 1}).Judge(2, nil), (&stream.BodyCopy{Length: 2, Limit: 2}).Judge(1, io.EOF),
	} {
		said = append(said, body.Reason)
	}
	if slices.Contains(said, "") {
		t.Fatalf("a detail is empty: %q", said)
	}
	return said
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, "n"+strconv.Itoa(i))
	}
	return names
}

// The table of options has each field of Options, in its order.
func TestReferenceListsEachOption(t *testing.T) {
	if diff := cmp.Diff(fieldsOf(reflect.TypeFor[Options]()), codesOf(t, referencePage(t), "## Each option", 0)); diff != "" {
		t.Errorf("-Options +table\n%s", diff)
	}
}

// The table of counts has each field of Stats, in its order.
func TestReferenceListsEachCount(t *testing.T) {
	if diff := cmp.Diff(fieldsOf(reflect.TypeFor[Stats]()), codesOf(t, referencePage(t), "## Each count", 0)); diff != "" {
		t.Errorf("-Stats +table\n%s", diff)
	}
}

// The tables of a stored response have each method of an Entry, and each field of its readable form.
func TestReferenceListsAllOfAnEntry(t *testing.T) {
	page := referencePage(t)
	var listed []string
	for _, name := range codesOf(t, page, "## One stored response, in full", 0) {
		name, _, _ = strings.Cut(name, "(")
		listed = append(listed, name)
	}
	var methods []string
	for m := range reflect.TypeFor[*Entry]().NumMethod() {
		if name := reflect.TypeFor[*Entry]().Method(m).Name; name != "MarshalJSON" {
			methods = append(methods, name)
		}
	}
	slices.Sort(listed)
	if diff := cmp.Diff(methods, listed); diff != "" {
		t.Errorf("-Entry +table\n%s", diff)
	}
	_, below, _ := strings.Cut(page, "`json.Marshal(e)` has all of this")
	if diff := cmp.Diff(fieldsOf(reflect.TypeFor[jsonEntry]()), codesOf(t, "\n## JSON\n"+below, "## JSON", 0), cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("-JSON +table\n%s", diff)
	}
}

func fieldsOf(of reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(of) {
		names = append(names, f.Name)
	}
	return names
}

// The tables of outcomes and of parameters have each word of them.
func TestReferenceListsEachOutcomeAndForward(t *testing.T) {
	page := referencePage(t)
	if diff := cmp.Diff([]string{"hit", "stale", "revalidated", "refreshed", "miss", "bypassed", "refused"}, codesOf(t, page, "## Each outcome", 0)); diff != "" {
		t.Error(diff)
	}
	parameters := codesOf(t, page, "## Each parameter", 0)
	for fwd := range forwards {
		if !slices.Contains(parameters, "fwd="+string(fwd)) {
			t.Errorf("no row for fwd=%s", fwd)
		}
	}
}

func referencePage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/cache-reference.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

var code = regexp.MustCompile("`([^`]+)`")

// codesOf are the texts between backticks in a column of the first table below a heading, without its two first lines.
func codesOf(t *testing.T, page, heading string, column int) (codes []string) {
	t.Helper()
	_, below, ok := strings.Cut(page, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("no heading %q", heading)
	}
	_, table, _ := strings.Cut(below, "\n|")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, row := range strings.Split(table, "\n")[2:] {
		for _, match := range code.FindAllStringSubmatch(strings.Split(row, "|")[column+1], -1) {
			codes = append(codes, match[1])
		}
	}
	if len(codes) == 0 {
		t.Fatalf("no table below %q", heading)
	}
	return codes
}

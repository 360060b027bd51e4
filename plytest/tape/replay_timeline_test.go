package tape

import (
	"net/http"
	"testing"
	"time"
)

// A tape that was recorded below a cache may have nothing but 304 for a page. With a search of all for each, this would take an hour.
func TestManyNotModifiedAreResolvedInOnePass(t *testing.T) {
	const n = 400_000
	lost := &Exchange{Request: Request{URL: pageURL}, Response: &Response{Status: http.StatusNotModified, Header: http.Header{"Etag": {`"lost"`}}}}
	all := make(timeline, n)
	for i := range all {
		e := *lost
		e.At = time.Duration(i)
		all[i] = &moment{Exchange: &e}
	}
	first := at(0, http.StatusOK, "one", "Etag", `W/"1"`)
	all[n/2] = &moment{Exchange: first}
	all[n-1].Response = &Response{Status: http.StatusNotModified, Header: http.Header{"Etag": {`"1"`}}}
	all.resolve()
	if all[n-1].representation != first || all[0].representation != nil {
		t.Error("the last confirms the only representation, and the others confirm what is not there")
	}
}

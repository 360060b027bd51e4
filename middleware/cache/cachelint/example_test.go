package cachelint_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/plyhttp/ply/middleware/cache/cachelint"
)

// A test of a handler checks what it tells caches.
func ExampleLint() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store, max-age=60")
		fmt.Fprint(w, "hello")
	})
	req := httptest.NewRequest("GET", "https://example.com/a", nil)
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, req)
	for _, f := range cachelint.Lint(cachelint.Exchange{Request: req, Response: rec.Result()}) {
		fmt.Printf("%s: %s\n%s\n%s\n", f.Severity, f.Text, f.Evidence, f.Section)
	}
	// Output:
	// warning: no-store stands beside a lifetime, which therefore means nothing.
	// Cache-Control: no-store, max-age=60
	// RFC 9111 §5.2.2.5
}

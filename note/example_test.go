package note_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/note"
	"github.com/plyhttp/ply/plytest"
)

// A layer of your own that says what it does. The record of each call shows it.
func ExampleTell() {
	patient := func(next http.RoundTripper) http.RoundTripper {
		return ply.HandlerFunc(func(req *http.Request) (*http.Response, error) {
			note.Tell(req.Context(), note.Note{Layer: "quota", Event: "asked", Detail: "for one more", Start: time.Now()})
			return next.RoundTrip(req)
		})
	}
	ctx, notes := note.Collect(context.Background())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.test/", nil)
	resp, err := patient(plytest.NewOrigin(plytest.Text("ok"))).RoundTrip(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	for _, n := range notes() {
		fmt.Println(n)
	}
	// Output: quota asked for one more
}

package breaker_test

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/breaker"
)

// Three failures open the breaker. What comes then fails at once, and the server is left alone.
func ExampleNew() {
	b, err := breaker.New(breaker.Options{
		MinRequests: 3,
		OnChange:    func(c breaker.Change) { fmt.Printf("%s: %s → %s\n", c.Key, c.From, c.To) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := plytest.NewOrigin(plytest.Status(http.StatusBadGateway))
	client := &http.Client{Transport: b.Middleware(down)}
	refused := 0
	for range 10 {
		resp, err := client.Get("http://example.com/")
		if err == nil {
			resp.Body.Close()
		} else if open := (*breaker.OpenError)(nil); errors.As(err, &open) {
			refused++
		}
	}
	fmt.Println(down.Count(), "sent,", refused, "refused")
	// Output:
	// example.com: closed → open
	// 3 sent, 7 refused
}

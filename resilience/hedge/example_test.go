package hedge_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest"
	"github.com/plyhttp/ply/resilience/hedge"
)

// The first answer never comes. After ten milliseconds a copy is sent, and the caller has its answer.
func ExampleNew() {
	h, err := hedge.New(hedge.Options{Delay: 10 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: h.Middleware(plytest.NewOrigin(plytest.Stall(), plytest.Text("from the copy")))}
	fmt.Println(ply.Text(client.Get("http://example.com/")))
	fmt.Printf("%+v\n", h.Stats())
	// Output:
	// from the copy <nil>
	// {Hedges:1 Won:1 Denied:0}
}

package hedge_test

import (
	"context"
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

// Some requests are dear to the server, and not worth a copy.
func ExampleDisable() {
	h, err := hedge.New(hedge.Options{Delay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	origin := &plytest.Origin{Latency: 20 * time.Millisecond, Script: []plytest.Reply{plytest.Text("report")}}
	client := &http.Client{Transport: h.Middleware(origin)}
	req, _ := http.NewRequestWithContext(hedge.Disable(context.Background()), http.MethodGet, "http://example.com/report", nil)
	fmt.Println(ply.Text(client.Do(req)))
	fmt.Println(origin.Count(), "request")
	// Output:
	// report <nil>
	// 1 request
}

// Nothing is hedged until enough requests to a host have been measured.
func ExampleHedger_Delay() {
	h, err := hedge.New(hedge.Options{MinSamples: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: h.Middleware(plytest.NewOrigin(plytest.Text("ok")))}
	for range 3 {
		_, known := h.Delay("example.com")
		fmt.Println(known)
		if err := ply.Discard(client.Get("http://example.com/")); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// false
	// false
	// true
}

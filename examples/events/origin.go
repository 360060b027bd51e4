package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
)

// A feed sends five orders over three connections: it breaks the first one, ends the second one, and is over after the third.
type feed struct{ connections atomic.Int64 }

func newFeed() *feed { return new(feed) }

var items = []string{"tea", "milk", "honey", "bread", "salt"}

func (f *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // 0 for the first connection
	if last == len(items) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, ": hello\n\ndata: you have seen %d orders\n\n", last)
	for n := last + 1; n <= min(last+2, len(items)); n++ {
		fmt.Fprintf(w, "id: %d\nevent: order\ndata: {\"item\": %q,\ndata:  \"quantity\": %d}\n\n", n, items[n-1], n*n)
	}
	if f.connections.Add(1) == 1 {
		fmt.Fprint(w, "id: 3\nevent: order\ndata: half an ev") // an event without its end is dropped
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

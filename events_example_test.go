package ply_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/plyhttp/ply"
)

// The answer of a language model comes as a stream that has an end.
func ExampleEvents() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: Hello\n\ndata: , world\n\nevent: done\ndata\n\n")
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	for event, err := range ply.Events(client.Post(ctx, "/v1/complete", ply.BodyJSON(map[string]any{"stream": true}))) {
		switch {
		case err != nil:
			log.Fatal(err)
		case event.Type == "done":
			fmt.Println()
		default:
			fmt.Print(event.Data)
		}
	}
	// Output: Hello, world
}

// A feed goes on where it broke off, until the server says that there is no more.
func ExampleClient_Events() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch r.Header.Get("Last-Event-ID") {
		case "":
			io.WriteString(w, "retry: 10\n\nid: 1\ndata: first\n\nid: 2\ndata: cut o")
		case "1":
			io.WriteString(w, "id: 2\ndata: second\n\n")
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL, Timeouts: ply.Timeouts{IdleRead: 45 * time.Second}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	again := ply.Reconnect(ply.ReconnectOptions{
		MinInterval: 20 * time.Millisecond, // so that the example ends soon: leave it at a second
		OnReconnect: func(err error, _ time.Duration) { fmt.Println("again:", err) },
	})
	for event, err := range client.Events(context.Background(), "/feed", again) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.ID, event.Data)
	}
	// Output:
	// 1 first
	// again: <nil>
	// 2 second
	// again: <nil>
}

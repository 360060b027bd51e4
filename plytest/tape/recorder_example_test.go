package tape_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/plytest/tape"
)

func ExampleRecorder() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }))
	defer server.Close()
	record := func() error {
		recorder, err := tape.NewRecorder(tape.RecorderOptions{})
		if err != nil {
			return err
		}
		client, err := ply.New(ply.Options{Use: []ply.Middleware{recorder.Middleware}})
		if err != nil {
			return err
		}
		defer client.Close()
		if _, err := ply.Text(client.Get(context.Background(), server.URL+"/greeting")); err != nil {
			return err
		}
		for _, e := range recorder.Tape().Redact(nil).Exchanges {
			fmt.Println(e.Request.Method, e.Request.URL[len(server.URL):], e.Response.Status, string(e.Response.Body()))
		}
		return nil
	}
	if err := record(); err != nil {
		fmt.Println(err)
	}
	// Output: GET /greeting 200 hello
}

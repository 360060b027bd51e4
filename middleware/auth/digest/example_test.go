package digest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth/digest"
)

func ExampleNew() {
	camera := httptest.NewServer(&server{qop: "auth", algorithm: "SHA-256"})
	defer camera.Close()

	client := &http.Client{Transport: digest.New(digest.Options{
		Username: "Mufasa", Password: "Circle of Life", Origins: []string{camera.URL},
	})(nil)}
	defer client.CloseIdleConnections()

	fmt.Println(ply.Text(client.Get(camera.URL + "/snapshot")))
	// Output: Mufasa /snapshot  <nil>
}

package sigv4_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth/sigv4"
)

func ExampleNew() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := verify(r, "execute-api")
		fmt.Fprint(w, id, " ", err)
	}))
	defer api.Close()

	client := &http.Client{Transport: sigv4.New(sigv4.Options{
		Credentials: keys("AKIDEXAMPLE", ""), // or Credentials of an aws.Config
		Service:     "execute-api",
		Region:      "eu-central-1",
		Origins:     []string{api.URL},
		Principal:   "account 123456789012",
	})(nil)}
	defer client.CloseIdleConnections()

	fmt.Println(ply.Text(client.Get(api.URL + "/orders")))
	// Output: AKIDEXAMPLE <nil> <nil>
}

package auth_test

import (
	"net/http"
	"testing"

	"github.com/plyhttp/ply/middleware/auth"
	"github.com/plyhttp/ply/plytest"
)

// contractOrigins are those of the requests of plytest.
var contractOrigins = []string{"https://layer.test"}

// Both layers keep the contract of http.RoundTripper.
func TestContract(t *testing.T) {
	for name, layer := range map[string]func(http.RoundTripper) http.RoundTripper{
		"a token": func(next http.RoundTripper) http.RoundTripper {
			return auth.New(auth.Options{Source: auth.Static(auth.Token{Value: "t", Principal: "alice"}), Origins: contractOrigins})(next)
		},
		"a key in the query": func(next http.RoundTripper) http.RoundTripper {
			return auth.New(auth.Options{Source: auth.APIKey("alice", "k"), Query: "api_key", Origins: contractOrigins})(next)
		},
		"a signature": auth.Sign(auth.SignOptions{Principal: "alice", Origins: contractOrigins, Signer: auth.SignerFunc(func(r *http.Request) error {
			r.Header.Set("Authorization", "ACME signature=1")
			return nil
		})}),
	} {
		t.Run(name, func(t *testing.T) { plytest.CheckMiddleware(t, layer) })
	}
}

package plyoauth2_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/auth"
	plyoauth2 "github.com/plyhttp/ply/middleware/auth/oauth2"
)

func ExampleClientCredentials() {
	a := &authority{}
	issuer := httptest.NewServer(http.HandlerFunc(a.token))
	defer issuer.Close()
	api := httptest.NewServer(http.HandlerFunc(a.api))
	defer api.Close()

	source, err := plyoauth2.ClientCredentials(&clientcredentials.Config{
		ClientID: "billing", ClientSecret: secret, TokenURL: issuer.URL,
	}, plyoauth2.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := ply.New(ply.Options{
		BaseURL: api.URL,
		Use:     []ply.Middleware{auth.New(auth.Options{Source: source, Origins: []string{api.URL}})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	defer http.DefaultClient.CloseIdleConnections()

	fmt.Println(ply.Text(client.Get(context.Background(), "/me")))
	// Output: billing <nil>
}

func ExampleRefreshToken() {
	a := &authority{}
	a.grant("refresh-of-alice", "alice")
	server := httptest.NewServer(http.HandlerFunc(a.token))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	source, err := plyoauth2.RefreshToken(
		&oauth2.Config{ClientID: "app", ClientSecret: secret, Endpoint: oauth2.Endpoint{TokenURL: server.URL}},
		&oauth2.Token{RefreshToken: "refresh-of-alice"}, // as a file or a database has kept it
		plyoauth2.Options{
			Principal: func(*oauth2.Token) string { return "alice" },
			OnRotate: func(t *oauth2.Token) error {
				fmt.Println("keep", t.RefreshToken)
				return nil
			},
		})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := source.Token(context.Background()) // which the layer does
	fmt.Println(token.Principal, err)
	// Output:
	// keep refresh-1
	// alice <nil>
}

package ply_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/plyhttp/ply"
)

// A program fetches what its users name, but nothing of the network that it runs in.
func ExampleGuard() {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "for insiders") }))
	defer inside.Close()
	client, err := ply.New(ply.Options{Guard: &ply.Guard{}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = ply.Text(client.Get(context.Background(), inside.URL))
	var refused *ply.GuardError
	if errors.As(err, &refused) {
		fmt.Println(refused.Host, "is refused:", refused.Reason)
	}
	// Output: 127.0.0.1 is refused: loopback (RFC 1122 §3.2.1.3)
}

// What a program needs of its own network is listed, as narrowly as it can be.
func ExampleGuard_allow() {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "for insiders") }))
	defer inside.Close()
	transport, err := ply.NewTransport(ply.TransportOptions{Guard: &ply.Guard{
		AllowPrefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		AllowHosts:    []string{"*.svc.corp.example"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.CloseIdleConnections()

	client := &http.Client{Transport: transport}
	fmt.Println(ply.Text(client.Get(inside.URL)))
	_, err = client.Get("http://169.254.169.254/latest/meta-data/")
	fmt.Println(err)
	// Output:
	// for insiders <nil>
	// Get "http://169.254.169.254/latest/meta-data/": dial tcp 169.254.169.254:80: ply: Guard refuses 169.254.169.254: cloud metadata service (AWS, Azure, Google Cloud and others); only 169.254.169.254/32 in Guard.AllowPrefixes allows it
}

// A server cannot lead a client to where others can read along.
func ExampleHTTPSOnlyError() {
	server := httptest.NewTLSServer(http.RedirectHandler("http://example.com/?token=hunter2", http.StatusFound))
	defer server.Close()
	client, err := ply.New(ply.Options{HTTPSOnly: true, Transport: server.Client().Transport})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Get(context.Background(), server.URL)
	var refused *ply.HTTPSOnlyError
	fmt.Println(errors.As(err, &refused), refused)
	// Output: true ply: HTTPSOnly refuses a redirect to http://example.com/?token=REDACTED
}

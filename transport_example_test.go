package ply_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/plyhttp/ply"
)

// A daemon that listens on a Unix socket is spoken to like any server.
func ExampleNewTransport() {
	dir, err := os.MkdirTemp("", "ply")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "daemon.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s of %s", r.URL.Path, r.Host)
	})}
	go server.Serve(listener)
	defer server.Close()

	transport, err := ply.NewTransport(ply.TransportOptions{UnixSocket: socket, ConnectTimeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	client, err := ply.New(ply.Options{Transport: transport})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ply.Text(client.Get(context.Background(), "http://daemon/containers")))
	// Output: /containers of daemon <nil>
}

func ExampleTimeout() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Get(context.Background(), "/", ply.Timeout(50*time.Millisecond))
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	var timeout *ply.TimeoutError
	if errors.As(err, &timeout) {
		fmt.Println(timeout.Phase, timeout.Limit)
	}
	// Output:
	// true
	// total 50ms
}

// A download may take its time, as long as something arrives.
func ExamplePhaseTimeouts() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "some of it")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	client, err := ply.New(ply.Options{BaseURL: server.URL, Timeouts: ply.Timeouts{Total: time.Minute}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	resp, err := client.Get(context.Background(), "/", ply.PhaseTimeouts(ply.Timeouts{Total: -1, IdleRead: 50 * time.Millisecond}))
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	fmt.Printf("%s: %v\n", text, err)
	// Output: some of it: ply: idle read timeout after 50ms
}

// One request goes to a server that a private authority vouches for.
func ExampleTLSConfig() {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "verified") }))
	defer server.Close()
	authority := x509.NewCertPool()
	authority.AddCert(server.Certificate())
	config := &tls.Config{RootCAs: authority}
	client, err := ply.New(ply.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fmt.Println(ply.Text(client.Get(context.Background(), server.URL, ply.TLSConfig(config))))
	// Output: verified <nil>
}

func ExampleInsecureSkipVerify() {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from anyone") }))
	defer server.Close()
	client, err := ply.New(ply.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fmt.Println(ply.Text(client.Get(context.Background(), server.URL, ply.InsecureSkipVerify())))
	// Output: from anyone <nil>
}

func ExamplePinCertificate() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the one we know") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	known := sha256.Sum256(server.Certificate().Raw)
	client, err := ply.New(ply.Options{BaseURL: server.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	fmt.Println(ply.Text(client.Get(ctx, "/", ply.PinCertificate(known))))

	_, err = client.Get(ctx, "/", ply.PinCertificate([sha256.Size]byte{1, 2, 3}))
	var another *ply.CertificatePinError
	if errors.As(err, &another) {
		fmt.Println("another certificate at", another.Host)
	}
	// Output:
	// the one we know <nil>
	// another certificate at 127.0.0.1
}

func ExampleProxyURL() {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "asked for %s by %s", r.RequestURI, r.Header.Get("Proxy-Authorization"))
	}))
	defer proxy.Close()
	through, err := url.Parse(proxy.URL)
	if err != nil {
		log.Fatal(err)
	}
	through.User = url.UserPassword("user", "password")
	client, err := ply.New(ply.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	fmt.Println(ply.Text(client.Get(context.Background(), "http://origin.test/page", ply.ProxyURL(through.String()))))
	// Output: asked for http://origin.test/page by Basic dXNlcjpwYXNzd29yZA== <nil>
}

func ExampleProxyConnectHeader() {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.Host, "for", r.Header.Get("X-Tenant"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	client, err := ply.New(ply.Options{Defaults: []ply.RequestOption{
		ply.ProxyURL(proxy.URL),
		ply.ProxyConnectHeader(http.Header{"X-Tenant": {"blue"}}),
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Get(context.Background(), "https://origin.test/")
	fmt.Println(err)
	// Output:
	// CONNECT origin.test:443 for blue
	// Get "https://origin.test/": Forbidden
}

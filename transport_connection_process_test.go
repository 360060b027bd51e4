package ply_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	filestore "github.com/plyhttp/ply/store/file"
	"github.com/stretchr/testify/require"
)

// TestProcessesThatShareAStoreKeepConnectionsApart runs itself in other processes: the name of a connection means the same in each.
func TestProcessesThatShareAStoreKeepConnectionsApart(t *testing.T) {
	if dir := os.Getenv("PLY_TEST_CONNECTIONS"); dir != "" {
		askAs(t, dir, os.Getenv("PLY_TEST_WHO"), os.Getenv("PLY_TEST_URL"))
		return
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(who))
	s.Config.ErrorLog = quiet
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	save := func(name, kind string, der []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	save("ca", "CERTIFICATE", s.Certificate().Raw)
	for _, name := range []string{"alice", "bob"} {
		c := clientCertificate(t, name)
		save(name, "CERTIFICATE", c.Certificate[0])
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		require.NoError(t, err)
		save(name+".key", "PRIVATE KEY", key)
	}
	result := regexp.MustCompile(`RESULT (.*)`)
	for i, step := range []struct{ who, want string }{
		{"alice", "alice miss"}, {"bob", "bob miss"}, {"alice", "alice hit"}, {"bob", "bob hit"},
		{"bob by callback", "bob bypassed"}, {"alice by callback", "alice bypassed"}, {"alice by name", "alice miss"}, {"alice by name", "alice hit"},
		{"unverified", "anonymous miss"}, {"unverified", "anonymous hit"}, {"anonymous", " error"}, {"alice", "alice hit"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestProcessesThatShareAStoreKeepConnectionsApart$")
		cmd.Env = append(os.Environ(), "PLY_TEST_CONNECTIONS="+dir, "PLY_TEST_WHO="+step.who, "PLY_TEST_URL="+s.URL)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		if got := result.FindSubmatch(out); got == nil || string(got[1]) != step.want {
			t.Errorf("process %d, %s: got %q, want %q", i, step.who, got, step.want)
		}
	}
}

// askAs is what one of the processes does.
func askAs(t *testing.T, dir, who, url string) {
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(dir, "ca"))
	require.NoError(t, err)
	roots.AppendCertsFromPEM(ca)
	config := &tls.Config{RootCAs: roots}
	load := func(name string) tls.Certificate {
		c, err := tls.LoadX509KeyPair(filepath.Join(dir, name), filepath.Join(dir, name+".key"))
		require.NoError(t, err)
		return c
	}
	callback := func(name string) {
		c := load(name)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	use := func(next http.RoundTripper) http.RoundTripper { return next }
	switch who {
	case "alice", "bob":
		config.Certificates = []tls.Certificate{load(who)}
	case "alice by callback":
		callback("alice")
	case "bob by callback":
		callback("bob")
	case "alice by name":
		callback("alice")
		use = cache.NamedConnection("alice's")
	case "unverified":
		config = &tls.Config{InsecureSkipVerify: true}
	default:
		config = nil
	}
	files, err := filestore.Open(filepath.Join(dir, "store"), filestore.Options{})
	require.NoError(t, err)
	defer files.Close()
	c, err := cache.New(cache.Options{Store: files, StoreTimeout: time.Minute})
	require.NoError(t, err)
	defer c.Close() // which waits for the store
	client := &http.Client{Transport: c.Middleware(use(&http.Transport{TLSClientConfig: config}))}
	resp, err := client.Get(url)
	if err != nil {
		fmt.Println("RESULT  error")
		return
	}
	status, _ := cache.StatusOf(resp)
	body, err := ply.Text(resp, nil)
	require.NoError(t, err)
	fmt.Println("RESULT", body, status.Outcome())
}

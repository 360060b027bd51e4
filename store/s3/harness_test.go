//go:build unix

package s3_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
	"github.com/plyhttp/ply/store/s3/internal/fake"
	"github.com/plyhttp/ply/store/storetest/processtest"
)

var (
	long  = flag.Duration("long", 0, "how long each fault lasts, such as 1m, instead of a moment")
	exact = flag.Bool("exact", false, "assert times to the millisecond, which needs a machine with nothing else to do")
)

// serverPath is the program that the module internal/server builds.
var serverPath string

const accessKey, secretKey = "tester", "secret-of-tester"

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// Whatever the machine has of Amazon's is nothing to the tests.
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		os.Setenv(name, value)
	}
	if processtest.Child() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "ply-s3-server-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	serverPath = filepath.Join(dir, "server")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", serverPath, ".")
	build.Dir = filepath.Join("internal", "server")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		log.Printf("internal/server does not build: %v\n%s", err, out)
		serverPath = ""
	}
	return m.Run()
}

// server is the gateway of internal/server, a process of its own on a port of 127.0.0.1 that ends with the test.
type server struct {
	addr string // host:port

	tb  testing.TB
	dir string
	cmd *exec.Cmd
}

// start starts a server with an empty bucket.
func start(tb testing.TB) *server {
	tb.Helper()
	if serverPath == "" {
		testutil.SkipUnlessCI(tb, "internal/server does not build; its log is above")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	addr := l.Addr().String()
	l.Close()
	s := &server{addr: addr, tb: tb, dir: filepath.Join(tb.TempDir(), "buckets")}
	require.NoError(tb, os.MkdirAll(filepath.Join(s.dir, fake.Bucket), 0o755))
	tb.Cleanup(s.kill)
	s.start()
	return s
}

// start starts the server on the same port and with the same objects each time, and returns when it accepts connections.
func (s *server) start() {
	s.tb.Helper()
	s.cmd = exec.Command(serverPath, s.addr, s.dir, accessKey, secretKey)
	s.cmd.SysProcAttr = attributes()
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, os.Stderr
	require.NoError(s.tb, s.cmd.Start())
	testutil.Eventually(s.tb, "the server accepts connections", func() bool {
		conn, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends the server at once. It can be started again.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
	s.cmd = nil
}

// url is the address of the store with a prefix on a server.
func url(addr, prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=http://%s&path_style=true", fake.Bucket, prefix, addr)
}

// open returns a store on a server, with a prefix.
func open(tb testing.TB, addr, prefix string, o s3.Options) *s3.Store {
	tb.Helper()
	if o.Credentials == nil {
		o.Credentials = credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")
	}
	s, err := s3.Open(url(addr, prefix), o)
	require.NoError(tb, err)
	tb.Cleanup(func() { s.Close() })
	return s
}

// fakeServer returns a fake and a store on it.
func fakeServer(tb testing.TB, o s3.Options) (*fake.Server, *s3.Store) {
	tb.Helper()
	f := fake.New(tb)
	return f, open(tb, f.Listener.Addr().String(), "ply", o)
}

// put puts a record in the place of whatever is there, and returns what is there then.
func put(tb testing.TB, s store.Store, key, data string) store.Record {
	tb.Helper()
	ctx := context.Background()
	require.NoError(tb, s.Delete(ctx, key, ""))
	require.NoError(tb, s.Put(ctx, key, store.Record{Data: []byte(data), Kind: store.KindEntry}))
	return get(tb, s, key)
}

func get(tb testing.TB, s store.Store, key string) store.Record {
	tb.Helper()
	r, err := s.Get(context.Background(), key)
	require.NoError(tb, err)
	return r
}

// pause stops the server where it is, or lets it go on: it accepts connections and bytes, and answers nothing.
func (s *server) pause(stopped bool) {
	s.tb.Helper()
	sig := syscall.SIGCONT
	if stopped {
		sig = syscall.SIGSTOP
	}
	require.NoError(s.tb, s.cmd.Process.Signal(sig))
}

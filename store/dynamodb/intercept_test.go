//go:build unix

package dynamodb_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/store/dynamodb"
)

// intercepted are the calls of a client on their way to a server.
type intercepted struct {
	mu    sync.Mutex // guards the fields below
	calls []string   // the operations that were sent
	do    func(op string, r *http.Request) (*http.Response, error)
}

// set has do make the calls from now on; nil passes them on.
func (i *intercepted) set(do func(op string, r *http.Request) (*http.Response, error)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls, i.do = nil, do
}

func (i *intercepted) sent() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

// Do implements the SDK's HTTPClient.
func (i *intercepted) Do(r *http.Request) (*http.Response, error) {
	op := r.Header.Get("X-Amz-Target")
	op = op[strings.LastIndexByte(op, '.')+1:]
	i.mu.Lock()
	i.calls = append(i.calls, op)
	do := i.do
	i.mu.Unlock()
	if do == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return do(op, r)
}

// openIntercepted opens a store, in a namespace of its own, whose calls can be intercepted.
func openIntercepted(t *testing.T, addr string, o dynamodb.Options) (*dynamodb.Store, *intercepted) {
	t.Helper()
	i := &intercepted{}
	client := rawClient(addr, i)
	o.Namespace = namespace()
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	s, err := dynamodb.New(client, "cache", o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s, i
}

func rawClient(addr string, c awsdynamodb.HTTPClient) *awsdynamodb.Client {
	return awsdynamodb.New(awsdynamodb.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String("http://" + addr), HTTPClient: c,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "hunter2hunter2", ""),
	})
}

// refusal is the answer that the server gives with an error of this type.
func refusal(r *http.Request, status int, errorType string) *http.Response {
	body := `{"__type":"com.amazonaws.dynamodb.v20120810#` + errorType + `","message":"no"}`
	return &http.Response{StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// edited passes a call on with another body, and returns the body of its answer.
func edited(r *http.Request, body []byte) (*http.Response, []byte, error) {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, text, err
}

var errLost = errors.New("the reply is lost")

// losing makes the first call of an operation and loses its answer.
func losing(want string) func(op string, r *http.Request) (*http.Response, error) {
	var once sync.Once
	return func(op string, r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if op == want && err == nil {
			once.Do(func() { resp.Body.Close(); resp, err = nil, &temporary{errLost} })
		}
		return resp, err
	}
}

// temporary is an error of a connection, as the SDK tells them.
type temporary struct{ error }

func (*temporary) Temporary() bool { return true }

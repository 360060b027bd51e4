package ecosystem

import (
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/plyhttp/ply"
)

// Two layers that retry multiply: what docs/retry.md says of each library, with the library's retries on and off.
// The origin fails for good, and ply's layer makes three attempts.
func TestRetriesMultiply(t *testing.T) {
	for name, c := range map[string]struct {
		call    func(t *testing.T, url string, hc *http.Client, off bool)
		on, off int64
	}{
		"AWS SDK":          {callAWS, 9, 3},
		"elastic":          {callElastic, 12, 3},
		"go-retryablehttp": {callRetryable, 15, 3},
	} {
		t.Run(name, func(t *testing.T) {
			origin := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			client := newClient(t, ply.Options{Use: []ply.Middleware{eager(3)}})
			c.call(t, origin.URL, client.HTTPClient(), false)
			origin.saw(t, c.on)
			c.call(t, origin.URL, client.HTTPClient(), true)
			origin.saw(t, c.off)
		})
	}
}

func callAWS(t *testing.T, url string, hc *http.Client, off bool) {
	var retryer aws.Retryer = awsretry.NewStandard(func(o *awsretry.StandardOptions) {
		o.Backoff = awsretry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
	})
	if off {
		retryer = aws.NopRetryer{}
	}
	store := s3.New(s3.Options{
		BaseEndpoint: aws.String(url), Region: "eu-central-1", UsePathStyle: true, HTTPClient: hc, Retryer: retryer,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	if _, err := store.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("k")}); err == nil {
		t.Error("no error")
	}
}

func callElastic(t *testing.T, node string, hc *http.Client, off bool) {
	u, err := url.Parse(node)
	if err != nil {
		t.Fatal(err)
	}
	options := []elastictransport.Option{elastictransport.WithURLs(u), elastictransport.WithTransport(hc.Transport)}
	if off {
		options = append(options, elastictransport.WithDisableRetry())
	}
	es, err := elastictransport.NewClient(options...)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := esapi.GetRequest{Index: "books", DocumentID: "1"}.Do(t.Context(), es)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

func callRetryable(t *testing.T, url string, hc *http.Client, off bool) {
	c := retryablehttp.NewClient()
	c.HTTPClient, c.Logger = hc, nil
	c.RetryWaitMin, c.RetryWaitMax = time.Millisecond, time.Millisecond
	if off {
		c.RetryMax = 0
	}
	resp, err := c.Get(url)
	if err == nil {
		resp.Body.Close()
	}
}

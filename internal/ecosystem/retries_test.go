package ecosystem

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	resty2 "github.com/go-resty/resty/v2"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/imroc/req/v3"
	resty3 "resty.dev/v3"

	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

// The clients of docs/comparison.md in the order of its columns, each told to send a request three times at most and as it is otherwise.
var retryingClients = []struct {
	name string
	send func(t *testing.T, method string, origin http.RoundTripper)
}{
	{"ply", func(t *testing.T, method string, origin http.RoundTripper) {
		sendWith(t, method, retry.New(retry.Options{})(origin))
	}},
	{"resty v3", func(t *testing.T, method string, origin http.RoundTripper) {
		client := resty3.New().SetTransport(origin).SetLogger(silent{}).SetRetryCount(2)
		defer client.Close()
		_, _ = client.R().SetContext(t.Context()).SetBody("x").Execute(method, "http://origin.test/")
	}},
	{"resty v2", func(t *testing.T, method string, origin http.RoundTripper) {
		client := resty2.New().SetTransport(origin).SetLogger(silent{}).SetRetryCount(2)
		_, _ = client.R().SetContext(t.Context()).SetBody("x").Execute(method, "http://origin.test/")
	}},
	{"req", func(t *testing.T, method string, origin http.RoundTripper) {
		client := req.C().SetLogger(silent{}).SetCommonRetryCount(2)
		client.GetTransport().WrapRoundTripFunc(func(http.RoundTripper) req.HttpRoundTripFunc { return origin.RoundTrip })
		_, _ = client.R().SetContext(t.Context()).SetBody("x").Send(method, "http://origin.test/")
	}},
	{"go-retryablehttp", func(t *testing.T, method string, origin http.RoundTripper) {
		client := retryablehttp.NewClient()
		client.HTTPClient.Transport, client.Logger, client.RetryMax = origin, nil, 2
		sendWith(t, method, &retryablehttp.RoundTripper{Client: client})
	}},
	{"failsafe-go", func(t *testing.T, method string, origin http.RoundTripper) {
		sendWith(t, method, failsafehttp.NewRoundTripper(origin, failsafehttp.NewRetryPolicyBuilder().Build()))
	}},
}

func sendWith(t *testing.T, method string, transport http.RoundTripper) {
	t.Helper()
	resp, err := send(t.Context(), t, &http.Client{Transport: transport}, method, strings.NewReader("x"))
	if err == nil && resp.Body == nil {
		t.Error("no body")
	}
}

// The rows of the table "What is sent again, executed" in docs/comparison.md.
var retrySituations = map[string]struct {
	method string
	reply  plytest.Reply
}{
	"GET, 503":                               {http.MethodGet, plytest.Status(503)},
	"GET, 429":                               {http.MethodGet, plytest.Status(429)},
	"GET, 408":                               {http.MethodGet, plytest.Status(408)},
	"GET, the connection breaks":             {http.MethodGet, plytest.ResetConnection()},
	"GET, no such host":                      {http.MethodGet, plytest.NoSuchHost()},
	"GET, a certificate that is not trusted": {http.MethodGet, plytest.BadCertificate()},
	"POST, 503":                              {http.MethodPost, plytest.Status(503)},
	"POST, the connection breaks":            {http.MethodPost, plytest.ResetConnection()},
	"POST, connection refused":               {http.MethodPost, plytest.Refuse()},
}

// What docs/comparison.md says that six clients send is what they send.
func TestClientsSendAgainWhatTheComparisonSays(t *testing.T) {
	if _, err := os.ReadFile(uncached); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/comparison.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| ((?:GET|POST), .+?)((?: \| \d)+) \|$`).FindAllStringSubmatch(string(page), -1)
	same(t, "rows", len(rows), len(retrySituations))
	for _, row := range rows {
		situation, there := retrySituations[row[1]]
		if !there {
			t.Errorf("nothing is known of the row %q", row[1])
			continue
		}
		var got strings.Builder
		for _, client := range retryingClients {
			n := requests(t, situation.reply, func(t *testing.T, origin *plytest.Origin) { client.send(t, situation.method, origin) })
			got.WriteString(" | " + string(rune('0'+n)))
		}
		same(t, row[1], got.String(), row[2])
	}
}

package redact

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What may be shown, and what signs a URL, name by name: a name that is added or lost is a decision, and shows here.
func TestListsOfNames(t *testing.T) {
	for _, test := range []struct {
		name string
		got  []string
		want string
	}{
		{"fields that are shown", slices.Sorted(maps.Keys(harmless)), `
			Accept Accept-Charset Accept-Encoding Accept-Language Accept-Patch Accept-Post Accept-Ranges Age Allow Alt-Svc
			Cache-Control Cache-Status Cache-Tag Cdn-Cache-Control Connection Content-Encoding Content-Language Content-Length Content-Range Content-Type
			Date Edge-Cache-Tag Etag Expect Expires Host If-Match If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified
			Max-Forwards Pragma Prefer Range Ratelimit Ratelimit-Limit Ratelimit-Policy Ratelimit-Remaining Ratelimit-Reset Retry-After Retry-After-Ms
			Server Server-Timing Strict-Transport-Security Surrogate-Control Surrogate-Key Te Traceparent Trailer Transfer-Encoding Upgrade User-Agent Vary Via Warning
			X-Cache X-Content-Type-Options X-Ratelimit-Limit X-Ratelimit-Remaining X-Ratelimit-Reset X-Request-Id`},
		{"fields whose value is a URL", slices.Sorted(maps.Keys(urlHeaders)), `Content-Location Location Referer`},
		{"fields that are never shown", slices.Sorted(slices.Values(secretFields)), `
			Authentication-Info Authorization Cookie Cookie2 Dpop Proxy-Authenticate Proxy-Authentication-Info Proxy-Authorization
			Set-Cookie Set-Cookie2 Www-Authenticate X-Auth X-Auth-User X-Wsse`},
		{"parameters that sign a URL", slices.Sorted(slices.Values(SignedURLs)), `
			AWSAccessKeyId GoogleAccessId Key-Pair-Id OSSAccessKeyId Policy Signature X-Amz-Credential X-Amz-Security-Token X-Amz-Signature
			X-Goog-Credential X-Goog-Signature se sig skoid sktid sp st sv`},
	} {
		if diff := cmp.Diff(strings.Fields(test.want), test.got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.name, diff)
		}
	}
}

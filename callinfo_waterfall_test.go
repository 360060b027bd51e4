package ply_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/plytest"
)

func ms(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// waterfall is a record in which everything occurs.
var waterfall = ply.CallInfo{
	Method: "GET", URL: "https://a.test/old", Status: 200, Total: ms(100),
	Hops: []ply.CallHop{{
		Method: "GET", URL: "https://a.test/old", Status: 301, Cache: "hit", Header: ply.CallSpan{Duration: ms(1)},
	}, {
		Method: "GET", URL: "https://b.test/new?token=REDACTED", Status: 200, Cache: "miss", CacheReason: "uri-miss", Stop: "done",
		Header: ply.CallSpan{Start: ms(1), Duration: ms(79)}, Body: ply.CallSpan{Start: ms(80), Duration: ms(20)}, Received: 1234,
		Exchanges: []ply.CallExchange{{
			Attempt: 1, URL: "https://b.test/new?token=REDACTED", Err: &url.Error{Op: "Get", URL: "https://b.test/new?token=hush", Err: errors.New("reset\nby\u202epeer")},
			Remote: "192.0.2.7:443", Span: ply.CallSpan{Start: ms(1), Duration: ms(29)},
			Queue: ply.CallSpan{Start: ms(1), Duration: ms(20)}, DNS: ply.CallSpan{Start: ms(1), Duration: ms(4)},
			Connect: ply.CallSpan{Start: ms(5), Duration: ms(6)}, TLS: ply.CallSpan{Start: ms(11), Duration: ms(10)}, Send: ply.CallSpan{Start: ms(21), Duration: ms(1)},
		}, {
			Attempt: 2, URL: "https://b.test/new?token=REDACTED", Status: 200, Proto: "HTTP/2.0", Wait: ms(30), Remote: "192.0.2.7:443", Reused: true,
			Span: ply.CallSpan{Start: ms(60), Duration: ms(20)}, Queue: ply.CallSpan{Start: ms(60), Duration: ms(0)},
			Send: ply.CallSpan{Start: ms(60), Duration: ms(1)}, Answer: ply.CallSpan{Start: ms(61), Duration: ms(19)},
		}},
	}},
}

func TestWaterfall(t *testing.T) {
	want := strings.TrimSpace(`
GET https://a.test/old
200 OK, 1234 bytes in 100.00ms
                                         at       took
hop 1: GET https://a.test/old
  cache: hit
  301                                0.00ms     1.00ms  █
hop 2: GET https://b.test/new?token=REDACTED
  cache: miss (uri-miss)
  retry: 2 attempts
  attempt 1: failed                  1.00ms    29.00ms  ███████
    resolve                          1.00ms     4.00ms  ▒
    connect 192.0.2.7:443            5.00ms     6.00ms   ▒▒
    TLS handshake                   11.00ms    10.00ms     ▒▒
    send                            21.00ms     1.00ms       ▒
    error: Get "https://b.test/new?token=REDACTED": reset by peer
  wait                              30.00ms    30.00ms         ░░░░░░░
  attempt 2: 200 HTTP/2.0           60.00ms    20.00ms                █████
    reused connection               60.00ms     0.00ms                ▒
    send                            60.00ms     1.00ms                ▒
    wait for first byte             61.00ms    19.00ms                 ▒▒▒▒
  body, 1234 bytes                  80.00ms    20.00ms                     █████`)
	got := waterfall.String()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for line := range strings.SplitSeq(got, "\n") {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns in %q", n, line)
		}
	}
	for name, i := range map[string]ply.CallInfo{"zero": {}, "endless": {Total: -1, Hops: []ply.CallHop{{Header: ply.CallSpan{Start: 1 << 62}}}}} {
		if i.String() == "" {
			t.Errorf("%s shows nothing", name)
		}
	}
}

// The text of a call with very many attempts omits their phases, which the fields have, so that it fits on two screens.
func TestLongWaterfallOmitsPhases(t *testing.T) {
	i := waterfall
	hop := i.Hops[1]
	hop.Exchanges = slices.Repeat(hop.Exchanges, 5)
	i.Hops = []ply.CallHop{hop}
	if s := i.String(); strings.Contains(s, "TLS handshake") || strings.Count(s, "attempt ") != 10 {
		t.Errorf("got\n%s", s)
	}
}

// The record shows time spent in layers of other packages, though without their names.
func TestWaterfallShowsTimeInLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := func(next http.RoundTripper) http.RoundTripper {
			return ply.HandlerFunc(func(r *http.Request) (*http.Response, error) {
				time.Sleep(3 * time.Second)
				resp, err := next.RoundTrip(r)
				time.Sleep(5 * time.Second)
				return resp, err
			})
		}
		i := recorded(t, newClient(t, ply.Options{Transport: plytest.NewOrigin(plytest.Status(503), plytest.Text("ok")), Use: []ply.Middleware{retry.New(retry.Options{Backoff: retry.Constant(time.Second)}), limit}}), "http://a.test/")
		for _, row := range []string{
			"in layers 0.00ms 3000.00ms", "attempt 1: 503 HTTP/1.1 3000.00ms 0.00ms",
			"wait 3000.00ms 1000.00ms", "in layers 4000.00ms 8000.00ms", "attempt 2: 200 HTTP/1.1 12000.00ms 0.00ms",
			"in layers 12000.00ms 5000.00ms",
		} {
			if !strings.Contains(strings.Join(strings.Fields(i.String()), " "), row) {
				t.Errorf("no %q in\n%s", row, i)
			}
		}
	})
}

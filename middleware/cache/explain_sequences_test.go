package cache_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/keying"
	"github.com/plyhttp/ply/middleware/cache"
)

// What a sequence is drawn from. Numbers of dates are seconds from now; a field stands once for each line.
var (
	drawnControl = []string{
		"", "", "max-age=60", "max-age=60", "max-age=0", "max-age=1", "max-age=60, s-maxage=5", "s-maxage=60", "no-store", "no-cache", "no-cache, max-age=60", "private, max-age=60", "public", "public, max-age=60",
		"MAX-AGE=60, Public", "max-age=60, must-revalidate", "max-age=10, proxy-revalidate", "max-age=10, stale-while-revalidate=30", "max-age=10, stale-if-error=100", "max-age=60, immutable", "max-age=5, max-age=60",
		"max-age=x", "max-age=-1", "max-age=99999999999", "max-age=\"60\"", "no-store, must-understand, max-age=60", `max-age=60, no-cache="x-a"`, `private="x-a", max-age=60`, "must-understand, max-age=60", "max-age=10, stale-while-revalidate=30, must-revalidate",
		"max-age=10|public", "private, s-maxage=60, max-age=10", ",,max-age=60,",
	}
	drawnFields = []string{
		"", "", "", "Age: 20", "Age: 100", "Age: 99999999999", "Age: x", "Age: 5|Age: 30", "Date: -30", "Date: +300", "Date: x", "Vary: Accept", "Vary: accept|Vary: X-A", "Vary: *", "Set-Cookie: a=b", "Expires: +60", "Expires: 0", "Expires: -60",
		"Expires: +60|Expires: +10", "Pragma: no-cache", "No-Vary-Search: params", "Content-Type: text/event-stream", "Connection: x-a", "Connection: vary|Vary: X-A", "Content-Location: /a", "Content-Encoding: gzip", "CDN-Cache-Control: max-age=30", "Cache-Groups: \"a\"",
	}
	drawnValidators = []string{"", `Etag: "1"`, `Etag: "1"`, `Etag: W/"1"`, "Last-Modified: -1000", "Last-Modified: +1000", `Etag: "1"|Last-Modified: -1000`}
	drawnStatuses   = []int{200, 200, 200, 200, 200, 200, 203, 204, 206, 301, 302, 304, 400, 401, 404, 410, 412, 416, 418, 500, 501, 503, 599}
	drawnRequests   = []string{
		"", "", "", "", "Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=10", "Cache-Control: max-age=0", "Cache-Control: max-stale", "Cache-Control: max-stale=30", "Cache-Control: min-fresh=50",
		"Cache-Control: only-if-cached", "Cache-Control: only-if-cached, max-stale", "Cache-Control: max-age=10, max-stale=5", "Cache-Control: stale-if-error=100", "Cache-Control: min-fresh=0", "Cache-Control: max-stale=x", "Cache-Control: MAX-AGE=10|Cache-Control: no-cache",
		"Pragma: no-cache", "Accept: text/html", "Accept: text/plain", "X-A: 1", "Authorization: Bearer a", "Authorization: Bearer b", "Cookie: a=b", "X-Api-Key: k", "Range: bytes=0-1", "Range: bytes=2-", "Range: bytes=0-1,4-5", `If-None-Match: "1"`, `If-None-Match: "2"`, "If-Modified-Since: -500",
		`If-Match: "1"`, `Range: bytes=0-1|If-Range: "1"`, "Upgrade: x|Connection: upgrade", "X-HTTP-Method-Override: DELETE", "Last-Event-ID: 3", "Accept-Encoding: gzip",
	}
	drawnMethods = []string{"GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "QUERY", "get", "PURGE"}
	drawnURLs    = []string{url, url, url, url, url + "?b=1", url + "?c=2"}
	drawnWaits   = []time.Duration{0, 0, time.Second, 5 * time.Second, 10 * time.Second, 11 * time.Second, 30 * time.Second, 40 * time.Second, 60 * time.Second, 59*time.Second + 500*time.Millisecond, 61 * time.Second, time.Hour}
)

func drawnExpiry(n int) expiry.Strategy {
	all := []expiry.Strategy{
		nil, nil, nil, nil, expiry.Default(), expiry.FromServer(), expiry.After(20 * time.Second), expiry.At(time.Now().Add(30 * time.Second)), expiry.NeverExpires(), expiry.AlwaysRevalidate(), expiry.NoStore(),
		expiry.Clamp(expiry.Default(), 5*time.Second, 30*time.Second), expiry.Sliding(expiry.After(20 * time.Second)), expiry.StaleWindows(expiry.Default(), 10*time.Second, 20*time.Second), expiry.First(expiry.FromServer(), expiry.After(10*time.Second)),
		expiry.ByStatus(map[int]expiry.Strategy{404: expiry.After(5 * time.Second), 500: expiry.NoStore()}), expiry.ByType(map[string]expiry.Strategy{"text/*": expiry.After(5 * time.Second)}), expiry.Ahead(expiry.Default(), 0.999999),
	}
	return all[n%len(all)]
}

func drawnOptions(draw *rand.Rand) cache.Options {
	some := func() bool { return draw.IntN(6) == 0 }
	o := cache.Options{Shared: draw.IntN(2) == 0, Expiry: drawnExpiry(draw.IntN(100))}
	if some() {
		o.Key = []keying.Strategy{keying.SingleUser(), keying.New(keying.IgnoreCredentials()), keying.New(keying.Header("X-A"))}[draw.IntN(3)]
	}
	if some() {
		o.Mode = cache.Mode(draw.IntN(int(cache.ModeReadOnly) + 1))
	}
	if some() {
		o.Methods = []string{"POST", "QUERY"}
	}
	if some() {
		o.Statuses = []int{200, 404, 206}
	}
	if some() {
		o.TargetedFields = []string{"CDN-Cache-Control"}
	}
	if some() {
		o.StaleWhileRevalidate = 15 * time.Second
	}
	if some() {
		o.EventStreams = cache.EventStreamMode(1)
	}
	o.RefuseSetCookie, o.ReplayCookies, o.OneIdentityBelow = some(), some(), some()
	return o
}

func pick[T any](draw *rand.Rand, list []T) T { return list[draw.IntN(len(list))] }

func linesOf(drawn ...string) (fields []string) {
	for _, some := range drawn {
		for field := range strings.SplitSeq(some, "|") {
			name, value, ok := strings.Cut(field, ": ")
			if !ok {
				continue
			}
			switch name {
			case "Expires", "Last-Modified", "Date", "If-Modified-Since":
				var seconds int
				if _, err := fmt.Sscanf(value, "%d", &seconds); err == nil && value != "0" {
					value = time.Now().Add(time.Duration(seconds) * time.Second).UTC().Format(http.TimeFormat)
				}
			}
			fields = append(fields, name+": "+value)
		}
	}
	return fields
}

var sequences = flag.Uint64("sequences", 600, "how many sequences of requests TestExplainForeseesEachStepOfASequence sends")

// Each step of a sequence of requests does what Explain foresaw, and each answer is stored or not as ExplainResponse said when it came.
//
//	go test ./middleware/cache -run TestExplainForeseesEachStepOfASequence -sequences 10000
func TestExplainForeseesEachStepOfASequence(t *testing.T) {
	for seed := range *sequences {
		if explainSequence(t, seed); t.Failed() {
			return
		}
	}
}

func explainSequence(t *testing.T, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, 1))
	inBubble(t, func(t *testing.T) {
		options := drawnOptions(draw)
		var log []string
		var foreseen *cache.StoringExplanation
		var c *cache.Cache
		var r *http.Request
		var status int
		var fields []string
		o := &origin{}
		o.answer = func(sent *http.Request) *http.Response {
			body := "0123456789"
			if strings.Contains(strings.Join(fields, "\n"), "event-stream") {
				body = "data: x\n\n"
			}
			resp := reply(status, body, fields...)
			switch {
			case status == 206:
				resp = reply(206, "01", append(fields, "Content-Range: bytes 0-1/10")...)
			case status == 204:
				resp = reply(204, "", fields...)
			case status == 304 && sent.Header.Get("If-None-Match") == "" && sent.Header.Get("If-Modified-Since") == "":
				resp = reply(200, body, fields...)
			}
			if resp.Header.Get("Date") == "" {
				resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			}
			if foreseen == nil {
				var err error
				foreseen, err = c.ExplainResponse(r.Context(), r, resp)
				require.NoError(t, err)
			}
			return resp
		}
		g := newRig(t, o, options)
		c = g.Cache
		defer g.Close()
		for range 2 + draw.IntN(4) {
			control := pick(draw, drawnControl)
			if control != "" {
				control = "Cache-Control: " + strings.ReplaceAll(control, "|", "|Cache-Control: ")
			}
			status, fields = pick(draw, drawnStatuses), linesOf(control, pick(draw, drawnFields), pick(draw, drawnFields), pick(draw, drawnValidators))
			ctx := context.Context(t.Context())
			how := ""
			switch draw.IntN(20) {
			case 0:
				ctx, how = cache.WithMode(ctx, cache.Mode(draw.IntN(int(cache.ModeReadOnly)+1))), "mode"
			case 1:
				ctx, how = cache.Disable(ctx), "disabled"
			case 2:
				ctx, how = cache.WithPrincipal(ctx, "alice"), "alice"
			case 3:
				ctx, how = cache.WithExpiry(ctx, drawnExpiry(draw.IntN(100))), "expiry"
			}
			r = must(http.NewRequestWithContext(ctx, pick(draw, drawnMethods), pick(draw, drawnURLs), nil))
			for _, line := range linesOf(pick(draw, drawnRequests), pick(draw, drawnRequests)) {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			if r.Header.Get("If-None-Match")+r.Header.Get("If-Modified-Since") != "" {
				r.Header.Set("X-Conditional", "the caller's own")
			}
			wait := pick(draw, drawnWaits)
			time.Sleep(wait)
			synctest.Wait()
			log = append(log, fmt.Sprintf("%v later %s %s %s %v -> %d %q", wait, how, r.Method, r.URL, r.Header, status, fields))
			x := g.explained(r)
			foreseen = nil
			asked := len(o.asked)
			_, answer := g.send(r)
			synctest.Wait()
			var sent *http.Request
			if len(o.asked) > asked {
				sent = o.asked[asked]
			}
			got, _ := cache.StatusOf(answer)
			if x.Action == cache.ActionServeStale {
				sent, foreseen = nil, nil
			}
			where := fmt.Sprintf("seed %d, %+v\n  %s\n", seed, options, strings.Join(log, "\n  "))
			got.Detail, _, _ = strings.Cut(got.Detail, "event stream, ") // how it is replayed
			got.Detail = strings.TrimSuffix(got.Detail, "; ")
			if why := agrees(x, got, answer, sent); why != "" {
				t.Errorf("%s%s\n%v\nCache-Status: %s", where, why, x, got)
			}
			if foreseen != nil && len(o.asked) == asked+1 && got.FwdStatus != 304 {
				if foreseen.Stored != got.Stored || !foreseen.Stored && r.Method != http.MethodHead && !strings.Contains(got.Detail, foreseen.Reason) && !strings.HasPrefix(got.Detail, "served from store") {
					t.Errorf("%sstoring was foreseen as %v\nCache-Status: %s", where, foreseen, got)
				}
				if left := foreseen.FreshnessLifetime - foreseen.Age; got.Stored && got.HasTTL && (got.TTL > 0) != (left > 0) {
					t.Errorf("%sforeseen as fresh for %v\nCache-Status: %s", where, left, got)
				}
			}
			if t.Failed() {
				return
			}
		}
	})
}

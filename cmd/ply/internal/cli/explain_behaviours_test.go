package cli

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
)

//go:embed testdata/behaviours.txt
var behaviours string

// In each of the public cases of cache behaviour, as private and as shared cache, each request does what the command foresaw, and each answer is stored or not as it said.
func TestExplainAgreesInThePublicCasesOfCacheBehaviour(t *testing.T) {
	cases, did := 0, map[string]int{}
	for line := range strings.Lines(behaviours) {
		if line = strings.TrimSuffix(line, "\n"); strings.HasPrefix(line, "#") {
			continue
		}
		cases++
		synctest.Test(t, func(t *testing.T) {
			for _, o := range []cache.Options{{}, {Shared: true}, {Shared: true, TargetedFields: []string{"CDN-Cache-Control"}}} {
				behave(t, o, line, did)
			}
		})
	}
	for _, what := range []string{"hit", "revalidated", "miss", "stored", "not stored"} {
		if did[what] < 30 {
			t.Errorf("only %d times %s", did[what], what)
		}
	}
	if cases < 300 {
		t.Errorf("only %d cases", cases)
	}
}

// A scriptedOrigin gives the answer of the step, or 304 if that is what the request asks for. It has each answer explained before the cache sees it.
type scriptedOrigin struct {
	answer  combination
	explain func(*http.Response)
	asked   []*http.Request
}

func (o *scriptedOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	o.asked = append(o.asked, r)
	origin := statedOrigin{status: o.answer.status, header: o.answer.header(o.answer.response)}
	resp := origin.answer(r)
	if resp.Header.Get("Date") == "" {
		resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	o.explain(resp)
	return resp, nil
}

// behave goes through the steps of a case.
func behave(t *testing.T, options cache.Options, line string, did map[string]int) {
	c, err := cache.New(options)
	require.NoError(t, err)
	defer c.Close()
	o := &scriptedOrigin{}
	rt := c.Middleware(o)
	for step := range strings.SplitSeq(line, " ;; ") {
		r, answer, wait := readStep(t, step)
		o.answer = answer
		now := printed(t, c, r, nil).Now
		var storing *cache.StoringExplanation
		o.explain = func(resp *http.Response) {
			if storing == nil {
				storing = printed(t, c, r, resp).Response
			}
		}
		asked := len(o.asked)
		resp, err := rt.RoundTrip(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		synctest.Wait()
		got, ok := cache.StatusOf(resp)
		require.True(t, ok)
		where := fmt.Sprintf("shared %v: %s\nat %s", options.Shared, line, step)
		if why := differs(now, got, resp, o.asked[asked:]); why != "" {
			t.Errorf("%s: %s was foreseen: %+v\n%s", where, why, now, got)
		}
		did[got.Outcome()]++
		if storing != nil && len(o.asked) == asked+1 && got.FwdStatus != http.StatusNotModified && now.Action != cache.ActionServeStale {
			did[map[bool]string{true: "stored", false: "not stored"}[got.Stored]]++
			if storing.Stored != got.Stored {
				t.Errorf("%s: explained as %+v\n%s", where, storing, got)
			}
			if left := storing.FreshnessLifetime - storing.Age; got.Stored && (got.TTL > 0) != (left > 0) {
				t.Errorf("%s: explained as fresh for %v\n%s", where, left, got)
			}
		}
		time.Sleep(wait)
	}
}

// differs says in what the cache did otherwise than foreseen.
func differs(x *cache.Explanation, got cache.Status, resp *http.Response, asked []*http.Request) string {
	switch x.Action {
	case cache.ActionServe, cache.ActionServeStale:
		if !got.Hit || (len(asked) > 0) != (x.Action == cache.ActionServeStale) {
			return "a hit"
		}
		return ""
	case cache.ActionRefuse:
		if resp.StatusCode != http.StatusGatewayTimeout || len(asked) > 0 {
			return "a 504"
		}
		return ""
	}
	switch {
	case got.Hit || got.Fwd != x.Forward || len(asked) == 0:
		return "a request to the origin (" + string(x.Forward) + ")"
	case x.Action == cache.ActionValidate && asked[0].Header.Get("If-None-Match")+asked[0].Header.Get("If-Modified-Since") == "":
		return "a validation"
	case x.Action == cache.ActionComplete && asked[0].Header.Get("Range") == "":
		return "a request for the rest"
	}
	return ""
}

// readStep reads "METHOD | field: value … -> status | field: value … ~ seconds".
func readStep(t *testing.T, step string) (r *http.Request, answer combination, wait time.Duration) {
	t.Helper()
	step, seconds, _ := strings.Cut(step, " ~ ")
	if seconds != "" {
		n, err := strconv.Atoi(seconds)
		require.NoError(t, err)
		wait = time.Duration(n) * time.Second
	}
	asked, answered, ok := strings.Cut(step, " -> ")
	require.True(t, ok, step)
	method, fields, _ := strings.Cut(asked, " | ")
	target := "https://h.test/a"
	if query, rest, ok := strings.Cut(fields, " | "); strings.HasPrefix(query, "?") {
		target += query
		if fields = ""; ok {
			fields = rest
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	require.NoError(t, err)
	status, response, _ := strings.Cut(answered, " | ")
	answer.response = response
	answer.status, err = strconv.Atoi(status)
	require.NoError(t, err)
	r.Header = answer.header(fields)
	return r, answer, wait
}

// printed explains as the command does, and reads the JSON that it prints.
func printed(t *testing.T, c *cache.Cache, r *http.Request, resp *http.Response) *explained {
	t.Helper()
	x, err := explainExchange(t.Context(), c, r, resp, time.Now())
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, (&env{stdout: &out, format: "json"}).showExplained(x))
	read := &explained{}
	require.NoError(t, json.Unmarshal([]byte(out.String()), read))
	return read
}

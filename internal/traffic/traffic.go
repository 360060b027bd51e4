// Package traffic makes tapes of HTTP traffic that never happened, for tests and for programs that show what replays do.
package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/plyhttp/ply/plytest/tape"
)

// Start is when the traffic begins: a Monday.
var Start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// Outage is when the origin of the API cannot be reached, from the start of the traffic.
var Outage = [2]time.Duration{62 * time.Hour, 62*time.Hour + 40*time.Minute}

const (
	api    = "https://api.example.com"
	assets = "https://assets.example.com"
)

// A resource changes at intervals and says how long it may be cached.
type resource struct {
	url      string
	control  string        // Cache-Control
	every    time.Duration // between versions; 0: never changes
	size     int
	etag     bool
	modified bool // has Last-Modified
	personal bool // differs from user to user
	status   int
}

// Week returns n requests of the week after [Start], in the daily rhythm of an office. They go to 600 URLs, few of them often and most of them seldom (Zipf's law).
// The same seed gives the same tape.
func Week(seed uint64, n int) *tape.Tape {
	random := rand.New(rand.NewPCG(seed, 17))
	resources := catalogue(random, 600)
	popular := rand.NewZipf(random, 1.3, 3, uint64(len(resources)-1))
	t := &tape.Tape{Start: Start}
	for _, at := range arrivals(random, n) {
		t.Exchanges = append(t.Exchanges, exchange(random, resources[popular.Uint64()], at))
	}
	return t
}

// arrivals returns sorted times: visits of a few requests each, some of them at once, more visits by day than by night.
func arrivals(random *rand.Rand, n int) []time.Duration {
	times := make([]time.Duration, 0, n)
	for len(times) < n {
		at := time.Duration(random.Int64N(int64(7 * 24 * time.Hour)))
		if day := math.Sin(math.Pi * (at % (24 * time.Hour)).Hours() / 24); random.Float64() > 0.1+0.9*day*day {
			continue
		}
		for range min(1+random.IntN(24), n-len(times)) {
			times = append(times, at.Truncate(time.Microsecond))
			gap := 20 * time.Millisecond
			if random.IntN(10) < 5 {
				gap = 5 * time.Second
			}
			at += time.Duration(random.ExpFloat64() * float64(gap))
		}
	}
	slices.Sort(times)
	return times
}

func catalogue(random *rand.Rand, n int) []resource {
	list := make([]resource, n)
	for i := range list {
		size := int(math.Exp(7+2*random.Float64()+random.NormFloat64()*0.7)) + 200
		r := resource{status: http.StatusOK, size: min(size, 200_000)}
		switch kind := random.IntN(100); {
		case kind < 25:
			r.url, r.control, r.modified, r.etag = assets+"/app-"+strconv.Itoa(i)+".js", "public, max-age=31536000, immutable", true, true
		case kind < 60:
			r.url, r.control, r.etag = api+"/articles/"+strconv.Itoa(i), "max-age="+strconv.Itoa(60*(1+random.IntN(30))), true
			r.every = time.Duration(2+random.IntN(90)) * time.Hour
		case kind < 75:
			r.url, r.control, r.etag, r.personal = api+"/me/orders?page="+strconv.Itoa(i), "private, max-age=300", true, true
			r.every = time.Duration(20+random.IntN(400)) * time.Minute
		case kind < 85:
			r.url, r.modified = api+"/docs/"+strconv.Itoa(i), true // a heuristic freshness, RFC 9111 §4.2.2
			r.every = time.Duration(24+random.IntN(200)) * time.Hour
		case kind < 95:
			r.url, r.control = api+"/quotes/"+strconv.Itoa(i), "no-store"
			r.every = 30 * time.Second
		default:
			r.url, r.control, r.status = api+"/gone/"+strconv.Itoa(i), "max-age=600", http.StatusNotFound
		}
		list[i] = r
	}
	return list
}

func exchange(random *rand.Rand, r resource, at time.Duration) *tape.Exchange {
	e := &tape.Exchange{At: at, Request: tape.Request{Method: http.MethodGet, URL: r.url, Header: http.Header{"Accept": {"*/*"}}}}
	user := 0
	if r.personal {
		user = 1 + random.IntN(4)
		e.Request.Header.Set("Authorization", fmt.Sprintf("Bearer user-%d", user))
	}
	wait := time.Duration(math.Exp(4.2+0.5*random.NormFloat64())*1000) * time.Microsecond // 67 ms in the median
	trouble := random.IntN(1000)
	switch {
	case r.url[:len(api)] == api && at >= Outage[0] && at < Outage[1]:
		e.Failure = &tape.Failure{At: 3 * time.Millisecond, Kind: tape.FailureRefused, Text: "dial tcp: connection refused"}
		return e
	case trouble < 4:
		e.Failure = &tape.Failure{At: wait, Kind: tape.FailureReset, Text: "read tcp: connection reset by peer"}
		return e
	case trouble < 10:
		e.Response = response(at+wait, http.StatusServiceUnavailable, wait, []byte("try again\n"))
		e.Response.Header.Set("Retry-After", "1")
		return e
	case trouble < 30: // a straggler
		wait += time.Duration(1500+random.IntN(5000)) * time.Millisecond
	}
	version := 0
	if r.every > 0 {
		version = int(at / r.every)
	}
	e.Response = response(at+wait, r.status, wait, content(r, user, version))
	r.describe(e.Response.Header, user, version)
	return e
}

func response(at time.Duration, status int, wait time.Duration, body []byte) *tape.Response {
	half := len(body) / 2
	return &tape.Response{
		Status: status, Proto: "HTTP/1.1", Wait: wait, Length: int64(len(body)),
		Header: http.Header{"Date": {Start.Add(at).Format(http.TimeFormat)}, "Content-Length": {strconv.Itoa(len(body))}, "Content-Type": {"text/plain"}},
		Chunks: []tape.Chunk{{Data: body[:half]}, {At: 2 * time.Millisecond, Data: body[half:]}},
	}
}

func (r resource) describe(h http.Header, user, version int) {
	if r.control != "" {
		h.Set("Cache-Control", r.control)
	}
	if r.etag {
		h.Set("Etag", fmt.Sprintf(`"%d-%d"`, user, version))
	}
	if r.modified {
		changed := Start.Add(time.Duration(version)*r.every - 30*24*time.Hour)
		if version > 0 {
			changed = Start.Add(time.Duration(version) * r.every)
		}
		h.Set("Last-Modified", changed.Format(http.TimeFormat))
	}
}

// content returns the same bytes for the same version.
func content(r resource, user, version int) []byte {
	line := fmt.Appendf(nil, "%s for user %d, version %d\n", r.url, user, version)
	body := make([]byte, 0, r.size+len(line))
	for len(body) < r.size {
		body = append(body, line...)
	}
	return body
}

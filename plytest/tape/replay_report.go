package tape

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxUnknownRequests is how many requests Report.UnknownRequests lists.
const maxUnknownRequests = 10

// A Report is what came of a [Replay]. Bytes are those of bodies.
type Report struct {
	Name  string        // of the policy
	Start time.Time     // when the tape began
	Span  time.Duration // from then until the last answer, in virtual time

	Requests       int   // requests of callers: the tape's
	OriginRequests int   // requests that the chain sent to the origin
	BytesToCallers int64 // what callers read
	BytesOrigin    int64 // what the chain read from the origin

	Hits        int // answers from a store, by the Cache-Status of a ply cache, also those in place of an error of the origin; and answers below 500 for which nothing was sent to the origin
	Collapsed   int // answers that shared the request of another caller, by the Cache-Status of a ply cache
	Stale       int // answers past their freshness, by the Cache-Status of a ply cache
	OutOfDate   int // answers to GET and HEAD with other content than the origin had for the request by then, fresh or not
	Revalidated int // answers 304 of the origin to conditions that a layer added

	Retries int // requests to the origin after an earlier one for the same call had ended
	Hedges  int // requests to the origin while another one for the same call was under way

	Errors       int // calls without a response, or with a body that broke off
	ServerErrors int // responses with a status of 500 or above

	// Unknown counts requests that the tape has no answer for. They failed with [ErrNotOnTape]. UnknownRequests lists the first ten of them, redacted.
	// A layer may have made them up, changed them, or added credentials.
	Unknown         int
	UnknownRequests []string

	// Redacted counts requests with credentials that the tape does not have, because they were redacted when it was recorded.
	// Those with the same placeholder count as one principal's, for the origin and for a cache: figures of content that differs from principal to principal mean little.
	Redacted int

	// Wait is how long all callers together waited, from each request until the end of the body or the error. P50, P90, P99 and Max are of the same times:
	// P90 is the least of them that 90 percent do not exceed (the nearest rank, without interpolation), and Max the longest.
	Wait               time.Duration
	P50, P90, P99, Max time.Duration
}

// Amplification returns how many requests the origin got for one that it would have got without retries and hedges: 1 without any.
func (r Report) Amplification() float64 {
	first := r.OriginRequests - r.Retries - r.Hedges
	if first <= 0 {
		return 1
	}
	return float64(r.OriginRequests) / float64(first)
}

// String returns the report as a table of two columns.
func (r Report) String() string { return Comparison{&r}.String() }

// MarshalJSON encodes the report with times in milliseconds.
func (r Report) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return json.Marshal(struct {
		Name            string    `json:"name"`
		Start           time.Time `json:"start"`
		Span            float64   `json:"span_ms"`
		Requests        int       `json:"requests"`
		OriginRequests  int       `json:"origin_requests"`
		BytesToCallers  int64     `json:"bytes_to_callers"`
		BytesOrigin     int64     `json:"bytes_origin"`
		Hits            int       `json:"hits"`
		Collapsed       int       `json:"collapsed"`
		Stale           int       `json:"stale"`
		OutOfDate       int       `json:"out_of_date"`
		Revalidated     int       `json:"revalidated"`
		Retries         int       `json:"retries"`
		Hedges          int       `json:"hedges"`
		Amplification   float64   `json:"amplification"`
		Errors          int       `json:"errors"`
		ServerErrors    int       `json:"server_errors"`
		Unknown         int       `json:"unknown"`
		UnknownRequests []string  `json:"unknown_requests,omitempty"`
		Redacted        int       `json:"redacted_credentials"`
		Wait            float64   `json:"wait_ms"`
		P50             float64   `json:"p50_ms"`
		P90             float64   `json:"p90_ms"`
		P99             float64   `json:"p99_ms"`
		Max             float64   `json:"max_ms"`
	}{
		r.Name, r.Start, ms(r.Span), r.Requests, r.OriginRequests, r.BytesToCallers, r.BytesOrigin, r.Hits, r.Collapsed, r.Stale, r.OutOfDate, r.Revalidated,
		r.Retries, r.Hedges, r.Amplification(), r.Errors, r.ServerErrors, r.Unknown, r.UnknownRequests, r.Redacted, ms(r.Wait), ms(r.P50), ms(r.P90), ms(r.P99), ms(r.Max),
	})
}

// setTimes summarizes how long each call took.
func (r *Report) setTimes(times []time.Duration) {
	slices.Sort(times)
	for _, d := range times {
		r.Wait += d
	}
	r.P50, r.P90, r.P99, r.Max = percentile(times, 50), percentile(times, 90), percentile(times, 99), percentile(times, 100)
}

// percentile returns the least of the sorted times that p percent of them do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// A Comparison is the reports of several policies on one tape. It encodes as JSON as a list.
type Comparison []*Report

// String returns a table with a column for each policy.
func (c Comparison) String() string {
	var rows [][]string
	row := func(name string, value func(*Report) string) {
		cells := []string{name}
		for _, r := range c {
			cells = append(cells, value(r))
		}
		rows = append(rows, cells)
	}
	count := func(name string, value func(*Report) int) {
		row(name, func(r *Report) string { return strconv.Itoa(value(r)) })
	}
	took := func(name string, unit time.Duration, value func(*Report) time.Duration) {
		row(name, func(r *Report) string {
			d := value(r)
			if d < 10*time.Second {
				return d.Round(time.Millisecond).String()
			}
			return d.Round(unit).String()
		})
	}
	kB := func(n int64) string {
		if n < 10_000 {
			return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
		}
		return strconv.FormatInt((n+500)/1000, 10)
	}
	row("policy", func(r *Report) string { return r.Name })
	count("requests", func(r *Report) int { return r.Requests })
	count("requests to the origin", func(r *Report) int { return r.OriginRequests })
	row("kB from the origin", func(r *Report) string { return kB(r.BytesOrigin) })
	row("kB to callers", func(r *Report) string { return kB(r.BytesToCallers) })
	count("hits", func(r *Report) int { return r.Hits })
	count("collapsed", func(r *Report) int { return r.Collapsed })
	count("revalidated (304)", func(r *Report) int { return r.Revalidated })
	count("stale, says the cache", func(r *Report) int { return r.Stale })
	count("out of date, by content", func(r *Report) int { return r.OutOfDate })
	count("errors", func(r *Report) int { return r.Errors })
	count("server errors (5xx)", func(r *Report) int { return r.ServerErrors })
	count("retries", func(r *Report) int { return r.Retries })
	count("hedges", func(r *Report) int { return r.Hedges })
	row("amplification", func(r *Report) string { return fmt.Sprintf("%.3f", r.Amplification()) })
	took("waited in all", time.Second, func(r *Report) time.Duration { return r.Wait })
	took("p50", time.Millisecond, func(r *Report) time.Duration { return r.P50 })
	took("p90", time.Millisecond, func(r *Report) time.Duration { return r.P90 })
	took("p99", time.Millisecond, func(r *Report) time.Duration { return r.P99 })
	count("unknown to the tape", func(r *Report) int { return r.Unknown })
	if slices.ContainsFunc(c, func(r *Report) bool { return r.Redacted > 0 }) {
		count("redacted credentials", func(r *Report) int { return r.Redacted })
	}
	return table(rows)
}

// table aligns the first column to the left and the others to the right, three spaces apart.
func table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, cells := range rows {
		fmt.Fprintf(&b, "%-*s", widths[0], cells[0])
		for i, cell := range cells[1:] {
			fmt.Fprintf(&b, "   %*s", widths[i+1], cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

package tape

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func aReport() *Report {
	r := &Report{
		Name: "cache", Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Span: 90 * time.Second, Requests: 10, OriginRequests: 8, BytesToCallers: 2499, BytesOrigin: 1500,
		Hits: 1, Collapsed: 2, Stale: 3, OutOfDate: 4, Revalidated: 5, Retries: 1, Hedges: 3, Errors: 6, ServerErrors: 7, Unknown: 12, UnknownRequests: []string{"GET https://a.example/"}, Redacted: 9,
	}
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i)*time.Millisecond)
	}
	r.setTimes(times)
	return r
}

func TestReportIsATable(t *testing.T) {
	want := `policy                    cache   nothing
requests                     10         0
requests to the origin        8         0
kB from the origin          1.5         0
kB to callers             2.499         0
hits                          1         0
collapsed                     2         0
revalidated (304)             5         0
stale, says the cache         3         0
out of date, by content       4         0
errors                        6         0
server errors (5xx)           7         0
retries                       1         0
hedges                        3         0
amplification             2.000     1.000
waited in all             5.05s        0s
p50                        50ms        0s
p90                        90ms        0s
p99                        99ms        0s
unknown to the tape          12         0
redacted credentials          9         0
`
	if d := cmp.Diff(want, Comparison{aReport(), {Name: "nothing"}}.String()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Comparison{aReport()}.String(), aReport().String()); d != "" {
		t.Error(d)
	}
}

func TestReportInJSONHasMilliseconds(t *testing.T) {
	got, err := json.Marshal(Comparison{aReport()})
	want := `[{"name":"cache","start":"2026-03-02T00:00:00Z","span_ms":90000,"requests":10,"origin_requests":8,"bytes_to_callers":2499,"bytes_origin":1500,` +
		`"hits":1,"collapsed":2,"stale":3,"out_of_date":4,"revalidated":5,"retries":1,"hedges":3,"amplification":2,"errors":6,"server_errors":7,` +
		`"unknown":12,"unknown_requests":["GET https://a.example/"],"redacted_credentials":9,"wait_ms":5050,"p50_ms":50,"p90_ms":90,"p99_ms":99,"max_ms":100}]`
	if d := cmp.Diff(want, string(got)); err != nil || d != "" {
		t.Error(err, d)
	}
}

// A Report that is no pointer is shown in the same way.
func TestReportIsItsOwnValue(t *testing.T) {
	r := aReport()
	value, err := json.Marshal(*r)
	if err != nil {
		t.Fatal(err)
	}
	pointer, err := json.Marshal(r)
	if d := cmp.Diff(string(pointer), string(value)); err != nil || d != "" || fmt.Sprint(*r) != r.String() {
		t.Error(err, d)
	}
}

package logging_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/middleware/logging"
	"github.com/plyhttp/ply/plytest"
)

func TestSampleLeavesOutRoutineRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok, bad := plytest.Text("hello"), plytest.Status(500)
		for _, tt := range []struct {
			name    string
			sample  logging.Sample
			pause   time.Duration
			replies []plytest.Reply
			want    []string
		}{
			{"all", logging.Sample{}, 0, []plytest.Reply{ok, ok}, []string{"200", "200"}},
			{"one in three", logging.Sample{Every: 3}, 0, []plytest.Reply{ok, ok, ok, ok, ok, ok, ok}, []string{"200", "200 suppressed=2", "200 suppressed=2"}},
			{"failures always", logging.Sample{Every: 3}, 0, []plytest.Reply{ok, ok, bad, bad, ok, ok}, []string{"200", "500 suppressed=1", "500", "200 suppressed=1"}},
			{"by rate", logging.Sample{PerSecond: 2}, 250 * time.Millisecond, []plytest.Reply{ok, ok, ok, ok, ok, ok}, []string{"200", "200", "200", "200 suppressed=1"}},
		} {
			var j journal
			h := logging.New(logging.Options{Logger: j.logger(), Sample: tt.sample})(plytest.NewOrigin(tt.replies...))
			for range tt.replies {
				if resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", "")); err == nil {
					testutil.ReadAll(resp.Body)
				}
				time.Sleep(tt.pause)
			}
			var got []string
			for line := range strings.Lines(j.String()) {
				_, status, _ := strings.Cut(line, "status_code=")
				_, suppressed, _ := strings.Cut(strings.TrimSpace(line), " suppressed=")
				if status = status[:3]; suppressed != "" {
					status += " suppressed=" + suppressed
				}
				got = append(got, status)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.name, diff)
			}
		}
	})
}

func TestSamplePerSecondAllowsNoLargerBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		h := logging.New(logging.Options{Logger: j.logger(), Sample: logging.Sample{PerSecond: 2}})(plytest.NewOrigin(plytest.Text("hello")))
		for range 2 {
			for range 10 {
				if resp, err := h.RoundTrip(newRequest(t, t.Context(), "GET", "")); err == nil {
					testutil.ReadAll(resp.Body)
				}
			}
			time.Sleep(time.Hour)
		}
		if n := strings.Count(j.String(), "\n"); n != 4 {
			t.Errorf("%d records of two bursts", n)
		}
	})
}

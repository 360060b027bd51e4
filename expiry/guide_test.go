package expiry_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply/expiry"
	"github.com/plyhttp/ply/middleware/cache"
)

// The table of docs/expiry.md says for how long a cache keeps answers and errors under each strategy.
func TestGuideSaysWhatIsKeptForHowLong(t *testing.T) {
	page, err := os.ReadFile("../docs/expiry.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[int]expiry.Strategy{404: expiry.After(time.Minute), 500: expiry.After(time.Minute)}
	strategies := []expiry.Strategy{
		expiry.Default(), expiry.First(expiry.Default(), expiry.After(time.Hour)), expiry.After(time.Hour), expiry.First(expiry.ByStatus(named), expiry.Default()),
	}
	rows := regexp.MustCompile("(?m)^\\| (\\d{3}), (?:nothing else|`([^`]+)`(?: 100 hours ago)?) \\| (.*) \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) != 8 {
		t.Fatalf("%d rows", len(rows))
	}
	synctest.Test(t, func(t *testing.T) {
		for _, row := range rows {
			status, _ := strconv.Atoi(row[1])
			h := http.Header{}
			if name, value, ok := strings.Cut(row[2], ": "); ok {
				h.Set(name, value)
			} else if name != "" {
				h.Set(name, time.Now().Add(-100*time.Hour).UTC().Format(http.TimeFormat))
			}
			var cells []string
			for _, s := range strategies {
				cells = append(cells, keptFor(t, s, &http.Response{StatusCode: status, Header: h}))
			}
			if diff := cmp.Diff(cells, strings.Split(row[3], " | ")); diff != "" {
				t.Errorf("%s %s (-kept +shown)\n%s", row[1], row[2], diff)
			}
		}
	})
}

// keptFor returns the lifetime that a cache gives a response, or that it does not store it.
func keptFor(t *testing.T, s expiry.Strategy, resp *http.Response) string {
	c, err := cache.New(cache.Options{Expiry: s})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.ExplainResponse(t.Context(), r, resp)
	if err != nil {
		t.Fatal(err)
	}
	if !x.Stored {
		return "not stored"
	}
	return fmt.Sprint(x.FreshnessLifetime.Round(time.Second))
}

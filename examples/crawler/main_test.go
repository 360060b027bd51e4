package main

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/testutil"
	"github.com/plyhttp/ply/plytest"
)

func TestProgramPrintsWhatTheGuideShows(t *testing.T) {
	plytest.CheckGoroutines(t)
	var out bytes.Buffer
	if err := demo(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	testutil.CheckShown(t, "../../docs/examples.md", "go run ./examples/crawler", out.String())
}

func TestRequestsToOneHostBeginADelayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin, pace := plytest.NewOrigin(plytest.Text("User-agent: *\nCrawl-delay: 3\n")), &pacer{delay: time.Second}
		client := ply.Wrap(&http.Client{Transport: origin}, (&robots{pace: pace}).Middleware, pace.Middleware)
		start := time.Now()
		for _, path := range []string{"/1", "/2", "/3"} {
			if err := ply.Discard(client.Get("http://slow.test" + path)); err != nil {
				t.Fatal(err)
			}
		}
		if err := ply.Discard(client.Get("http://other.test/1")); err != nil { // its robots.txt has the same delay
			t.Fatal(err)
		}
		var got []time.Duration
		for _, x := range origin.Exchanges() {
			got = append(got, x.At.Sub(start))
		}
		if want := []time.Duration{0, time.Second, 4 * time.Second, 7 * time.Second, 7 * time.Second, 8 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("requests at %v, want %v", got, want)
		}
	})
}

func TestRequestThatWaitsForItsTurnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin, pace := plytest.NewOrigin(), &pacer{delay: time.Hour}
		client := ply.Wrap(&http.Client{Transport: origin}, pace.Middleware)
		if err := ply.Discard(client.Get("http://slow.test/1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://slow.test/2", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := ply.Discard(client.Do(req)); err == nil || origin.Count() != 1 {
			t.Errorf("%v after %d requests", err, origin.Count())
		}
	})
}

func TestPacerKeepsTheContractOfALayer(t *testing.T) {
	plytest.CheckMiddleware(t, ply.Chain(func(next http.RoundTripper) http.RoundTripper { return (&pacer{}).Middleware(next) }))
}

func TestRobotsThatCannotBeReadDisallowEverything(t *testing.T) {
	for _, reply := range []plytest.Reply{plytest.Status(http.StatusServiceUnavailable), plytest.ResetConnection()} {
		origin := plytest.NewOrigin(reply)
		client := ply.Wrap(&http.Client{Transport: origin}, (&robots{pace: &pacer{}}).Middleware)
		if err := ply.Discard(client.Get("http://broken.test/")); err == nil || origin.Count() != 1 {
			t.Errorf("%v after %d requests", err, origin.Count())
		}
	}
}

func TestRobotsAreAskedForInTheNameOfTheCrawler(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Status(http.StatusNotFound))
	client, err := ply.New(ply.Options{Transport: origin, Header: http.Header{"User-Agent": {agent}}, Use: []ply.Middleware{(&robots{pace: &pacer{}}).Middleware}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := ply.Discard(ply.AnyStatus(client.Get(t.Context(), "http://site.test/"))); err != nil {
		t.Fatal(err)
	}
	for _, x := range origin.Exchanges() {
		if got := x.Header.Get("User-Agent"); got != agent {
			t.Errorf("%s is asked for by %q, want %q", x.URL, got, agent)
		}
	}
}

func TestEachURLIsAFileOfItsOwn(t *testing.T) {
	origin := plytest.NewOrigin(plytest.Text("one"), plytest.Text("two"), plytest.Text("three"))
	client, err := ply.New(ply.Options{Transport: origin})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c := &crawler{client: client, dir: t.TempDir()}
	for _, u := range []string{"http://a.test/report.pdf", "http://b.test/report.pdf", "http://b.test/report.pdf?of=2026"} {
		if said, err := c.download(t.Context(), u); err != nil || said == "is there" {
			t.Errorf("%s: %q, %v", u, said, err)
		}
	}
	if said, err := c.download(t.Context(), "http://a.test/report.pdf"); err != nil || said != "is there" {
		t.Errorf("the same again: %q, %v", said, err)
	}
	if name := fileOf("http://a.test/../../x.pdf"); name != filepath.Base(name) || !filepath.IsLocal(name) {
		t.Errorf("%q leads to another directory", name)
	}
}

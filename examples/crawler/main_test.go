package main

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
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

// The first request of a site gets the file for all. When its caller leaves, the others are not refused, and they wait no longer than they want to.
func TestRobotsAreGotForThoseWhoStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := &plytest.Origin{Script: []plytest.Reply{plytest.Text("a page")}, Paths: map[string][]plytest.Reply{
			"/robots.txt": {plytest.Stall(), {Wait: time.Minute, Body: "User-agent: *\nAllow: /\n"}},
		}}
		client := ply.Wrap(&http.Client{Transport: origin}, (&robots{pace: &pacer{}}).Middleware)
		get := func(within time.Duration) (took time.Duration, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://site.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			err = ply.Discard(client.Do(req))
			return time.Since(start), err
		}
		var all sync.WaitGroup
		for _, caller := range []struct {
			within, took time.Duration
			fails        bool
		}{
			{10 * time.Second, 10 * time.Second, true}, // the first one, whose robots.txt does not come
			{5 * time.Second, 5 * time.Second, true},
			{time.Hour, 10*time.Second + time.Minute, false},
		} {
			all.Go(func() {
				if took, err := get(caller.within); took != caller.took || (err != nil) != caller.fails {
					t.Errorf("within %v: %v after %v, want %v", caller.within, err, took, caller.took)
				}
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

func TestNamesOfFilesHaveNoPassword(t *testing.T) {
	if name := fileOf("http://joe:hunter2@a.test/report.pdf"); name != fileOf("http://a.test/report.pdf") {
		t.Errorf("the file is %q", name)
	}
}

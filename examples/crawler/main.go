// Crawler reads a site politely: it keeps to robots.txt and to a delay for each host, asks again only for what may have changed,
// and goes on with downloads that broke off.
//
//	go run ./examples/crawler                     a small site that it serves itself, twice
//	go run ./examples/crawler -dir DIR URL…       sites of yours, with the cache and the downloads in DIR; Ctrl-C ends it, and the next start goes on
//
// In main.go is the client, in crawl.go what it is used for, and in polite.go the two layers that make it polite; origin.go is the small site.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/middleware/retry"
	"github.com/plyhttp/ply/store/file"
)

// agent is what robots.txt calls this crawler. The field User-Agent says in addition whom to write to.
const agent = "ply-example"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir := flag.String("dir", "crawled", "the directory of the cache and the downloads")
	limit := flag.Int("limit", 100, "how many URLs to visit at most")
	flag.Parse()
	var err error
	if flag.NArg() == 0 {
		err = demo(ctx, os.Stdout)
	} else {
		err = session(ctx, os.Stdout, *dir, *limit, time.Second, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crawler:", err)
		os.Exit(1)
	}
}

// demo crawls a small site twice.
func demo(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "ply-crawler-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	site := newSite()
	server := httptest.NewServer(site)
	defer server.Close()
	for _, title := range []string{"the first crawl", "the second one"} {
		before := site.requests.Load()
		fmt.Fprintln(out, title)
		if err := session(ctx, out, dir, 100, time.Millisecond, []string{server.URL + "/"}); err != nil {
			return err
		}
		fmt.Fprintf(out, "  %d requests\n", site.requests.Load()-before)
	}
	return nil
}

// session is one start of the crawler. delay passes between two requests to a host whose robots.txt names no other.
func session(ctx context.Context, out io.Writer, dir string, limit int, delay time.Duration, start []string) (err error) {
	files, err := file.Open(filepath.Join(dir, "cache"), file.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	c, err := cache.New(cache.Options{Store: files}) // what a site says of its pages decides when they are asked for again
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	pace := &pacer{delay: delay}
	client, err := ply.New(ply.Options{
		Header: http.Header{"User-Agent": {agent + "/1.0 (+mailto:you@example.com)"}},
		// No Total: it would count the time that a request waits for its turn.
		Timeouts: ply.Timeouts{ResponseHeader: 30 * time.Second, IdleRead: 30 * time.Second},
		Use: []ply.Middleware{
			ply.Named("robots.txt", (&robots{pace: pace}).Middleware), // on each hop: a redirect leads to no page that is disallowed
			c.Middleware,
			retry.New(retry.Options{}),         // waits as long as a 429 or 503 says in Retry-After
			ply.Named("pace", pace.Middleware), // the innermost: each attempt waits for its turn, and no hit does
		},
	})
	if err != nil {
		return err
	}
	defer client.Close()
	return (&crawler{client: client, dir: dir, out: out, limit: limit}).crawl(ctx, start)
}

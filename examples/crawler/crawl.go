package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/net/html"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/middleware/cache"
)

type crawler struct {
	client *ply.Client
	dir    string // for downloads
	out    io.Writer
	limit  int
}

// A visit is what came of one URL.
type visit struct {
	said  string
	links []string
}

// crawl visits what start links to, and what that links to, level by level: the layers see to it that this is polite.
func (c *crawler) crawl(ctx context.Context, start []string) error {
	seen := make(map[string]bool)
	for level := start; len(level) > 0; {
		var urls []string
		for _, u := range level {
			if !seen[u] && len(seen) < c.limit {
				seen[u], urls = true, append(urls, u)
			}
		}
		visits := make([]visit, len(urls))
		var all sync.WaitGroup
		for i, u := range urls {
			all.Go(func() { visits[i] = c.visit(ctx, u) })
		}
		all.Wait()
		if ctx.Err() != nil {
			return ctx.Err() // by Ctrl-C: what is stored, and parts of downloads, are there for the next start
		}
		level = nil
		for i, v := range visits {
			fmt.Fprintf(c.out, "  %-16s %s\n", pathOf(urls[i]), v.said)
			level = append(level, v.links...)
		}
	}
	return nil
}

// visit reads a page for its links, and downloads what is no page. What fails is said, and the crawl goes on.
func (c *crawler) visit(ctx context.Context, u string) (v visit) {
	var err error
	if isPage(u) {
		v, err = c.read(ctx, u)
	} else {
		v.said, err = c.download(ctx, u)
	}
	var status *ply.StatusError
	switch {
	case errors.Is(err, errDisallowed):
		v.said = errDisallowed.Error()
	case errors.As(err, &status):
		v.said = http.StatusText(status.StatusCode)
	case err != nil:
		v.said = err.Error()
	}
	return v
}

func isPage(u string) bool {
	ext := path.Ext(pathOf(u))
	return ext == "" || ext == ".html" || ext == ".htm"
}

func (c *crawler) read(ctx context.Context, u string) (v visit, err error) {
	resp, err := c.client.Get(ctx, u)
	page, err := ply.Bytes(resp, err) // of 10 MiB at most; a status of 400 or more is an error
	if err != nil {
		return v, err
	}
	v.links = links(resp.Request.URL, page) // where redirects have led
	status, _ := cache.StatusOf(resp)
	v.said = fmt.Sprintf("%d links, %s", len(v.links), status.Outcome())
	return v, nil
}

// links returns the URLs of the same host that a page links to.
func links(base *url.URL, page []byte) (found []string) {
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken: // the end
			return found
		case html.StartTagToken:
			token := z.Token()
			for _, a := range token.Attr {
				if token.Data != "a" || a.Key != "href" {
					continue
				}
				if link, err := base.Parse(a.Val); err == nil && link.Host == base.Host {
					link.Fragment = ""
					found = append(found, link.String())
				}
			}
		}
	}
}

// download gets a file that is not there yet. A transfer that breaks off goes on at the next start, from where it was.
func (c *crawler) download(ctx context.Context, u string) (string, error) {
	name := filepath.Join(c.dir, fileOf(u))
	if _, err := os.Stat(name); err == nil {
		return "is there", nil
	}
	// The cache would have to hold all of the file a second time.
	got, err := c.client.Download(cache.Disable(ctx), name, u)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "broke off", nil // retry.Options.Resume would have gone on at once
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes, %d of them from before", got.Bytes, got.Resumed), nil
}

// fileOf is the name of the file for a URL: with its host and query, so that no two URLs have the same, without a user and a password,
// and without what would lead to another directory.
func fileOf(u string) string {
	if parsed, err := url.Parse(u); err == nil {
		parsed.User = nil
		u = parsed.String()
	}
	_, rest, _ := strings.Cut(u, "://")
	return url.QueryEscape(rest)
}

func pathOf(u string) string {
	parsed, err := url.Parse(u)
	if err != nil {
		return u
	}
	return parsed.EscapedPath()
}

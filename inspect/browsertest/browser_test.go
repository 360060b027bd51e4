package browsertest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/plyhttp/ply/internal/browser"
)

func TestMain(m *testing.M) { browser.Main(m) }

// tab is a tab with the page of an inspector in it.
type tab struct {
	*browser.Tab
	server *httptest.Server
}

// open opens the page that a handler serves. At the end of the test, what the browser complained of is an error.
func open(t *testing.T, h http.Handler) *tab {
	t.Helper()
	return openAt(t, h, "/")
}

// openAt is open for a page that is mounted below a path.
func openAt(t *testing.T, h http.Handler, path string) *tab {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p := &tab{browser.Open(t, server.URL+path), server}
	p.Wait(`document.getElementById('connection').dataset.state === 'live'`)
	return p
}

// cut cuts all connections to the inspector.
func cut(p *tab) { p.server.CloseClientConnections() }

// filter replaces the text of the filter and lets the page know, as typing does.
func (p *tab) filter(text string) {
	p.T.Helper()
	browser.Eval[any](p.Tab, "{ const f = document.getElementById('filter'); f.value = %s; f.dispatchEvent(new Event('input', { bubbles: true })); null }", text)
}

// shown are the texts of a column of the rows in the document, newest first.
func (p *tab) shown(column string) []string {
	p.T.Helper()
	return browser.Eval[[]string](p.Tab, `[...document.querySelectorAll('#rows .row:not([hidden])')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => row.querySelector('.c-' + %s).textContent)`, column)
}

// downloads has the browser save files in a directory, and returns a function that waits for one to be complete.
func (p *tab) downloads() (next func() []byte) {
	p.T.Helper()
	dir := p.T.TempDir()
	done := make(chan string, 10)
	listen := func(event any) {
		if e, ok := event.(*cdpbrowser.EventDownloadProgress); ok && e.State == "completed" {
			done <- e.GUID
		}
	}
	if err := chromedp.ListenBrowser(p.Context, listen); err != nil {
		p.T.Fatal(err)
	}
	yes := true
	if _, err := chromedp.CallBrowser(p.Context, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{Behavior: "allowAndName", DownloadPath: dir, EventsEnabled: &yes}); err != nil {
		p.T.Fatal(err)
	}
	return func() []byte {
		p.T.Helper()
		select {
		case name := <-done:
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				p.T.Fatal(err)
			}
			return content
		case <-time.After(time.Minute): // a browser that hangs
			p.T.Fatal("no file was downloaded")
			return nil
		}
	}
}

package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/plyhttp/ply/internal/testserver"
)

// chromium is the one browser of all tests; each has a tab of its own.
var chromium = sync.OnceValues(func() (context.Context, error) {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program), chromedp.WindowSize(1280, 800),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true), chromedp.WSURLReadTimeout(30*time.Second))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to be root with one
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	stopBrowser = func() { cancel(); end() }
	return ctx, chromedp.Do(ctx)
})

var (
	program     string // of the browser; set before chromium is called
	stopBrowser = func() {}
)

func TestMain(m *testing.M) {
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// tab is a tab with the page of an inspector in it.
type tab struct {
	t      *testing.T
	ctx    context.Context
	server *httptest.Server

	mu       sync.Mutex
	problems []string // what the console, or the browser itself, complained of
}

// open opens the page that a handler serves. At the end of the test, what the browser complained of is an error.
func open(t *testing.T, h http.Handler) *tab {
	t.Helper()
	return openAt(t, h, "/")
}

// openAt is open for a page that is mounted below a path.
func openAt(t *testing.T, h http.Handler, path string) *tab {
	t.Helper()
	program = testserver.Find(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
	parent, err := chromium()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	ctx, cancel := chromedp.NewContext(parent)
	ctx, stop := context.WithTimeout(ctx, 60*time.Second)
	p := &tab{t: t, ctx: ctx, server: server}
	t.Cleanup(func() {
		stop()
		cancel()
		server.CloseClientConnections()
		server.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			t.Errorf("the browser complains: %s", problem)
		}
	})
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	call(p, audits.Enable, cdp.Empty{})
	call(p, log.Enable, cdp.Empty{})
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.do(chromedp.Navigate(server.URL + path))
	p.wait(`document.getElementById('connection').dataset.state === 'live'`)
	return p
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.problems = append(p.problems, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, "exception: "+e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.problems = append(p.problems, fmt.Sprintf("log: %s: %s", e.Entry.Text, e.Entry.URL))
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == "ContentSecurityPolicyIssue" {
			p.problems = append(p.problems, "content security policy: "+e.Issue.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective)
		}
	}
}

// cut cuts all connections to the inspector.
func cut(p *tab) { p.server.CloseClientConnections() }

// forgive forgets complaints that have a part of a text, which the test has brought about.
func (p *tab) forgive(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = slices.DeleteFunc(p.problems, func(problem string) bool { return strings.Contains(problem, part) })
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// call calls a command of the browser's protocol.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	result, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return result
}

// eval runs JavaScript, which may be a promise, and returns its value.
func eval[T any](p *tab, script string, args ...any) T {
	p.t.Helper()
	var value T
	result := evaluate(p, script, args...)
	if err := json.Unmarshal(result, &value); err != nil {
		p.t.Fatalf("%v: %s is %s", err, script, result)
	}
	return value
}

// evaluate is eval as JSON. Each argument is written as JSON in the place of its verb %s.
func evaluate(p *tab, script string, args ...any) []byte {
	p.t.Helper()
	for i, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			p.t.Fatal(err)
		}
		args[i] = text
	}
	if len(args) > 0 {
		script = fmt.Sprintf(script, args...)
	}
	yes := true
	result, err := chromedp.Run(p.ctx, chromedp.Evaluate[*runtime.RemoteObject](script, chromedp.EvalAwaitPromise, func(e *runtime.EvaluateParams) { e.UserGesture, e.ReturnByValue = &yes, &yes }))
	if err != nil {
		p.t.Fatalf("%v: in %s", err, script)
	}
	if len(result.Value) == 0 {
		return []byte("null")
	}
	return result.Value
}

// wait waits until JavaScript is true.
func (p *tab) wait(script string, args ...any) {
	p.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !eval[bool](p, "Boolean("+script+")", slices.Clone(args)...) {
		if time.Now().After(deadline) {
			p.t.Fatalf("never true: "+strings.ReplaceAll(script, "%s", "%v")+"\nthe page: %s", append(args, eval[string](p, "document.body.innerText.slice(0, 1500)"))...)
		}
		time.Sleep(10 * time.Millisecond) // another process changes it: there is nothing to wait on
	}
}

// has waits until an element's text has a part.
func (p *tab) has(selector, part string) {
	p.t.Helper()
	p.wait("document.querySelector(%s)?.innerText.includes(%s)", selector, part)
}

// click clicks the middle of the first element that a selector finds, as a mouse does.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(selector))
}

// keys presses keys, wherever the focus is.
func (p *tab) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// filter replaces the text of the filter and lets the page know, as typing does.
func (p *tab) filter(text string) {
	p.t.Helper()
	eval[any](p, "{ const f = document.getElementById('filter'); f.value = %s; f.dispatchEvent(new Event('input', { bubbles: true })); null }", text)
}

// shown are the texts of a column of the rows in the document, newest first.
func (p *tab) shown(column string) []string {
	p.t.Helper()
	return eval[[]string](p, `[...document.querySelectorAll('#rows .row:not([hidden])')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => row.querySelector('.c-' + %s).textContent)`, column)
}

// size sets the viewport, in CSS pixels, and how many pixels of the screen one of them has.
func (p *tab) size(width, height int64, scale float64) {
	p.t.Helper()
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: scale})
	frames(p)
}

// scheme sets what the person prefers.
func (p *tab) scheme(dark bool) {
	p.t.Helper()
	value := "light"
	if dark {
		value = "dark"
	}
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	frames(p)
}

// frames waits until what has changed is drawn.
func frames(p *tab) {
	p.t.Helper()
	eval[any](p, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
}

// downloads has the browser save files in a directory, and returns a function that waits for one to be complete.
func (p *tab) downloads() (next func() []byte) {
	p.t.Helper()
	dir := p.t.TempDir()
	done := make(chan string, 10)
	listen := func(event any) {
		if e, ok := event.(*browser.EventDownloadProgress); ok && e.State == "completed" {
			done <- e.GUID
		}
	}
	if err := chromedp.ListenBrowser(p.ctx, listen); err != nil {
		p.t.Fatal(err)
	}
	yes := true
	if _, err := chromedp.CallBrowser(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "allowAndName", DownloadPath: dir, EventsEnabled: &yes}); err != nil {
		p.t.Fatal(err)
	}
	return func() []byte {
		p.t.Helper()
		select {
		case name := <-done:
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				p.t.Fatal(err)
			}
			return content
		case <-p.ctx.Done():
			p.t.Fatal("no file was downloaded")
			return nil
		}
	}
}

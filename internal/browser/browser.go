// Package browser drives a real Chromium in tests: of the inspector's page, and of the documentation site. It is a module of its own,
// so that users of ply never download the browser's driver.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/plyhttp/ply/internal/testserver"
)

// chromium is the one browser of all tests; each has a tab of its own. mu is held while it starts.
var chromium struct {
	mu   sync.Mutex
	ctx  context.Context // nil before the first test
	err  error           // why it could not start
	stop func()
}

// start starts the browser, if it does not run yet.
func start(program string) (context.Context, error) {
	chromium.mu.Lock()
	defer chromium.mu.Unlock()
	if chromium.ctx != nil {
		return chromium.ctx, chromium.err
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program), chromedp.WindowSize(1280, 800),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true), chromedp.WSURLReadTimeout(30*time.Second))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to be root with one
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	chromium.ctx, chromium.stop = ctx, func() { cancel(); end() }
	chromium.err = chromedp.Do(ctx)
	return chromium.ctx, chromium.err
}

// Main runs the tests of a package, ends the browser after them, and calls what else comes then: TestMain calls it.
func Main(m *testing.M, after ...func()) {
	code := m.Run()
	for _, f := range after {
		f()
	}
	if chromium.stop != nil {
		chromium.stop()
	}
	os.Exit(code)
}

// Tab is a tab of the browser, for one test and its goroutine.
type Tab struct {
	T       *testing.T
	Context context.Context // for chromedp; it ends with the test. See Step

	mu       sync.Mutex
	problems []string // what the console, or the browser itself, complained of
	requests []string // the URLs that it has asked for
}

// Open opens a page. At the end of the test, what the browser complained of is an error, and the tab is closed.
// Without a browser the test is skipped, or fails if CI is set.
func Open(t *testing.T, url string) *Tab {
	t.Helper()
	parent, err := start(testserver.Find(t, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent)
	p := &Tab{T: t, Context: ctx}
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, problem := range p.problems {
			t.Errorf("the browser complains: %s", problem)
		}
	})
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	Call(p, audits.Enable, cdp.Empty{})
	Call(p, log.Enable, cdp.Empty{})
	Call(p, network.Enable, network.EnableParams{})
	Call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.Navigate(url)
	return p
}

// Navigate opens another page in the tab, as the address bar does, and waits until it is loaded.
func (p *Tab) Navigate(url string) {
	p.T.Helper()
	p.Do(chromedp.Navigate(url))
}

// Requests are the URLs that the tab has asked for since it was opened, those of data and blob excepted.
func (p *Tab) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

func (p *Tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.problems = append(p.problems, fmt.Sprintf("console: %s%s", e.Args[0].Value, e.Args[0].Description))
		}
	case *network.EventRequestWillBeSent:
		if strings.HasPrefix(e.Request.URL, "http") {
			p.requests = append(p.requests, e.Request.URL)
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

// Forgive forgets complaints that have a part of a text, which the test has brought about.
func (p *Tab) Forgive(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = slices.DeleteFunc(p.problems, func(problem string) bool { return strings.Contains(problem, part) })
}

// Step returns a context for one command of the browser. Its minute is for a browser that hangs: a test of many pages may take longer.
func (p *Tab) Step() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.Context, time.Minute)
}

func (p *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.T.Helper()
	ctx, cancel := p.Step()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.T.Fatal(err)
	}
}

// Call calls a command of the browser's protocol.
func Call[P, R any](p *Tab, command cdp.Command[P, R], params P) R {
	p.T.Helper()
	ctx, cancel := p.Step()
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.T.Fatal(err)
	}
	return result
}

// Eval runs JavaScript, which may be a promise, and returns its value.
func Eval[T any](p *Tab, script string, args ...any) T {
	p.T.Helper()
	var value T
	result := Evaluate(p, script, args...)
	if err := json.Unmarshal(result, &value); err != nil {
		p.T.Fatalf("%v: %s is %s", err, script, result)
	}
	return value
}

// Evaluate is Eval as JSON. Each argument is written as JSON in the place of its verb %s.
func Evaluate(p *Tab, script string, args ...any) []byte {
	p.T.Helper()
	result, err := p.evaluate(script, args...)
	if err != nil {
		p.T.Fatalf("%v: in %s", err, script)
	}
	return result
}

func (p *Tab) evaluate(script string, args ...any) ([]byte, error) {
	texts := make([]any, len(args))
	for i, arg := range args {
		text, err := json.Marshal(arg)
		if err != nil {
			return nil, err
		}
		texts[i] = text
	}
	if len(args) > 0 {
		script = fmt.Sprintf(script, texts...)
	}
	yes := true
	ctx, cancel := p.Step()
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject](script, chromedp.EvalAwaitPromise, func(e *runtime.EvaluateParams) { e.UserGesture, e.ReturnByValue = &yes, &yes }))
	switch {
	case err != nil:
		return nil, err
	case len(result.Value) == 0:
		return []byte("null"), nil
	}
	return result.Value, nil
}

// untilTrue looks at each frame that the page draws.
const untilTrue = `new Promise((done, fail) => {
	const end = performance.now() + 10_000
	const look = () => {
		try {
			if (%s) done(true)
			else if (performance.now() > end) done(false)
			else requestAnimationFrame(look)
		} catch (e) { fail(e) }
	}
	look()
})`

// Wait waits until JavaScript is true, also beyond the end of the page: on the one that comes after it.
func (p *Tab) Wait(script string, args ...any) {
	p.T.Helper()
	for began := time.Now(); ; {
		result, err := p.evaluate(strings.Replace(untilTrue, "%s", script, 1), args...)
		switch {
		case err != nil && time.Since(began) < time.Minute && (strings.Contains(err.Error(), "navigated") || strings.Contains(err.Error(), "context was destroyed") || strings.Contains(err.Error(), "Promise was collected")):
			continue
		case err != nil:
			p.T.Fatalf("%v: in %s", err, script)
		case string(result) != "true":
			p.T.Fatalf("never true: "+strings.ReplaceAll(script, "%s", "%v")+"\nthe page: %s", append(args, Eval[string](p, "document.body.innerText.slice(0, 1500)"))...)
		}
		return
	}
}

// Has waits until an element's text has a part.
func (p *Tab) Has(selector, part string) {
	p.T.Helper()
	p.Wait("document.querySelector(%s)?.innerText.includes(%s)", selector, part)
}

// Click clicks the middle of the first element that a selector finds, as a mouse does.
func (p *Tab) Click(selector string) {
	p.T.Helper()
	p.Do(chromedp.Click(selector))
}

// Keys presses keys, wherever the focus is.
func (p *Tab) Keys(keys string) {
	p.T.Helper()
	p.Do(chromedp.KeyEvent(keys))
}

// Size sets the viewport, in CSS pixels, and how many pixels of the screen one of them has.
func (p *Tab) Size(width, height int64, scale float64) {
	p.T.Helper()
	Call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: scale})
	Frames(p)
}

// Scheme sets what the person prefers.
func (p *Tab) Scheme(dark bool) {
	p.T.Helper()
	value := "light"
	if dark {
		value = "dark"
	}
	Call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	Frames(p)
}

// Frames waits until what has changed is drawn.
func Frames(p *Tab) {
	p.T.Helper()
	Eval[any](p, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
}

package browsertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/plyhttp/ply"
	"github.com/plyhttp/ply/internal/browser"
)

// openCall opens the newest call whose row has a text.
func (p *tab) openCall(part string) {
	p.T.Helper()
	browser.Eval[any](p.Tab, `[...document.querySelectorAll('#rows .row:not([hidden])')].find((row) => row.textContent.includes(%s)).click()`, part)
	p.Wait(`document.querySelector('#detail .waterfall') && document.querySelector('#detail h2').textContent.includes(%s)`, part)
}

func TestListGrowsAsCallsHappen(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	p.Has("#empty", "Waiting for the first call")
	s.get("/users/1")
	p.Wait(`document.querySelectorAll('#rows .row:not([hidden])').length === 1`)
	s.variety()
	p.Has("#filter-count", "17 calls")
	p.Wait(`!document.querySelector('#rows [data-outcome=open]')`)
	got := p.shown("outcome")
	for _, outcome := range []string{"hit", "miss", "revalidated", "bypass", "error"} {
		if !slices.Contains(got, outcome) {
			t.Errorf("outcomes are %s: no %s", got, outcome)
		}
	}
	if newest := p.shown("url")[0]; !strings.HasSuffix(newest, "/users/1") {
		t.Errorf("the newest call is %s", newest)
	}
	shapes := browser.Eval[[]string](p.Tab, `[...new Set([...document.querySelectorAll('#rows .row:not([hidden])')].map((row) => row.dataset.outcome + row.querySelector('use').getAttribute('href')))]`)
	for _, each := range shapes {
		if outcome, shape, _ := strings.Cut(each, "#shape-"); outcome != shape {
			t.Errorf("an outcome %s has the shape of %s", outcome, shape)
		}
	}
}

func TestListOfTenThousandCallsHasFewElementsAndTestsEachCallOnce(t *testing.T) {
	const calls = 10_000
	s := newChain(t, calls)
	for i := range calls {
		s.get(fmt.Sprintf("/users/%d", i%100))
	}
	p := open(t, s.inspector)
	p.Wait(`document.getElementById('filter-count').textContent === '10,000 calls'`)
	if n := browser.Eval[int](p.Tab, "document.getElementById('rows').children.length"); n > 80 {
		t.Errorf("%d rows are elements", n)
	}
	if n := browser.Eval[int](p.Tab, "document.getElementsByTagName('*').length"); n > 1600 {
		t.Errorf("the page has %d elements", n)
	}
	work := func(do string) (tested, rows int) {
		t.Helper()
		got := browser.Eval[[2]int](p.Tab, strings.Replace(`(async () => {
			const { work } = await import('/calls.js');
			const before = [work.tested, work.rows];
			DO;
			await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
			return [work.tested - before[0], work.rows - before[1]];
		})()`, "DO", do, 1))
		return got[0], got[1]
	}
	typed := func(text string) string {
		return fmt.Sprintf(`{ const f = document.getElementById('filter'); f.value = %q; f.dispatchEvent(new Event('input')); }`, text)
	}
	if tested, rows := work(typed("users/4")); tested != calls || rows > 80 {
		t.Errorf("a filter tested %d calls and filled %d rows", tested, rows)
	}
	p.Has("#filter-count", "1,100 of 10,000") // users/4 and users/40 to users/49
	if tested, _ := work(typed("users/42")); tested != 1100 {
		t.Errorf("a filter that is narrower than the last tested %d calls, not the 1100 that were shown", tested)
	}
	p.Has("#filter-count", "100 of 10,000")
	if tested, _ := work(typed("users/42 status:5xx")); tested != 100 {
		t.Errorf("a filter with one more condition tested %d calls", tested)
	}
	p.Has("#empty", "No call passes the filter")
	if tested, rows := work(typed("")); tested != 0 || rows > 80 {
		t.Errorf("no filter tested %d calls and filled %d rows", tested, rows)
	}
	if _, rows := work(`document.getElementById('grid').scrollTop = 150000`); rows == 0 || rows > 80 {
		t.Errorf("scrolling far filled %d rows", rows)
	}
	before := p.shown("url")[10]
	if tested, rows := work(`0`); tested != 0 || rows != 0 {
		t.Errorf("nothing happened, and %d calls were tested, %d rows filled", tested, rows)
	}
	s.get("/users/1")
	p.Wait(`!document.getElementById('newer').hidden`)
	p.Wait(`document.getElementById('filter-count').textContent === '10,000 calls'`) // the oldest has gone
	if after := p.shown("url")[10]; after != before {
		t.Errorf("a call came while the list was scrolled, and what was in sight moved: %s became %s", before, after)
	}
	p.Click("#newer")
	p.Wait(`document.getElementById('grid').scrollTop === 0 && document.getElementById('newer').hidden`)
}

func TestFilterShowsWhatPassesAndChipsAreFilters(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	s.variety()
	p.Has("#filter-count", "16 calls")
	for filter, want := range map[string][]string{
		"method:post":                {"/orders"},
		"status:5xx":                 {"/broken"},
		"outcome:error":              {"/nothing-listens"},
		"outcome:revalidated":        {"/news"},
		"attempts:>1 -outcome:error": {"/broken", "/moved", "/flaky"},
		"news -outcome:miss":         {"/news"},
	} {
		p.filter(filter)
		p.Has("#filter-count", " of 16")
		got := p.shown("url")
		if len(got) != len(want) || !slices.EqualFunc(got, want, strings.Contains) {
			t.Errorf("%s shows %s, not %s", filter, got, want)
		}
	}
	p.filter("status:soon users")
	p.Has("#filter-problem", "status:soon cannot be read")
	p.filter("users")
	p.Click(`.chip[data-outcome=hit]`)
	p.Wait(`document.getElementById('filter').value === 'users outcome:hit' && document.querySelector('.chip[data-outcome=hit]').ariaPressed === 'true'`)
	p.Has("#filter-count", "2 of 16")
	p.Click(`.chip[data-outcome=hit]`)
	p.Wait(`document.getElementById('filter').value === 'users'`)
}

func TestCallShowsWhyWaterfallAndBothMessages(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	s.variety()
	p.Has("#filter-count", "16 calls")
	p.openCall("/flaky")
	p.Has("#detail .why", "RFC 9111 §5.2.2.5")
	if link := browser.Eval[string](p.Tab, `document.querySelector('#detail .why a').href`); !strings.HasPrefix(link, "https://www.rfc-editor.org/rfc/rfc9111") {
		t.Errorf("a reason leads to %s", link)
	}
	rows := browser.Eval[string](p.Tab, `[...document.querySelectorAll('#detail .waterfall tbody th')].map((cell) => cell.innerText).join('\n')`)
	for _, want := range []string{"Request GET", "Attempt 1 503", "Wait before attempt 2", "Attempt 3 200", "Send", "Wait for answer", "Body"} {
		if !strings.Contains(rows, want) {
			t.Errorf("the waterfall has no %q:\n%s", want, rows)
		}
	}
	off := browser.Eval[[]float64](p.Tab, `(async () => {
		const api = await import('/api.js');
		const id = Number(document.querySelector('#rows [aria-selected=true]').id.slice(5)), call = await api.call(id);
		const want = call.hopList[0].exchanges.filter((x) => x.waitMs > 0).map((x) => x.waitMs / call.durationMs);
		const bars = [...document.querySelectorAll('#detail .waterfall [data-kind=wait] b')];
		return bars.map((bar, n) => bar.getBoundingClientRect().width / bar.parentNode.getBoundingClientRect().width - want[n]);
	})()`)
	if len(off) != 2 || max(off[0], off[1]) > 0.02 || min(off[0], off[1]) < -0.02 {
		t.Errorf("the bars of two waits differ by these parts of the call from what they stand for: %v", off)
	}
	p.Click("#detail .actions button")
	p.Has("#detail .actions", "Copied")
	p.openCall("/orders")
	p.Has("#detail .pair", "tea")
	p.Has("#detail .pair", "Content-Type")
	p.openCall("/users/1")
	p.Has("#detail pre", `"balance": 12345678901234567890,`)
	p.openCall("/moved")
	p.Has("#detail", "Hop 2: GET")
	p.openCall("/nothing-listens")
	p.Has("#detail", "refused")
	p.openCall("/image")
	p.Has("#detail .pair", "image/png")
}

func TestCurlAndArchiveAreWithoutSecrets(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	s.get("/users/1")
	s.do(s.client.Post(s.t.Context(), s.origin+"/it's?password=hunter2", ply.BodyString(`it's "hunter1" $(x)`), ply.SetHeader("Authorization", "Bearer hunter3"), ply.SetHeader("Accept-Language", "it's; $HOME")))
	p.Has("#filter-count", "2 calls")
	p.openCall("/it")
	curl := browser.Eval[string](p.Tab, `(async () => { const { curl } = await import('/detail.js'), api = await import('/api.js'); return curl(await api.call(2)); })()`)
	if strings.Contains(curl, "hunter2") || strings.Contains(curl, "hunter3") {
		t.Errorf("a secret is in\n%s", curl)
	}
	for _, want := range []string{`--request 'POST'`, `--header 'Accept-Language: it'\''s; $HOME'`} {
		if !strings.Contains(curl, want) {
			t.Errorf("no %s in\n%s", want, curl)
		}
	}
	next := p.downloads()
	p.filter("users")
	p.Has("#filter-count", "1 of 2")
	p.Click("#har")
	var archive struct {
		Log struct {
			Version string
			Entries []struct{ Request struct{ Method, URL string } }
		}
	}
	content := next()
	if err := json.Unmarshal(content, &archive); err != nil {
		t.Fatal(err)
	}
	if archive.Log.Version != "1.2" || len(archive.Log.Entries) != 1 || archive.Log.Entries[0].Request.URL != s.origin+"/users/1" {
		t.Errorf("the archive is %s", content)
	}
	p.filter("")
	p.Click("#har")
	if content := next(); strings.Count(string(content), `"startedDateTime"`) != 2 || strings.Contains(string(content), "hunter2") || strings.Contains(string(content), "hunter3") {
		t.Errorf("the archive of all calls is %s", content)
	}
}

func TestCacheShowsEntriesAndRemovesThem(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	for i := range 4 {
		s.get(fmt.Sprintf("/users/%d", i))
	}
	s.get("/hostile")
	p.Click("#tab-cache")
	p.Has("#cache-count", "5 entries")
	p.Wait(`document.querySelector('#cache-scroll .says').innerText.startsWith('fresh for')`)
	if part := browser.Eval[float64](p.Tab, `document.querySelector('#cache-scroll .meter b').offsetWidth / document.querySelector('#cache-scroll .meter').offsetWidth`); part < 0.9 {
		t.Errorf("an entry that has just come is %v fresh", part)
	}
	p.Click("#cache-scroll [data-action=more]")
	p.Has("#cache-scroll .entry-detail", "Key")
	p.Has("#cache-scroll .entry-detail", "URI")

	p.Click(`#cache-scroll [aria-label$="/users/1"][data-action=remove]`)
	p.Wait(`!document.querySelector('#cache-scroll').innerText.includes('/users/1')`)
	if n := s.cache.Stats().Entries; n != 4 {
		t.Errorf("%d entries are left of 5, of which one was removed", n)
	}
	if !browser.Eval[bool](p.Tab, `document.activeElement.dataset.action === 'remove'`) {
		t.Errorf("the focus went to %s", browser.Eval[string](p.Tab, "document.activeElement.outerHTML.slice(0, 100)"))
	}

	browser.Eval[any](p.Tab, `document.getElementById('purge-value').value = 'users-2'; null`)
	p.Click("#purge button")
	p.Has("#confirm", "tag users-2")
	p.Click("#confirm button[value=no]")
	p.Wait(`!document.getElementById('confirm').open`)
	if n := s.cache.Stats().Entries; n != 4 {
		t.Errorf("%d entries are left, though nothing was to be removed", n)
	}
	p.Click("#purge button")
	p.Click("#confirm button[value=yes]")
	p.Wait(`!document.querySelector('#cache-scroll').innerText.includes('/users/2')`)

	browser.Eval[any](p.Tab, `{ const by = document.getElementById('purge-by'); by.value = 'pattern'; by.dispatchEvent(new Event('change')); document.getElementById('purge-value').value = '*.png'; null }`)
	p.Click("#purge button")
	p.Click("#confirm button[value=yes]")
	p.Has("#cache-count", "No entry fits *.png. A pattern is a host and a path, as example.com/img/*.png.")
	p.Has("#announce", "No entry fits *.png")

	browser.Eval[any](p.Tab, `{ const by = document.getElementById('purge-by'); by.value = 'all'; by.dispatchEvent(new Event('change')); null }`)
	p.Click("#purge button")
	p.Click("#confirm button[value=yes]")
	p.Has("#cache-scroll", "The cache is empty")
	if n := s.cache.Stats().Entries; n != 0 {
		t.Errorf("%d entries are left of none", n)
	}
}

func TestStatisticsArePlotted(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	p.Click("#tab-stats")
	p.Has("#stats", "Nothing yet")
	s.variety()
	p.Wait(`document.querySelectorAll('#stats .mark[data-outcome=hit][d^=M]').length === 1`)
	p.Click("#stats-range [value='60']")
	p.Has("#stats", "Requests per minute")
	p.Wait(`document.querySelectorAll('#stats .mark[data-outcome=hit][d^=M]').length === 1`)
	p.Click("#stats-range [value='1']")
	p.Has("#stats", "Requests per second")
	p.Has("#stats .tiles", "Errors\n1")
	p.Has("#stats .tiles", fmt.Sprintf("Entries\n%d", s.cache.Stats().Entries))
	if size := browser.Eval[float64](p.Tab, `document.querySelector('#stats .mark[data-outcome=miss]').getBoundingClientRect().height`); size < 3 {
		t.Errorf("the bar of the misses is %v px high", size)
	}
}

func TestKeyboardAloneDoesEverything(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	s.variety()
	p.Has("#filter-count", "16 calls")
	focus := func(selector string) {
		t.Helper()
		p.Wait(`document.activeElement.matches(%s)`, selector)
		if browser.Eval[bool](p.Tab, `document.activeElement.matches('body') || getComputedStyle(document.activeElement).outlineStyle === 'none'`) {
			t.Errorf("no outline shows that the focus is on %s", selector)
		}
	}
	active := func() string {
		t.Helper()
		return browser.Eval[string](p.Tab, `document.getElementById(document.getElementById('grid').getAttribute('aria-activedescendant'))?.querySelector('.c-url').textContent ?? ''`)
	}
	p.Keys("/")
	focus("#filter")
	p.Keys("users")
	p.Has("#filter-count", "8 of 16")
	p.Keys(kb.ArrowDown)
	focus("#grid")
	p.Keys("j")
	p.Keys(kb.ArrowDown)
	p.Keys("k")
	if got := active(); !strings.HasSuffix(got, "/users/1") {
		t.Errorf("the row is that of %s", got)
	}
	p.Keys(kb.End)
	if got := active(); !strings.HasSuffix(got, "/users/0") {
		t.Errorf("the oldest is %s", got)
	}
	p.Keys(kb.Enter)
	focus("#detail")
	p.Has("#detail h2", "/users/0")

	s.get("/users/5")
	p.Has("#filter-count", "9 of 17")
	focus("#detail")
	p.Keys(kb.Escape)
	focus("#grid")
	if got := active(); !strings.HasSuffix(got, "/users/0") {
		t.Errorf("a call came, and the row is that of %s", got)
	}
	p.Keys(kb.Escape)
	p.Has("#filter-count", "17 calls")
	p.Keys("2")
	focus("#tab-cache")
	p.Keys(kb.Tab)
	focus("#help-open")
	p.Keys("?")
	p.Wait(`document.getElementById('help').open`)
	p.Keys("1") // is no key of the page while it reads about keys
	p.Keys(kb.Escape)
	p.Wait(`!document.getElementById('help').open && !document.getElementById('view-cache').hidden`)
	p.Keys("1")
	focus("#tab-calls")
	p.Keys(kb.ArrowRight)
	focus("#tab-cache")

	browser.Eval[any](p.Tab, `document.getElementById('single-keys').click()`)
	p.Keys("3")
	p.Keys("1")
	if browser.Eval[bool](p.Tab, `document.getElementById('view-cache').hidden`) {
		t.Error("single letters are keys, though they have been switched off")
	}
	browser.Eval[any](p.Tab, `document.getElementById('single-keys').click()`)
}

func TestHostileTextsAreTexts(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	s.get("/hostile?q="+strings.ReplaceAll(hostile, "#", ""), ply.SetHeader("X-Sent", hostile))
	p.Wait(`document.querySelectorAll('#rows .row:not([hidden])').length === 1`)
	p.openCall("/hostile")
	p.Has("#detail .pair", `<script>window.hacked=1</script>`)
	if n := browser.Eval[int](p.Tab, `[...document.querySelectorAll('#detail .fields td, #detail pre')].filter((each) => each.textContent.includes('<img src=x onerror')).length`); n < 2 {
		t.Errorf("the hostile text is in %d places, not in a field and in the body: the test tests nothing", n)
	}
	if browser.Eval[bool](p.Tab, `window.hacked !== undefined || document.querySelector('main img, main script') !== null`) {
		t.Error("a text of the origin has become markup")
	}
	p.filter(hostile)
	p.filter("")
	p.Click("#tab-cache")
	p.Has("#cache-scroll", "<b>tag</b>")
	p.Click("#cache-scroll [data-action=more]")
	p.Click("#tab-stats")
	browser.Frames(p.Tab)
	if browser.Eval[bool](p.Tab, `window.hacked !== undefined || document.querySelector('main img, main script') !== null`) {
		t.Error("a text of the origin has become markup")
	}
}

func TestPageWorksBelowAPathAndForgetsCalls(t *testing.T) {
	s := newChain(t, 100)
	mux := http.NewServeMux()
	mux.Handle("/debug/calls/", http.StripPrefix("/debug/calls", s.inspector))
	p := openAt(t, mux, "/debug/calls/")
	s.variety()
	p.Has("#filter-count", "16 calls")
	p.openCall("/users/3")
	p.Click("#tab-cache")
	p.Has("#cache-count", "8 entries")
	p.Click("#tab-calls")
	p.Click("#clear")
	p.Has("#empty", "Waiting for the first call")
	if !browser.Eval[bool](p.Tab, `document.getElementById('detail').hidden && document.activeElement.id === 'grid'`) {
		t.Error("the call is still open, or the focus got lost")
	}
	s.get("/users/1")
	p.Has("#filter-count", "1 call")
}

func TestConnectionThatIsLostIsSeenAndComesBack(t *testing.T) {
	s := newChain(t, 100)
	p := open(t, s.inspector)
	s.get("/users/1")
	p.Has("#filter-count", "1 call")
	cut(p)
	p.Has("#connection", "Connection lost")
	s.get("/users/2")
	p.Forgive("ERR_")
	p.Wait(`document.getElementById('connection').dataset.state === 'live'`)
	p.Has("#filter-count", "2 calls")
	p.Forgive("ERR_")
}

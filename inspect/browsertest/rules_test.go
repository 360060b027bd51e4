package browsertest

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/plyhttp/ply/internal/browser"
)

// TestRules runs the rules of the page's modules, which touch no element.
func TestRules(t *testing.T) {
	s := newChain(t, 10)
	p := open(t, s.inspector)
	browser.Eval[any](p.Tab, `(async () => {
		for (const name of ['filter', 'calls', 'body', 'waterfall', 'stats', 'dom', 'detail']) window[name + 'Module'] = await import('/' + name + '.js');
		window.example = callsModule.normal({ id: 1, method: 'POST', url: 'https://API.example:8443/users/7?q=Tea', outcome: 'bypassed', status: 503, durationMs: 150, size: 20000, attempts: 3, hops: 2, layers: ['cache bypassed', 'retry 3 attempts'], mediaType: 'application/json', error: '' });
		window.passes = (text) => filterModule.matches(filterModule.parse(text), example);
		window.narrows = (a, b) => filterModule.narrows(filterModule.parse(a), filterModule.parse(b));
		return null;
	})()`)
	for _, c := range []struct {
		name, script, want string
	}{
		{"words must all be there", `['', 'users tea', 'users coffee', '"7?q"', 'api.example:8443', 'https://api'].map(passes)`, `[true, true, false, true, true, true]`},
		{"a minus excludes", `['-users', '-coffee', '-status:5xx', '-status:4xx', '-'].map(passes)`, `[false, true, false, true, true]`},
		{"status", `['status:503', 'status:5xx', 'status:5', 'status:>=500', 'status:<500', 'status:404,503', 'status:200'].map(passes)`, `[true, true, true, true, false, true, false]`},
		{"outcome", `['outcome:bypass', 'outcome:bypassed', 'outcome:hit', 'outcome:hit,bypass'].map(passes)`, `[true, true, false, true]`},
		{"other keys", `['method:post', 'host:example', 'type:json', 'layer:retry', 'layer:hedge', 'METHOD:POST'].map(passes)`, `[true, true, true, true, false, true]`},
		{"numbers with units", `['time:>100ms', 'time:>0.1s', 'time:>1s', 'size:>10kb', 'size:<1mb', 'attempts:3', 'hops:>1'].map(passes)`, `[true, true, false, true, true, true, true]`},
		{"what cannot be read is left out and said", `(() => { const f = filterModule.parse('status:soon users'); return [f.terms.length, f.problem.includes('status:soon'), filterModule.parse('status: users').problem]; })()`, `[1, true, ""]`},
		{"a filter narrows another", `[narrows('', 'a'), narrows('a', 'ab'), narrows('a', 'a status:5xx'), narrows('ab', 'a'), narrows('a', ''), narrows('-ab', '-a'), narrows('-a', '-ab'), narrows('status:5xx', 'status:503'), narrows('-status:5xx', '-status:5')]`,
			`[true, true, true, false, false, true, false, false, false]`},
		{"a chip changes its key alone", `[filterModule.withKey('a outcome:hit "b c" -outcome:miss', 'outcome', ['stale', 'hit']), filterModule.withKey('outcome:hit', 'outcome', []), filterModule.valuesOf('x outcome:Hit,stale', 'outcome').join()]`,
			`["a \"b c\" -outcome:miss outcome:stale,hit", "", "hit,stale"]`},
		{"calls stay in order, whatever comes late or changes", `(() => {
			const all = new callsModule.Calls();
			const put = (id, version, outcome = 'hit') => all.put(callsModule.normal({ id, version, method: 'GET', url: '/' + id, outcome }));
			put(2, 1); put(9, 2); put(10, 3); put(1, 4); all.setFilter('outcome:hit'); put(9, 5, 'miss'); put(3, 6); put(9, 2); put(2, 7);
			const hits = all.shown.join();
			all.setFilter(''); const shown = all.shown.join();
			all.dropBefore(3);
			return [hits, shown, all.shown.join(), all.counts.get('hit'), all.counts.get('miss'), all.newest(0).id, all.indexOf(3), all.indexOf(1)];
		})()`, `["1,2,3,10", "1,2,3,9,10", "3,9,10", 2, 1, 10, 2, -1]`},
		{"JSON is set out without changing a token", `[bodyModule.prettyJSON('{"a":[1.0,12345678901234567890,{}],"a":"x:,{}\\"","b":[]}'), bodyModule.prettyJSON('no'), bodyModule.prettyJSON('{"a":'), bodyModule.prettyJSON('{"a":[1,"tr', true)]`,
			`["{\n  \"a\": [\n    1.0,\n    12345678901234567890,\n    {}\n  ],\n  \"a\": \"x:,{}\\\"\",\n  \"b\": []\n}", null, null, "{\n  \"a\": [\n    1,\n    \"tr"]`},
		{"bytes are shown as such", `bodyModule.hexDump(new Uint8Array([0, 65, 255, 10, 32, 66, 67, 68, 69]))`, `"000000  00 41 ff 0a 20 42 43 44  45                       ·A·· BCDE"`},
		{"times of an axis are round and few", `[waterfallModule.ticks(43), waterfallModule.ticks(46), waterfallModule.ticks(0), waterfallModule.ticks(1000).length <= 5]`, `[[0, 10, 20, 30], [0, 10, 20, 30], [0], true]`},
		{"a scale ends at a round number", `[1, 2, 3, 11, 99, 100, 101].map(statsModule.nice)`, `[1, 2, 5, 20, 100, 100, 200]`},
		{"outcomes stand on each other", `statsModule.stack([{ hits: 2, misses: 1 }, { misses: 3 }]).map((each) => [each.name, each.values, each.base])`, `[["hit", [2, 0], [0, 0]], ["miss", [1, 3], [2, 0]]]`},
		{"durations", `[0, 0.0123, 0.5, 1.23, 43, 999.4, 1234, 65000, 3700000].map(domModule.duration)`, `["0 ms", "12 µs", "500 µs", "1.2 ms", "43 ms", "999 ms", "1.23 s", "1 min 5 s", "1 h 1 min"]`},
		{"sizes", `[0, 999, 1000, 12345, 999999, 5e9].map(domModule.bytes)`, `["0 B", "999 B", "1.0 kB", "12 kB", "1.0 MB", "5.0 GB"]`},
		{"links lead to the documents of rules alone", `['javascript:alert(1)', 'https://evil.example/rfc', 'https://www.rfc-editor.org/rfc/rfc9111'].map((url) => detailModule.safeLink(url))`, `[null, null, "https://www.rfc-editor.org/rfc/rfc9111"]`},
		{"curl quotes for a shell and says the method", `detailModule.curl({ method: 'PUT', url: "https://x/'$(id)", hopList: [{ request: { headers: [{ name: 'Accept', value: "a'b" }, { name: 'Content-Length', value: '3' }, { name: 'X-Empty', value: '' }], body: { text: '@file' } } }] })`,
			`"curl \\\n  --request 'PUT' \\\n  --header 'Accept: a'\\''b' \\\n  --header 'X-Empty;' \\\n  --data-raw '@file' \\\n  --url 'https://x/'\\''$(id)'"`},
	} {
		var got, want any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got = browser.Eval[any](p.Tab, c.script); !reflect.DeepEqual(got, want) {
			g, _ := json.Marshal(got)
			t.Errorf("%s:\n got %s\nwant %s", c.name, g, c.want)
		}
	}
}

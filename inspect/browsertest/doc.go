// Package browsertest clicks through the page of package inspect in a real Chromium. It is a module of its own, so that users of ply never download the browser's driver.
//
//	browser_test.go    the browser: how it starts, what a test does in it, and what its console may not say
//	chain_test.go      the chain, the origin and the inspector that the page shows
//	page_test.go       what a person does on the page: list, filter, call, cache, statistics, keys
//	look_test.go       what it looks like: widths, zoom, dark and light; the screenshots
//	access_test.go     who can use it: axe, contrast
//	rules_test.go      the rules in the page's modules: filter, JSON, waterfall, plots
//	docs_test.go       the pictures of docs/inspect.md
//
// With PLY_SCREENSHOTS set to a directory, the screenshots are written there.
package browsertest

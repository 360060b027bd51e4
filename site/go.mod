module github.com/plyhttp/ply/site

go 1.26.0

require (
	github.com/plyhttp/ply v0.0.0
	github.com/plyhttp/ply/internal/browser v0.0.0
)

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/chromedp/chromedp v0.23.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
)

replace github.com/plyhttp/ply => ..

replace github.com/plyhttp/ply/internal/browser => ../internal/browser

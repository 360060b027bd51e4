module github.com/plyhttp/ply/inspect/browsertest

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/plyhttp/ply v0.0.0
	github.com/plyhttp/ply/internal/browser v0.0.0
	github.com/plyhttp/ply/resilience v0.0.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
)

replace github.com/plyhttp/ply => ../..

replace github.com/plyhttp/ply/internal/browser => ../../internal/browser

replace github.com/plyhttp/ply/resilience => ../../resilience

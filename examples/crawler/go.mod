module github.com/plyhttp/ply/examples/crawler

go 1.26.0

require (
	github.com/plyhttp/ply v0.0.0
	github.com/temoto/robotstxt v1.1.2
	golang.org/x/net v0.61.0
)

require github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect

replace github.com/plyhttp/ply => ../..

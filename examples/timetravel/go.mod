module github.com/plyhttp/ply/examples/timetravel

go 1.25.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/plyhttp/ply v0.0.0
	github.com/plyhttp/ply/resilience v0.0.0
)

require github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect

replace (
	github.com/plyhttp/ply => ../..
	github.com/plyhttp/ply/resilience => ../../resilience
)

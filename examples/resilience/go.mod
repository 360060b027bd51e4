module github.com/plyhttp/ply/examples/resilience

go 1.25.0

require (
	github.com/plyhttp/ply v0.0.0
	github.com/plyhttp/ply/resilience v0.0.0
)

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace (
	github.com/plyhttp/ply => ../..
	github.com/plyhttp/ply/resilience => ../../resilience
)

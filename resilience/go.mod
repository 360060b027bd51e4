module github.com/plyhttp/ply/resilience

go 1.25.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/plyhttp/ply v0.0.0
	github.com/sony/gobreaker/v2 v2.4.0
	golang.org/x/time v0.15.0
)

replace github.com/plyhttp/ply => ..

module github.com/plyhttp/ply/benchmarks/fleet

go 1.26.0

require github.com/plyhttp/ply v0.0.0

require github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect

replace github.com/plyhttp/ply => ../..

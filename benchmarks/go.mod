module github.com/plyhttp/ply/benchmarks

go 1.25.3

require (
	github.com/bartventer/httpcache v0.13.0
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/google/go-cmp v0.7.0
	github.com/gregjones/httpcache v0.0.0-20190611155906-901d90724c79
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/plyhttp/ply v0.0.0
	github.com/sandrolain/httpcache v1.4.2
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/influxdata/tdigest v0.0.1 // indirect
)

replace github.com/plyhttp/ply => ../

module github.com/plyhttp/ply/benchmarks

go 1.25.3

require (
	github.com/Yiling-J/theine-go v0.6.3
	github.com/bartventer/httpcache v0.13.0
	github.com/failsafe-go/failsafe-go v0.9.8
	github.com/google/go-cmp v0.7.0
	github.com/gregjones/httpcache v0.0.0-20190611155906-901d90724c79
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/maypok86/otter/v2 v2.4.0
	github.com/plyhttp/ply v0.0.0
	github.com/sandrolain/httpcache v1.4.2
)

require (
	github.com/bits-and-blooms/bitset v1.24.4 // indirect
	github.com/influxdata/tdigest v0.0.1 // indirect
	github.com/klauspost/cpuid/v2 v2.0.9 // indirect
	github.com/zeebo/xxh3 v1.0.2 // indirect
	golang.org/x/sys v0.45.0 // indirect
)

replace github.com/plyhttp/ply => ../

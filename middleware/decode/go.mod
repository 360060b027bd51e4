module github.com/plyhttp/ply/middleware/decode

go 1.25.0

require (
	github.com/andybalholm/brotli v1.3.0
	github.com/google/go-cmp v0.7.0
	github.com/klauspost/compress v1.20.4
	github.com/plyhttp/ply v0.0.0
)

require github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect

replace github.com/plyhttp/ply => ../..

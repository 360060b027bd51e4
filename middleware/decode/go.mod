module github.com/plyhttp/ply/middleware/decode

go 1.26.0

require github.com/plyhttp/ply v0.0.0

require (
	github.com/andybalholm/brotli v1.3.0 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
)

replace github.com/plyhttp/ply => ../..

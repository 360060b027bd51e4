module github.com/plyhttp/ply/tools/release

go 1.26.0

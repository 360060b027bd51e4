module github.com/plyhttp/ply/tools/mutate

go 1.26.0

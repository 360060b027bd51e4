module github.com/plyhttp/ply/tools/terminal

go 1.26.0

module github.com/plyhttp/ply/middleware/auth/oauth2

go 1.26.0

require github.com/plyhttp/ply v0.0.0

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	golang.org/x/oauth2 v0.38.0
)

replace github.com/plyhttp/ply => ../../..

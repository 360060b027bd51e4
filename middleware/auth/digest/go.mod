module github.com/plyhttp/ply/middleware/auth/digest

go 1.25.0

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7
	github.com/plyhttp/ply v0.0.0
)

require github.com/icholy/digest v1.2.0

replace github.com/plyhttp/ply => ../../..

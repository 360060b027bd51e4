module github.com/plyhttp/ply/middleware/auth/sigv4

go 1.25.0

require github.com/plyhttp/ply v0.0.0

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/aws/smithy-go v1.28.9 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
)

replace github.com/plyhttp/ply => ../../..

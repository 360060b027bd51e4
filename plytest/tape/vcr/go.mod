module github.com/plyhttp/ply/plytest/tape/vcr

go 1.26.0

require (
	github.com/plyhttp/ply v0.0.0
	go.yaml.in/yaml/v4 v4.0.0
)

require (
	github.com/google/go-cmp v0.7.0
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/plyhttp/ply => ../../..

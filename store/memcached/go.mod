module github.com/plyhttp/ply/store/memcached

go 1.25.0

require (
	github.com/plyhttp/ply v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/plyhttp/ply => ../..

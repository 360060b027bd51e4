module github.com/plyhttp/ply/examples/memcached

go 1.25.0

require (
	github.com/bradfitz/gomemcache v0.0.0-20260422231931-4d751bb6e37c
	github.com/plyhttp/ply v0.0.0
)

replace github.com/plyhttp/ply => ../..

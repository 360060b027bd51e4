//go:build pages

package docs

// The modules of ply and the libraries that the pages import, for go.mod. The tag is never set: a test of the pages reads export data and links none of them.
import (
	_ "github.com/aws/aws-sdk-go-v2/config"
	_ "github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/plyhttp/ply"
	_ "github.com/plyhttp/ply/middleware/auth/digest"
	_ "github.com/plyhttp/ply/middleware/auth/oauth2"
	_ "github.com/plyhttp/ply/middleware/auth/sigv4"
	_ "github.com/plyhttp/ply/middleware/decode"
	_ "github.com/plyhttp/ply/plytest/tape/vcr"
	_ "github.com/plyhttp/ply/resilience"
	_ "github.com/plyhttp/ply/store/dynamodb"
	_ "github.com/plyhttp/ply/store/memcached"
	_ "github.com/plyhttp/ply/store/mongodb"
	_ "github.com/plyhttp/ply/store/nats"
	_ "github.com/plyhttp/ply/store/postgres"
	_ "github.com/plyhttp/ply/store/redis"
	_ "github.com/plyhttp/ply/store/s3"
	_ "github.com/plyhttp/ply/store/sqlite"
	_ "github.com/plyhttp/ply/telemetry/otel"
	_ "github.com/redis/go-redis/v9"
	_ "golang.org/x/oauth2"
	_ "golang.org/x/oauth2/clientcredentials"
)

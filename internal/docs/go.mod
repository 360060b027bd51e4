module github.com/plyhttp/ply/internal/docs

go 1.26.0

require (
	github.com/aws/aws-sdk-go-v2/config v1.33.18
	github.com/jackc/pgx/v5 v5.13.0
	github.com/plyhttp/ply v0.0.0
	github.com/plyhttp/ply/middleware/auth/digest v0.0.0
	github.com/plyhttp/ply/middleware/auth/oauth2 v0.0.0
	github.com/plyhttp/ply/middleware/auth/sigv4 v0.0.0
	github.com/plyhttp/ply/middleware/decode v0.0.0
	github.com/plyhttp/ply/plytest/tape/vcr v0.0.0
	github.com/plyhttp/ply/resilience v0.0.0
	github.com/plyhttp/ply/store/dynamodb v0.0.0
	github.com/plyhttp/ply/store/memcached v0.0.0
	github.com/plyhttp/ply/store/mongodb v0.0.0
	github.com/plyhttp/ply/store/nats v0.0.0
	github.com/plyhttp/ply/store/postgres v0.0.0
	github.com/plyhttp/ply/store/redis v0.0.0
	github.com/plyhttp/ply/store/s3 v0.0.0
	github.com/plyhttp/ply/store/sqlite v0.0.0
	github.com/plyhttp/ply/telemetry/otel v0.0.0
	github.com/redis/go-redis/v9 v9.22.0
	golang.org/x/oauth2 v0.38.0
)

require (
	github.com/andybalholm/brotli v1.3.0 // indirect
	github.com/aws/aws-sdk-go-v2 v1.48.0 // indirect
	github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream v1.7.27 // indirect
	github.com/aws/aws-sdk-go-v2/credentials v1.21.0 // indirect
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.20.9 // indirect
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.12 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.12 // indirect
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.12 // indirect
	github.com/aws/aws-sdk-go-v2/service/dynamodb v1.74.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.25 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/checksum v1.11.13 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/endpoint-discovery v1.13.12 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.12 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/s3shared v1.20.12 // indirect
	github.com/aws/aws-sdk-go-v2/service/s3 v1.114.10 // indirect
	github.com/aws/aws-sdk-go-v2/service/signin v1.13.1 // indirect
	github.com/aws/aws-sdk-go-v2/service/sso v1.39.5 // indirect
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.44.5 // indirect
	github.com/aws/aws-sdk-go-v2/service/sts v1.52.0 // indirect
	github.com/aws/smithy-go v1.28.9 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/icholy/digest v1.2.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/nats-io/nats.go v1.55.0 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	github.com/xdg-go/scram v1.4.0 // indirect
	github.com/xdg-go/stringprep v1.0.4 // indirect
	github.com/youmark/pkcs8 v0.0.0-20240726163527-a2c0da244d78 // indirect
	go.mongodb.org/mongo-driver/v2 v2.10.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.46.0 // indirect
	go.opentelemetry.io/otel/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/trace v1.46.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	go.yaml.in/yaml/v4 v4.0.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
	modernc.org/sqlite v1.61.1 // indirect
)

replace (
	github.com/plyhttp/ply => ../..
	github.com/plyhttp/ply/middleware/auth/digest => ../../middleware/auth/digest
	github.com/plyhttp/ply/middleware/auth/oauth2 => ../../middleware/auth/oauth2
	github.com/plyhttp/ply/middleware/auth/sigv4 => ../../middleware/auth/sigv4
	github.com/plyhttp/ply/middleware/decode => ../../middleware/decode
	github.com/plyhttp/ply/plytest/tape/vcr => ../../plytest/tape/vcr
	github.com/plyhttp/ply/resilience => ../../resilience
	github.com/plyhttp/ply/store/dynamodb => ../../store/dynamodb
	github.com/plyhttp/ply/store/memcached => ../../store/memcached
	github.com/plyhttp/ply/store/mongodb => ../../store/mongodb
	github.com/plyhttp/ply/store/nats => ../../store/nats
	github.com/plyhttp/ply/store/postgres => ../../store/postgres
	github.com/plyhttp/ply/store/redis => ../../store/redis
	github.com/plyhttp/ply/store/s3 => ../../store/s3
	github.com/plyhttp/ply/store/sqlite => ../../store/sqlite
	github.com/plyhttp/ply/telemetry/otel => ../../telemetry/otel
)

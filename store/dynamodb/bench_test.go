//go:build unix

package dynamodb_test

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/dynamodb"
)

func BenchmarkCache(b *testing.B) {
	survival.Benchmark(b, "dynamodb://cache?region=eu-west-1&timeout=1m&endpoint=http://"+startServer(b).Addr)
}

// BenchmarkDriver is a GetItem and a PutItem of 1 KiB by the SDK alone, and by the store.
func BenchmarkDriver(b *testing.B) {
	addr := startServer(b).Addr
	s, client, name := open(b, addr, dynamodb.Options{Timeout: time.Minute}), rawClient(addr, http.DefaultClient), aws.String("cache")
	data := make([]byte, 1<<10)
	rand.Read(data)
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "x"}}
	full := map[string]types.AttributeValue{"id": key["id"], "d": &types.AttributeValueMemberB{Value: data}}
	for run, call := range map[string]func() error{
		"put/sdk": func() error {
			_, err := client.PutItem(b.Context(), &awsdynamodb.PutItemInput{TableName: name, Item: full})
			return err
		},
		"get/sdk": func() error {
			_, err := client.GetItem(b.Context(), &awsdynamodb.GetItemInput{TableName: name, Key: key, ConsistentRead: aws.Bool(true)})
			return err
		},
		"put/store": func() error {
			if err := s.Delete(b.Context(), "k", ""); err != nil {
				return err
			}
			return s.Put(b.Context(), "k", store.Record{Data: data})
		},
		"get/store": func() error { _, err := s.Get(b.Context(), "k"); return err },
	} {
		b.Run(run, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, call())
			}
		})
	}
}

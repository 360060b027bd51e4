//go:build unix

package mongodb_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/plyhttp/ply/internal/survival"
)

func BenchmarkCache(b *testing.B) {
	survival.Benchmark(b, "mongodb://"+startServer(b).Addr+"/?timeout=1m")
}

// BenchmarkDriver is the driver's FindOne of 1 KiB alone.
func BenchmarkDriver(b *testing.B) {
	c := collection(b, startServer(b).Addr, "driver")
	_, err := c.InsertOne(b.Context(), bson.D{{Key: "_id", Value: "k"}, {Key: "d", Value: make([]byte, 1<<10)}})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.FindOne(b.Context(), bson.D{{Key: "_id", Value: "k"}}).Raw(); err != nil {
			b.Fatal(err)
		}
	}
}

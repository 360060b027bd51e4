//go:build unix

package nats_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/internal/survival"
	"github.com/plyhttp/ply/store/nats"
	"github.com/plyhttp/ply/store/nats/internal/natstest"
)

func Benchmark(b *testing.B) {
	for _, storage := range []string{"memory", "files"} {
		b.Run(storage, func(b *testing.B) {
			url := "nats://" + natstest.Start(b).Addr + "?timeout=1m&max_bytes=200MiB"
			if storage == "memory" {
				url += "&memory=true"
			}
			survival.Benchmark(b, url)
		})
	}
}

// BenchmarkBare is one Get of 1 KiB by the client's own key-value store.
func BenchmarkBare(b *testing.B) {
	addr := natstest.Start(b).Addr
	s := open(b, addr, nats.Options{MaxBytes: 8 << 20, Timeout: patient})
	require.NoError(b, s.Ping(b.Context()))
	kv := raw(b, addr, "ply")
	_, err := kv.Put(b.Context(), "bare", make([]byte, 1<<10))
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := kv.Get(b.Context(), "bare"); err != nil {
			b.Fatal(err)
		}
	}
}

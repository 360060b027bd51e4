//go:build unix

package s3_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store"
	"github.com/plyhttp/ply/store/s3"
	"github.com/plyhttp/ply/store/s3/internal/fake"
)

var sizes = []struct {
	name  string
	bytes int
}{{"1KiB", 1 << 10}, {"256KiB", 256 << 10}, {"1MiB", 1 << 20}}

// bare is the SDK without the store.
func bare(addr string) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + addr), UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

func BenchmarkGet(b *testing.B) {
	srv := start(b)
	s, sdk := open(b, srv.addr, "ply", s3.Options{}), bare(srv.addr)
	for _, size := range sizes {
		require.NoError(b, s.Put(b.Context(), size.name, store.Record{Data: proof(size.name, size.bytes)}))
		name := aws.String("ply/" + size.name + ".ply")
		b.Run(size.name+"/store", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r, err := s.Get(b.Context(), size.name); err != nil || len(r.Data) != size.bytes {
					b.Fatal(err)
				}
			}
		})
		b.Run(size.name+"/sdk", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out, err := sdk.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: aws.String(fake.Bucket), Key: name})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAll(out.Body); err != nil {
					b.Fatal(err)
				}
				out.Body.Close()
			}
		})
	}
	b.Run("absent/store", func(b *testing.B) {
		for b.Loop() {
			if r, err := s.Get(b.Context(), "nothing"); err != nil || r.Version != "" {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	srv := start(b)
	s, sdk := open(b, srv.addr, "ply", s3.Options{}), bare(srv.addr)
	n := 0
	for _, size := range sizes {
		data := proof(size.name, size.bytes)
		b.Run(size.name+"/store", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				if err := s.Put(b.Context(), fmt.Sprint(n), store.Record{Data: data}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(size.name+"/sdk", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n++
				in := &awss3.PutObjectInput{Bucket: aws.String(fake.Bucket), Key: aws.String(fmt.Sprint("bare/", n)), IfNoneMatch: aws.String("*"), Body: bytes.NewReader(data)}
				if _, err := sdk.PutObject(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHit is a request that the cache answers, from the bucket each time, and with a copy in memory.
func BenchmarkHit(b *testing.B) {
	srv := start(b)
	shared := open(b, srv.addr, "ply", s3.Options{})
	for name, s := range map[string]store.Store{"s3": shared, "tiered": cache.Tiered(cache.NewMemory(cache.MemoryOptions{}), shared)} {
		c := startClient(b, s, patient)
		for _, size := range []int{1 << 10, 1 << 20} {
			target := fmt.Sprintf("/bench/%s/%d", name, size)
			c.hits(b, target)
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					resp, err := c.Get("http://example.test" + target)
					if err != nil || resp.StatusCode != http.StatusOK {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, resp.Body); n != int64(size) || err != nil {
						b.Fatal(n, err)
					}
					resp.Body.Close()
				}
			})
		}
	}
}

// BenchmarkMiss is a request that the cache cannot answer, until the answer is stored.
func BenchmarkMiss(b *testing.B) {
	c := startClient(b, open(b, start(b).addr, "ply", s3.Options{}), patient)
	n := 0
	for _, size := range []int{1 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			for b.Loop() {
				n++
				before := c.cache.Stats().Stored
				c.get(b, fmt.Sprintf("/miss/%d/%d", n, size))
				for c.cache.Stats().Stored == before {
					runtime.Gosched()
				}
			}
		})
	}
}

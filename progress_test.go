package ply_test

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/plyhttp/ply"
)

func TestUploadProgress(t *testing.T) {
	const size = 100_000
	long := strings.Repeat("x", size)
	unknown := func() ply.RequestOption { return ply.BodyReader(iotest.HalfReader(strings.NewReader(long))) }
	for _, tt := range []struct {
		name  string
		opts  []ply.RequestOption
		path  string
		total int64
		ends  []int64 // where the counts of the attempts end; nil: at what the server got
	}{
		{"known length", []ply.RequestOption{ply.BodyString(long)}, "/", size, []int64{size}},
		{"chunked, known all the same", []ply.RequestOption{ply.BodyString(long), ply.Chunked()}, "/", size, []int64{size}},
		{"unknown length", []ply.RequestOption{unknown()}, "/", -1, []int64{size}},
		{"from 0 when sent again", []ply.RequestOption{ply.BodyString(long)}, "/again", size, []int64{size, size}},
		{"compressed bytes", []ply.RequestOption{ply.BodyString(long), ply.CompressBody("gzip")}, "/", -1, nil},
		{"empty", []ply.RequestOption{ply.BodyString("")}, "/", 0, []int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := receive(t)
			var last int64
			ends := []int64{}
			note := func() {
				if last > 0 {
					ends = append(ends, last)
				}
			}
			server.post(t, tt.path, 200, append(tt.opts, ply.UploadProgress(func(sent, total int64) {
				if total != tt.total {
					t.Errorf("total %d, want %d", total, tt.total)
				}
				if sent <= last {
					note()
				}
				last = sent
			}))...)
			note()
			if tt.ends == nil {
				tt.ends = []int64{int64(len(server.all()[0].raw))}
			}
			if diff := cmp.Diff(tt.ends, ends); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

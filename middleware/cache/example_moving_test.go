package cache_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/plyhttp/ply/middleware/cache"
	"github.com/plyhttp/ply/store/storetest"
)

// A cache in memory is written into a file at the end of a program, and read at its next start.
func ExampleCache_Export() {
	o := says("hello", "Cache-Control: max-age=3600")
	before, _ := cache.New(cache.Options{})
	defer before.Close()
	client := &http.Client{Transport: before.Middleware(o)}
	resp, _ := client.Get("http://example.com/")
	readAll(resp)

	var stream bytes.Buffer // or a file
	report, err := before.Export(context.Background(), &stream)
	fmt.Println(report.Entries, report.Bytes, err)

	after, _ := cache.New(cache.Options{})
	defer after.Close()
	report, err = after.Import(context.Background(), &stream)
	fmt.Println(report.Entries, report.Skipped, err)

	client = &http.Client{Transport: after.Middleware(o)}
	resp, _ = client.Get("http://example.com/")
	readAll(resp)
	status, _ := cache.StatusOf(resp)
	fmt.Println(status.Outcome())
	// Output:
	// 1 5 <nil>
	// 1 map[] <nil>
	// hit
}

// What is in memory is put into a store that survives the program.
func ExampleCopy() {
	memory, _ := cache.New(cache.Options{})
	defer memory.Close()
	shared, _ := cache.New(cache.Options{Store: storetest.NewMap(1 << 20)}) // or what file.Open or sqlite.Open returns
	defer shared.Close()

	report, err := cache.Copy(context.Background(), shared, memory)
	fmt.Println(report.Entries, err)
	// Output: 0 <nil>
}

// A store is looked through, at night perhaps, and what is damaged goes.
func ExampleCache_Verify() {
	c, _ := cache.New(cache.Options{Store: storetest.NewMap(1 << 20)})
	defer c.Close()
	report, err := c.Verify(context.Background(), cache.VerifyOptions{
		DeleteDamaged: true,
		Found:         func(p cache.VerifyProblem) { fmt.Println(p.Kind, p.Record, p.Err) },
	})
	fmt.Println(report.Sound(), report.Deleted, err)
	// Output: true 0 <nil>
}
